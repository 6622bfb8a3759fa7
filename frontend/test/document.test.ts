import { expect, test } from 'vitest';
import { axisTitle, bind, boundAttributes, boundFields, findSeries } from '../src/model/bindings';
import { documentFromQuery, documentToQuery, emptyDocument } from '../src/model/document';
import type { DataType, Field, Series } from '../src/model/types';
import { absoluteText, edgeText, relativeFromText, showFloat, showScalar, shortHandle } from '../src/model/numbers';

const field = (name: string, data_type: DataType): Field => ({ handle: `h-${name}`, name, data_type, description: '', unit: null });
const series: Series = { handle: 'h-training', name: 'training', fields: [field('note', 'text'), field('batch', 'int'), field('step', 'int'), field('loss', 'float')] };
const attributes = [field('lr', 'float'), field('optimizer', 'text')];

test.each([
  '',
  '?series=training&x=step&y=loss&color=attr:lr&mark=points&tags=digits&runs=a,b&view=0,100,-1.5,2e-7',
  '?xscale=log&yscale=log&tags=a,b&tags=c+d&hide=is:adam&renderer=canvas',
  '?series=%C3%9Cbung&x=field:attr:odd&y=field:run&color=field:run',
])('an address comes back as it was: %s', (query) => {
  expect(documentToQuery(documentFromQuery(query))).toBe(query);
});

test('what an address says wrongly is passed over', () => {
  expect(documentFromQuery('?mark=pie&view=1,2,x,4&xscale=sqrt&renderer=vulkan')).toEqual(emptyDocument());
});

test('without choices: a step-like int over x, the first float over y', () => {
  const binding = bind(emptyDocument(), series, attributes);
  expect(binding).toMatchObject({ bound: { x: { name: 'step' }, y: { name: 'loss' }, color: null } });
});

test('names and handles bind alike, attributes by their prefix', () => {
  const document = { ...emptyDocument(), x: { kind: 'field' as const, name: 'h-batch' }, color: { kind: 'attr' as const, name: 'lr' } };
  const binding = bind(document, series, attributes);
  if ('problem' in binding) throw new Error(binding.problem);
  expect(binding.bound).toMatchObject({ x: { name: 'batch' }, color: { kind: 'attr', type: 'float' } });
  expect(boundFields(binding.bound)).toEqual(['h-batch', 'h-loss']);
  expect(boundAttributes(binding.bound)).toEqual(['h-lr']);
});

test('a wrong type or an unknown name is told in words', () => {
  const wrong = bind({ ...emptyDocument(), y: { kind: 'field', name: 'note' } }, series, attributes);
  expect(wrong).toEqual({ problem: 'y needs an int or a float; “note” is text.' });
  expect(bind({ ...emptyDocument(), x: { kind: 'attr', name: 'gone' } }, series, attributes)).toHaveProperty('problem');
  expect(bind(emptyDocument(), { ...series, fields: [field('a', 'text')] }, [])).toHaveProperty('problem');
});

test('a colour that is not there yet is done without, and said', () => {
  const binding = bind({ ...emptyDocument(), color: { kind: 'attr', name: 'later' } }, series, attributes);
  expect(binding).toMatchObject({ bound: { color: null }, warning: 'coloured by run: no run has later' });
});

test('the first series with rows is shown when none is asked for', () => {
  const other = { ...series, handle: 'h-other', name: 'other' };
  expect(findSeries(null, [series, other], ({ name }) => name === 'other')?.name).toBe('other');
  expect(findSeries('h-training', [series, other], () => false)?.name).toBe('training');
  expect(findSeries('gone', [series], () => true)).toBeUndefined();
});

test('titles name units', () => {
  expect(axisTitle({ kind: 'field', handle: '', name: 'time', type: 'int', unit: 'ms' })).toBe('time (ms)');
});

test.each([[2n ** 60n, 0.25], [2n ** 60n, -12.5], [-(2n ** 60n), 3.75], [0n, 0.1], [0n, -1e-9], [5n, -7.25]])('positions relative to %d come back from their text: %d', (origin, relative) => {
  expect(relativeFromText(absoluteText(origin, relative), origin)).toBe(relative);
});

test('edges of a view are as long as the view needs', () => {
  expect(edgeText(0n, 284.57973900322236, 1100)).toBe('284.58');
  expect(edgeText(0n, 1_700_000_012_345.678, 1000)).toBe('1700000012345.678');
});

test('values are shown exactly', () => {
  expect(showScalar(9007199254740993n)).toBe('9,007,199,254,740,993');
  expect(showScalar(-1234n)).toBe('−1,234');
  expect(showFloat(0.1 + 0.2)).toBe('0.30000000000000004');
  expect(showFloat(-0)).toBe('−0');
  expect(showFloat(-Infinity)).toBe('−∞');
  expect(showFloat(1e-7)).toBe('1e-7');
  expect(showScalar(null)).toBe('(none)');
  expect(shortHandle('0badcafe-0000-4000-8000-000000000001')).toBe('0bad…0001');
});
