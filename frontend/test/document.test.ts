import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { documentFromQuery, documentToQuery } from '../src/model/address';
import { axisTitle, bind, boundAttributes, boundFields, findSeries, LEGAL_TYPES, type Axis } from '../src/model/bindings';
import { changeLayer, emptyDocument, emptyLayer, MARKS, SCALES } from '../src/model/document';
import { documentFromJson, documentToJson } from '../src/model/document-json';
import type { DataType, Field, Series } from '../src/model/types';
import { absoluteText, edgeText, relativeFromText, showFloat, showScalar, shortHandle } from '../src/model/numbers';

const field = (name: string, data_type: DataType): Field => ({ handle: `h-${name}`, name, data_type, description: '', unit: null });
const series: Series = { handle: 'h-training', name: 'training', fields: [field('note', 'text'), field('batch', 'int'), field('step', 'int'), field('loss', 'float')] };
const attributes = [field('lr', 'float'), field('optimizer', 'text'), field('seed', 'int'), field('good', 'bool')];

interface Golden { query: string; plot: Record<string, unknown> }
const golden = JSON.parse(readFileSync(new URL('../../tests/contract/plots.json', import.meta.url), 'utf8')) as Golden[];

test.each(golden)('the address and the JSON say the same: $query', ({ query, plot }) => {
  const document = documentFromQuery(query);
  expect(documentToJson(document)).toEqual(plot);
  expect(documentToQuery(document)).toBe(query);
  expect(documentToQuery({ ...documentFromJson(plot), renderer: document.renderer })).toBe(query);
});

test.each([
  '',
  '?series=training&x=step&y=loss&color=attr:lr&mark=points&tags=digits&runs=a,b&view=0,100,-1.5,2e-7',
  '?tags=a,b&tags=c+d&xscale=log&yscale=log&hide=is:adam&renderer=canvas',
  '?series=%C3%9Cbung&x=field:attr:odd&y=field:run&color=field:run',
  '?series=a&view=1,2,,&view2=,,0,1',
  '?smooth=ema:0.5&2.smooth=mean:9&yscale=symlog:0.1',
])('an address comes back as it was: %s', (query) => {
  expect(documentToQuery(documentFromQuery(query))).toBe(query);
});

test('what an address says wrongly is passed over', () => {
  expect(documentFromQuery('?mark=pie&view=1,2,x,&xscale=sqrt&renderer=vulkan&rows=[]&filter=3&smooth=ema:-1&21.x=a&coloras=rainbow&xaxis=left')).toEqual({
    ...emptyDocument(), axes: { ...emptyDocument().axes, bottom: { scale: 'linear', constant: 1, range: ['1', '2'] } },
  });
});

test('without choices: a step-like int over x, the first float over y', () => {
  const binding = bind(emptyLayer(), series, attributes);
  expect(binding).toMatchObject({ bound: { x: { name: 'step' }, y: { name: 'loss' }, color: null } });
});

test('names and handles bind alike, attributes by their prefix', () => {
  const layer = { ...emptyLayer(), x: { kind: 'field' as const, name: 'h-batch' }, color: { kind: 'attr' as const, name: 'lr' } };
  const binding = bind(layer, series, attributes);
  if ('problem' in binding) throw new Error(binding.problem);
  expect(binding.bound).toMatchObject({ x: { name: 'batch' }, color: { kind: 'attr', type: 'float' } });
  expect(boundFields(binding.bound)).toEqual(['h-batch', 'h-loss']);
  expect(boundAttributes(binding.bound)).toEqual(['h-lr']);
});

const AXES = Object.keys(LEGAL_TYPES) as Axis[];
const TYPES: DataType[] = ['int', 'float', 'text', 'bool'];
/** The contract, written down once more. */
const CONTRACT: Record<string, string> = {
  x: 'int float', y: 'int float', order: 'int float', size: 'int float', color: 'int float text bool', group: 'int text bool',
  label: 'int float text bool', tooltip: 'int float text bool',
};

test.each(AXES.flatMap((axis) => TYPES.flatMap((type) => (['field', 'attr'] as const).flatMap((kind) => MARKS.map((mark) => [axis, type, kind, mark] as const)))))(
  '%s of type %s from %s with mark %s: as the contract says', (axis, type, kind, mark) => {
    const wide: Series = { ...series, fields: [...series.fields, field('it', type)] };
    const source = { kind, name: 'it' };
    const layer = { ...emptyLayer(), mark, [axis]: axis === 'group' || axis === 'tooltip' ? [source] : source };
    // A density is counted from fields of the series.
    const legal = CONTRACT[axis]!.split(' ').includes(type) && !(mark === 'density' && kind === 'attr' && (axis === 'x' || axis === 'y'));
    expect('bound' in bind(layer, wide, [field('it', type)])).toBe(legal);
  },
);

test('a wrong type or an unknown name is told in words', () => {
  const wrong = bind({ ...emptyLayer(), y: { kind: 'field', name: 'note' } }, series, attributes);
  expect(wrong).toEqual({ problem: 'y needs an int or a float; “note” is text.' });
  expect(bind({ ...emptyLayer(), x: { kind: 'attr', name: 'gone' } }, series, attributes)).toHaveProperty('problem');
  expect(bind({ ...emptyLayer(), rows: [{ field: 'gone' }] }, series, attributes)).toHaveProperty('problem');
  expect(bind(emptyLayer(), { ...series, fields: [field('a', 'text')] }, [])).toHaveProperty('problem');
});

test('a colour that is not there yet is done without, and said', () => {
  const binding = bind({ ...emptyLayer(), color: { kind: 'attr', name: 'later' } }, series, attributes);
  expect(binding).toMatchObject({ bound: { color: null }, warning: 'coloured by run: no run has later' });
});

test('another series lets go of fields, and keeps what is not about them', () => {
  const before = documentFromQuery('?series=a&x=step&color=attr:lr&mark=step&tags=t');
  const [layer] = changeLayer(before, 0, { series: 'b' }).layers;
  expect(layer).toMatchObject({ series: 'b', x: null, color: null, mark: 'step', tags: ['t'] });
});

test('scales and marks are those of the format', () => {
  const format = readFileSync(new URL('../../docs/formats/plot.md', import.meta.url), 'utf8');
  for (const word of [...SCALES, ...MARKS]) expect(format).toContain(`\`${word}\``);
});

test('the first series with rows is shown when none is asked for', () => {
  const other = { ...series, handle: 'h-other', name: 'other' };
  expect(findSeries(null, [series, other], ({ name }) => name === 'other')?.name).toBe('other');
  expect(findSeries('h-training', [series, other], () => false)?.name).toBe('training');
  expect(findSeries('gone', [series], () => true)).toBeUndefined();
});

test('titles name units', () => {
  expect(axisTitle({ name: 'time', unit: 'ms' })).toBe('time (ms)');
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
