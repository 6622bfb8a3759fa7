import { expect, test } from 'vitest';
import { offers, quote, quoteKey, spotAt, take } from '../../src/search/model/completion';
import type { Facets } from '../../src/search/model/types';

const field = (name: string) => ({ handle: `h-${name}`, name, data_type: 'text' as const, unit: null, description: '' });
const facets: Facets = {
  filter: {}, text: '', runs: 9, rows: 9, living: 9,
  tags: { values: [{ value: 'baseline', runs: 5 }, { value: 'my base', runs: 2 }], distinct: 2 },
  series: [{ series: 'h-s', name: 'training', runs: 9 }],
  owner: [{ value: 'alice', runs: 9 }], state: [{ value: 'running', runs: 1 }, { value: 'finished', runs: 8 }], started_at: [],
  attributes: [{ field: field('learning rate'), covered: 9, runs: 9, none: 1, values: [{ value: 'a,b', runs: 3 }, { value: 'fast', runs: 6 }], distinct: 2, bins: [] }],
  more_attributes: [{ field: field('note'), runs: 2 }],
};
const at = (text: string) => spotAt(text.replace('|', ''), text.indexOf('|'));

test.each([
  ['|', { kind: 'key', key: '', typed: '', from: 0 }],
  ['ta|', { kind: 'key', key: '', typed: 'ta', from: 0 }],
  ['tag:a opt|', { kind: 'key', key: '', typed: 'opt', from: 6 }],
  ['-ta|', { kind: 'key', key: '', typed: 'ta', from: 0 }],
  ['tag:ba|', { kind: 'value', key: 'tag', typed: 'ba', from: 4 }],
  ['tag:a,ba|', { kind: 'value', key: 'tag', typed: 'ba', from: 6 }],
  ['"learning rate":fa|', { kind: 'value', key: '"learning rate"', typed: 'fa', from: 16 }],
  ['tag:"my b|', { kind: 'value', key: 'tag', typed: 'my b', from: 4 }],
  ['lr:<1|', { kind: 'value', key: 'lr', typed: '1', from: 4 }],
  ['tag:a|bc', { kind: 'value', key: 'tag', typed: 'a', from: 4 }],
  ['lr:[1..|', null],
])('where the caret is: %s', (text, spot) => {
  expect(at(text)).toEqual(spot);
});

test('keys, fields and tags are offered for a beginning, and a bare word finds tags', () => {
  expect(offers(at('st|')!, facets, null).map(({ label }) => label)).toEqual(['started', 'state']);
  const [rate] = offers(at('learn|')!, facets, null);
  expect(rate).toMatchObject({ text: '"learning rate":', open: true });
  expect(offers(at('base|')!, facets, null).map(({ text }) => text)).toEqual(['tag:baseline', 'tag:"my base"']);
});

test('values are offered by their key, with counts, and quoted where they must be', () => {
  expect(offers(at('tag:|')!, facets, null).map(({ text, note }) => [text, note])).toEqual([['baseline', '5 runs'], ['"my base"', '2 runs']]);
  expect(offers(at('state:run|')!, facets, null).map(({ text }) => text)).toEqual(['running']);
  expect(offers(at('"learning rate":|')!, facets, null).map(({ text }) => text)).toEqual(['"a,b"', 'fast', '(none)']);
  expect(offers(at('has:no|')!, facets, null).map(({ text }) => text)).toEqual(['note']);
  expect(offers(at('owner:|')!, facets, null)[0]!.text).toBe('me');
  expect(offers(at('bogus:|')!, facets, null)).toEqual([]);
});

test('what the server found for the letters typed is offered, too', () => {
  const found = { ...facets, tags: { values: [{ value: 'rare base', runs: 1 }], distinct: 1 } };
  expect(offers(at('tag:rare|')!, facets, found).map(({ label }) => label)).toEqual(['rare base']);
});

test('a taken offer replaces the word, and the caret goes on behind it', () => {
  const text = 'tag:ba has:x';
  const offer = offers(spotAt(text, 6)!, facets, null)[0]!;
  expect(take(text, 6, spotAt(text, 6)!, offer)).toEqual({ text: 'tag:baseline has:x', caret: 12 });
  const key = offers(at('sta|')!, facets, null)[0]!;
  expect(take('sta', 3, spotAt('sta', 3)!, key)).toEqual({ text: 'started:', caret: 8 });
  const last = take('tag:ba', 6, spotAt('tag:ba', 6)!, offer);
  expect(last.text).toBe('tag:baseline ');
});

test('what needs quotation marks gets them', () => {
  expect(['a', 'a b', 'a,b', '', '<x', 'a"b', 'a\\', '1..2', 'x\ny'].map(quote)).toEqual(['a', '"a b"', '"a,b"', '""', '"<x"', '"a\\"b"', 'a\\', '"1..2"', '"x\\ny"']);
  expect(['lr', 'learning rate', 'tag', '-x', 'a:b'].map(quoteKey)).toEqual(['lr', '"learning rate"', '"tag"', '"-x"', '"a:b"']);
});
