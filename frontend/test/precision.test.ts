import { describe, expect, test } from 'vitest';
import { encodeAnchored, encodeRows, needsAnchor, unitFor, viewFrame } from '../src/model/encode';
import { CHUNK_ROWS, Line } from '../src/model/line';
import { planLine } from '../src/model/plan';
import { BREAK, placement, type Frame32 } from '../src/model/scene';
import { LINEAR } from '../src/model/scale';
import type { PixelView } from '../src/model/viewport';
import { axisValues, NeedsOrigin, type AxisSpace } from '../src/wire/axis-values';

const PIXELS = 1200;
const ROWS = { sized: false, step: false };

function lineOf(x: Float64Array, y = x.map(() => 0.5)): Line {
  const line = new Line({ coloured: false });
  line.append({ firstRow: 0, rows: x.length, x: x.slice(), y: y.slice(), c: null, reasons: new Uint8Array(x.length) });
  return line;
}

/** As a shader computes it: every step in float32. */
function pixels(data: Float32Array, frame: Frame32, view: PixelView): Float32Array {
  const at = placement(frame, view);
  const [scale, offset] = [Math.fround(at.sx), Math.fround(at.ox)];
  return Float32Array.from({ length: data.length / 3 }, (_, i) => Math.fround(Math.fround(data[3 * i]! * scale) + offset));
}

const cases: [string, (i: number) => number | bigint][] = [
  ['unix time in seconds, one a millisecond', (i) => 1.7e9 + i * 1e-3],
  ['unix time in seconds, one a microsecond', (i) => 1.7e9 + i * 1e-6],
  ['unix time in milliseconds', (i) => BigInt(1_700_000_000_000 + i)],
  ['steps from 1e9', (i) => BigInt(1_000_000_000 + i)],
  ['steps from 2^53', (i) => 2n ** 53n + BigInt(i)],
];

describe.each(cases)('%s', (_, value) => {
  const raw = Array.from({ length: PIXELS }, (__, i) => value(i));
  const column = typeof raw[0] === 'bigint' ? BigInt64Array.from(raw as bigint[]) : Float64Array.from(raw as number[]);
  const space: AxisSpace = { scale: LINEAR, origin: 0n };
  const read = (): Float64Array => {
    try {
      return axisValues(column, 0, PIXELS, space, new Uint8Array(PIXELS));
    } catch (error) {
      if (!(error instanceof NeedsOrigin)) throw error;
      space.origin = error.origin;
      return axisValues(column, 0, PIXELS, space, new Uint8Array(PIXELS));
    }
  };

  test('1200 rows fall into 1200 pixel columns', () => {
    const x = read();
    const line = lineOf(x);
    const half = (x[PIXELS - 1]! - x[0]!) / (PIXELS - 1) / 2;
    const view = { x0: x[0]! - half, x1: x[PIXELS - 1]! + half, y0: 0, y1: 1, width: PIXELS, height: 600 };
    const frame = { bx: x[0]!, by: 0, bc: 0, bs: 0, ux: unitFor(x[PIXELS - 1]! - x[0]!), uy: 1 };
    const px = pixels(encodeRows(line, 0, PIXELS, frame, ROWS), frame, view);
    expect(new Set([...px].map(Math.floor)).size).toBe(PIXELS);
    const worst = px.reduce((most, at, i) => Math.max(most, Math.abs(at - ((x[i]! - view.x0) / (view.x1 - view.x0)) * PIXELS)), 0);
    expect(worst).toBeLessThan(0.01);
  });
});

test('deep inside a wide chunk rows are sent anew, relative to the view', () => {
  const x = Float64Array.from({ length: CHUNK_ROWS }, (_, i) => i * 1000);
  x.set([30_000_000.25, 30_000_000.5, 30_000_000.75], 30_001);
  x.sort();
  const view = { x0: 30_000_000, x1: 30_000_001, y0: 0, y1: 1, width: PIXELS, height: 600 };
  const line = lineOf(x);
  const plan = planLine(line, view, 'line', 3);
  expect(needsAnchor(x[x.length - 1]!, 1, PIXELS)).toBe(true);
  expect(plan.kind).toBe('anchored');
  if (plan.kind !== 'anchored') return;
  const frame = viewFrame(view, 0);
  const px = pixels(encodeAnchored(line, plan.from, plan.to, frame, true), frame, view);
  for (const expected of [300, 600, 900]) expect(Math.min(...[...px].map((at) => Math.abs(at - expected)))).toBeLessThan(0.001);
});

test('a segment to a far row keeps its slope when it is cut', () => {
  const line = lineOf(Float64Array.of(0, 1), Float64Array.of(0, 1e12));
  const view = { x0: -1, x1: 2, y0: -1, y1: 1, width: 300, height: 200 };
  const frame = viewFrame(view, 0);
  const data = encodeAnchored(line, 0, 2, frame, true);
  const ys = [...data].filter((_, i) => i % 3 === 1);
  expect(ys.every((y) => y === BREAK || Math.abs(y) <= 64.001)).toBe(true);
  // It leaves the cut box upwards at x = 64 views / 1e12.
  expect(frame.bx + frame.ux * data[3]!).toBeCloseTo(64e-12, 6);
});

test('values from 1e-300 to 1e300 stay inside float32', () => {
  for (const scale of [1e-300, 1e-40, 1, 1e40, 1e300]) {
    const x = Float64Array.from({ length: 100 }, (_, i) => i * scale / 100);
    const ux = unitFor(x[99]! - x[0]!);
    const data = encodeRows(lineOf(x), 0, 100, { bx: x[0]!, by: 0, bc: 0, bs: 0, ux, uy: 1 }, ROWS);
    const spread = data[3 * 99]! - data[0]!;
    expect(Number.isFinite(spread) && spread > 1e-30).toBe(true);
  }
});
