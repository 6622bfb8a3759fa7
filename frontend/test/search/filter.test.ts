import { expect, test } from 'vitest';
import {
  boundsOf, boundsOfBins, clearField, isEmpty, plotAddress, setBounds, setRows, setStarted, setTag, setTagMode, tagMode, tagState, ticked,
  toggleListed, toggleNone, toggleValue,
} from '../../src/search/model/filter';
import type { FilterJson } from '../../src/search/model/types';

const lr = 'h-lr';

test('a tag is had, refused or free, and stands in one list only', () => {
  let filter: FilterJson = setTag({}, 'a', 'had', 'all');
  filter = setTag(filter, 'b', 'had', 'all');
  expect(filter).toEqual({ tags: { all: ['a', 'b'] } });
  filter = setTag(filter, 'a', 'refused', 'all');
  expect(filter).toEqual({ tags: { all: ['b'] }, not_tags: { any: ['a'] } });
  expect([tagState(filter, 'a'), tagState(filter, 'b'), tagState(filter, 'c')]).toEqual(['refused', 'had', 'free']);
  filter = setTag(setTag(filter, 'a', 'free', 'all'), 'b', 'free', 'all');
  expect(isEmpty(filter)).toBe(true);
});

test('tags are asked for all together or any of them', () => {
  const filter = setTagMode({ tags: { all: ['a', 'b'] } }, 'any');
  expect(filter).toEqual({ tags: { any: ['a', 'b'] } });
  expect(tagMode(filter)).toBe('any');
  expect(setTag(filter, 'c', 'had', 'any')).toEqual({ tags: { any: ['a', 'b', 'c'] } });
  expect(setTagMode({}, 'any')).toEqual({});
});

test('values are ticked one by one, (none) among them', () => {
  let filter = toggleValue({}, lr, 1);
  filter = toggleValue(filter, lr, 2);
  filter = toggleNone(filter, lr);
  expect(filter).toEqual({ attributes: [{ field: lr, values: [1, 2], include_missing: true }] });
  expect(ticked(filter, lr)).toEqual({ values: [1, 2], none: true });
  filter = toggleValue(toggleValue(filter, lr, 1), lr, 2);
  expect(filter).toEqual({ attributes: [{ field: lr, present: false }] });
  expect(toggleNone(filter, lr)).toEqual({});
});

test('a ticked value takes the place of whatever else was asked of the field', () => {
  const typed: FilterJson = { attributes: [{ field: lr, min: 1 }, { field: lr, max: 5 }, { field: 'h-x', present: true }] };
  expect(toggleValue(typed, lr, 3)).toEqual({ attributes: [{ field: 'h-x', present: true }, { field: lr, values: [3] }] });
  expect(boundsOf(typed, lr)).toBeNull();
  expect(clearField(typed, lr)).toEqual({ attributes: [{ field: 'h-x', present: true }] });
});

test('a range is that of its bins, half open or closed as they are, and keeps (none)', () => {
  const bins = [{ min: 0, max_open: 1, runs: 3 }, { min: 1, max_open: 2, runs: 4 }, { min: 2, max: 3, runs: 1 }];
  let filter = setBounds({}, lr, boundsOfBins(bins[0]!, bins[1]!));
  expect(filter).toEqual({ attributes: [{ field: lr, min: 0, max_open: 2 }] });
  filter = toggleNone(filter, lr);
  filter = setBounds(filter, lr, boundsOfBins(bins[1]!, bins[2]!));
  expect(filter).toEqual({ attributes: [{ field: lr, min: 1, max: 3, include_missing: true }] });
  expect(boundsOf(toggleNone(filter, lr), lr)).toEqual({ min: 1, max: 3 });
  expect(setBounds(filter, lr, null)).toEqual({});
});

test('lists, the start and rows come and go', () => {
  expect(toggleListed(toggleListed({}, 'state', 'failed'), 'state', 'stale')).toEqual({ state: ['failed', 'stale'] });
  expect(toggleListed({ series: ['s'] }, 'series', 's')).toEqual({});
  expect(setStarted(setStarted({}, { min: 'a', max: 'b' }), null)).toEqual({});
  expect(setRows(setRows({}, null), true)).toEqual({});
});

test('changes make new filters', () => {
  const filter: FilterJson = Object.freeze({ tags: Object.freeze({ all: Object.freeze(['a']) as string[] }) });
  setTag(filter, 'b', 'had', 'all');
  setTag(filter, 'a', 'refused', 'all');
  setTagMode(filter, 'any');
  expect(filter).toEqual({ tags: { all: ['a'] } });
});

test('a plot gets the filter, not a list: later runs join it', () => {
  expect(plotAddress({})).toBe('/plot/');
  const address = plotAddress({ series: ['h-s'], tags: { all: ['a', 'b c'] }, attributes: [{ field: lr, min: 1 }], state: ['running'] });
  const params = new URLSearchParams(address.split('?')[1]);
  expect(params.get('series')).toBe('h-s');
  expect(params.getAll('tags')).toEqual(['a', 'b c']);
  expect(JSON.parse(params.get('filter')!)).toEqual({ series: ['h-s'], attributes: [{ field: lr, min: 1 }], state: ['running'] });
  expect(new URLSearchParams(plotAddress({ handles: ['x', 'y'], with_rows: null }).split('?')[1]).get('runs')).toBe('x,y');
  expect(plotAddress({ tags: { any: ['a'] } })).toContain('filter=');
});
