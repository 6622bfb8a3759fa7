import { expect, test } from 'vitest';
import { FrameReader } from '../src/wire/frames';
import { NotContinuous, Store } from '../src/wire/store';
import { dataFrame, endFrame, frame, rowsFrame } from './encode-frames';

function feed(store: Store, ...frames: Uint8Array[]): void {
  const reader = new FrameReader();
  for (const bytes of frames) for (const one of reader.push(bytes)) store.apply(one);
}

const floats = (from: number, count: number): Float64Array => Float64Array.from({ length: count }, (_, i) => from + i);

test('rows of many frames lie in chunks and are read back exactly', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 150_000 }]));
  for (let at = 0; at < 150_000; at += 10_000) feed(store, rowsFrame('a', 1, at, { y: floats(at, 10_000) }));
  const run = store.runs.get('a')!;
  expect(run.chunks.map((chunk) => chunk.rows)).toEqual([65_536, 65_536, 18_928]);
  for (const row of [0, 65_535, 65_536, 149_999]) expect(store.valueAt(run, 'y', 'float', row)).toBe(row);
  expect(store.cursor()).toEqual({ a: [1, 150_000] });
});

test('int64 and text keep their values', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 3 }]),
    rowsFrame('a', 1, 0, { n: BigInt64Array.of(9007199254740993n, -1n, 2n ** 63n - 1n), t: ['ä', '', 'ä'] }),
    rowsFrame('a', 1, 3, { n: BigInt64Array.of(5n), t: ['b'] }));
  const run = store.runs.get('a')!;
  expect([0, 1, 2, 3].map((row) => store.valueAt(run, 'n', 'int', row))).toEqual([9007199254740993n, -1n, 2n ** 63n - 1n, 5n]);
  expect([0, 1, 2, 3].map((row) => store.valueAt(run, 't', 'text', row))).toEqual(['ä', '', 'ä', 'b']);
});

test('a run that is gone takes its rows along', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 1 }, { run: 'bb', generation: 1, rows: 1 }]), rowsFrame('a', 1, 0, { y: floats(0, 1) }));
  feed(store, dataFrame([{ run: 'bb', generation: 1, rows: 1 }], [{ run: 'a', reason: 'deleted' }]), endFrame());
  expect([...store.runs.keys()]).toEqual(['bb']);
});

test('a replaced run starts anew from row 0', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 2 }]), rowsFrame('a', 1, 0, { y: floats(0, 2) }));
  const old = store.runs.get('a');
  feed(store, dataFrame([{ run: 'a', generation: 2, rows: 1 }], [{ run: 'a', reason: 'replaced' }]), rowsFrame('a', 2, 0, { y: floats(70, 1) }));
  expect(store.runs.get('a')).not.toBe(old);
  expect(store.cursor()).toEqual({ a: [2, 1] });
});

test('a reset drops the run and its cursor', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 2 }]), rowsFrame('a', 1, 0, { y: floats(0, 2) }), frame({ kind: 'reset', run: 'a' }));
  expect(store.cursor()).toEqual({});
});

test('rows that do not continue are refused, and the run is asked for anew', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 9 }]), rowsFrame('a', 1, 0, { y: floats(0, 2) }));
  expect(() => feed(store, rowsFrame('a', 1, 5, { y: floats(5, 2) }))).toThrow(NotContinuous);
  expect(store.cursor()).toEqual({});
});

test('metadata of a known generation is renewed, its rows stay', () => {
  const store = new Store();
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 1 }]), rowsFrame('a', 1, 0, { y: floats(0, 1) }));
  feed(store, dataFrame([{ run: 'a', generation: 1, rows: 1, attributes: { lr: 0.1 } }]));
  expect(store.runs.get('a')).toMatchObject({ rows: 1, head: { attributes: { lr: 0.1 } } });
});
