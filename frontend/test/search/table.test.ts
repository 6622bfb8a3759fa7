import { expect, test } from 'vitest';
import { fromQuery, NEWEST_FIRST, sortFromText, sortToText, toQuery } from '../../src/search/model/address';
import { BLOCK, Blocks, visibleRows } from '../../src/search/model/blocks';
import { cellText, chosenColumns, defaultColumns, endsOfSpan, fieldsOf, shortAttribute } from '../../src/search/model/columns';
import { barAt, covered, heights } from '../../src/search/model/histogram';
import { chooseAll, extend, isChosen, NONE, rangeTo, toggle } from '../../src/search/model/selection';
import { sparkline } from '../../src/search/model/sparkline';
import type { Facets, FieldInfo, FoundRun } from '../../src/search/model/types';

const field = (name: string, data_type: FieldInfo['data_type'] = 'float'): FieldInfo => ({ handle: `h-${name}`, name, data_type, unit: null, description: '' });
const facet = (name: string, distinct: number, covered_ = 5) => ({ field: field(name), covered: covered_, runs: 5, none: 0, values: [], distinct, bins: [] });
const facets: Facets = {
  filter: {}, text: '', runs: 5, rows: 9, living: 5, tags: { values: [], distinct: 0 }, series: [{ series: 'h-s', name: 'training', runs: 5 }], owner: [], state: [], started_at: [],
  attributes: [facet('lr', 3), facet('same', 1), facet('seed', 2)], more_attributes: [{ field: field('rare'), runs: 1 }],
};
const run: FoundRun = {
  handle: 'x', generation: 1, started_at: '2026-01-01T00:00:00Z', owner: 'alice', state: 'running', tags: [],
  attributes: { 'h-lr': 0.00012345678 }, rows: { 'h-s': 1234, 'h-t': 1 }, last_append_at: null, gaps: 0,
};

test.each(['', '?q=tag:a+lr:<1&sort=-attr:h-lr&columns=run,attr:h-lr&run=x', '?sort=started_at', '?columns=run'])('an address comes back as it was: %s', (query) => {
  expect(toQuery(fromQuery(query))).toBe(query.replace('<', '%3C'));
});

test('an order that is none is the newest first', () => {
  expect(sortFromText('owner__password')).toEqual(NEWEST_FIRST);
  for (const text of ['-rows', 'attr:h', '-series:h', 'owner']) expect(sortToText(sortFromText(text))).toBe(text);
});

test('columns: what differs tells most', () => {
  expect(defaultColumns(facets)).toEqual(['run', 'started', 'state', 'tags', 'attr:h-lr', 'attr:h-seed', 'rows', 'seen']);
  const columns = chosenColumns(['run', 'attr:h-rare', 'attr:gone', 'series:h-s', 'rows'], facets);
  expect(columns.map(({ id }) => id)).toEqual(['run', 'attr:h-rare', 'series:h-s', 'rows']);
  expect(fieldsOf(columns)).toEqual(['h-rare']);
  expect(columns.map((column) => cellText(run, column))).toEqual(['', '', '1,234', '1,235']);
});

test('cells are short, and ints keep all their digits', () => {
  expect(shortAttribute(0.00012345678, field('lr'))).toBe('1.2346e-4');
  expect(shortAttribute(0.25, field('lr'))).toBe('0.25');
  expect(shortAttribute('NaN', field('lr'))).toBe('NaN');
  expect(shortAttribute('9223372036854775807', field('seed', 'int'))).toBe('9,223,372,036,854,775,807');
  expect(shortAttribute(undefined, field('lr'))).toBe('');
});

test('blocks are fetched where they are missing, and only some are kept', () => {
  const blocks = new Blocks<number>();
  expect(blocks.missing(0, 250)).toEqual([0, 1, 2]);
  blocks.put(1, Array.from({ length: BLOCK }, (_, index) => BLOCK + index));
  expect(blocks.missing(0, 250)).toEqual([0, 2]);
  expect(blocks.at(150)).toBe(150);
  expect(blocks.at(50)).toBeUndefined();
  for (let block = 2; block < 60; block += 1) blocks.put(block, [block]);
  expect(blocks.at(150)).toBeUndefined();
  blocks.change((value) => value + 1);
  expect(blocks.at(59 * BLOCK)).toBe(60);
  expect(visibleRows(3000, 600, 30, 100_000, 2)).toEqual([98, 122]);
  expect(visibleRows(0, 600, 30, 3)).toEqual([0, 2]);
});

test('runs are chosen one by one, by ranges, and all', () => {
  let chosen = toggle(NONE, 'b', 1, []);
  expect(rangeTo(chosen, 3)).toEqual([1, 3]);
  chosen = extend(chosen, ['b', 'c', 'd'], 3);
  expect([...chosen.handles]).toEqual(['b', 'c', 'd']);
  expect(rangeTo(chosen, 0)).toEqual([0, 1]);
  expect(isChosen(chooseAll(), 'whatever')).toBe(true);
  expect([...toggle(chooseAll(), 'b', 1, ['a', 'b', 'c']).handles]).toEqual(['a', 'c']);
});

test('bars that a range covers are found, half open and closed', () => {
  const bins = [{ min: 0, max_open: 1, runs: 1000 }, { min: 1, max_open: 2, runs: 1 }, { min: 2, max: 3, runs: 0 }];
  expect(covered(bins, { min: 0, max_open: 1 })).toEqual([0, 0]);
  expect(covered(bins, { min: 1, max: 3 })).toEqual([1, 2]);
  expect(covered(bins, { min: 1.5 })).toEqual([1, 2]);
  expect(covered(bins, { max: 0.5 })).toEqual([0, 0]);
  expect(covered(bins, { min: 7 })).toBeNull();
  expect(covered(bins, null)).toBeNull();
  expect(covered([], { min: 1 })).toBeNull();
  expect(heights(bins, 40)).toEqual([40, 2, 0]);
  expect([barAt(-1, 3), barAt(0.5, 3), barAt(1, 3)]).toEqual([0, 1, 2]);
});

test('a preview joins the extremes of its columns, and has none where nothing can be drawn', () => {
  const columns = [{ part: 'column', values: [0, 9] }, ...['first', 'least', 'greatest', 'last'].map((part, index) => ({ part, field: 'h-lr', values: [index, 'NaN'] })), { part: 'count', field: 'h-lr', values: [4, 0] }];
  expect(sparkline({ runs: [{ columns }] }, field('lr'), 10)).toMatchObject({ least: 1, greatest: 2, last: 3 });
  expect(sparkline({ runs: [] }, field('lr'), 10)).toBeNull();
});

test('the ends of a span of time are days, or times where the day is the same', () => {
  expect(endsOfSpan('2026-11-23T12:00:00', '2026-11-25T12:00:00')).toEqual(['23 Nov 2026', '25 Nov 2026']);
  expect(endsOfSpan('2026-11-25T11:59:58', '2026-11-25T12:00:00')).toEqual(['11:59:58', '12:00:00']);
});
