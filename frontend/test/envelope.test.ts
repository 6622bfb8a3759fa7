import { describe, expect, test } from 'vitest';
import { COLUMN_FLOATS, envelope, type ColumnGrid } from '../src/model/envelope';

const WIDTH = 200;
const HEIGHT = 100;

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

type Polyline = [number, number][];

/** Marks every pixel cell that the polyline passes through, by walking along in steps far below a pixel. */
function raster(pieces: Polyline[], grid: ColumnGrid): Set<number> {
  const cells = new Set<number>();
  const px = (x: number): number => (x - grid.x0) / grid.dx;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i += 1) {
      const [ax, ay] = piece[Math.max(0, i - 1)]!;
      const [bx, by] = piece[i]!;
      const steps = Math.ceil(Math.max(Math.abs(px(bx) - px(ax)), Math.abs(by - ay)) * 20) + 1;
      for (let s = 0; s <= steps; s += 1) {
        const x = Math.floor(px(ax + ((bx - ax) * s) / steps));
        const y = Math.floor(ay + ((by - ay) * s) / steps);
        if (x >= 0 && x < WIDTH) cells.add(x * 1000 + y);
      }
    }
  }
  return cells;
}

function piecesOf(x: Float64Array, y: Float64Array): Polyline[] {
  const pieces: Polyline[] = [[]];
  x.forEach((value, i) => {
    if (Number.isNaN(y[i])) pieces.push([]);
    else pieces.at(-1)!.push([value, y[i]!]);
  });
  return pieces.filter((piece) => piece.length > 0);
}

function drawn(records: Float64Array): Polyline[] {
  const pieces: Polyline[] = [];
  for (let o = 0; o < records.length; o += COLUMN_FLOATS) {
    const [x, first, least, greatest, last, , link] = records.subarray(o, o + COLUMN_FLOATS) as unknown as number[];
    const points: Polyline = [[x!, first!], [x!, least!], [x!, greatest!], [x!, last!]];
    if (link) pieces.at(-1)!.push(...points);
    else pieces.push(points);
  }
  return pieces;
}

/** Each cell of `a` has one of `b` in its own or a neighbouring column, at its own or a neighbouring height. */
function farFrom(a: Set<number>, b: Set<number>): number {
  let far = 0;
  for (const cell of a) {
    const near = [-1, 0, 1].some((dx) => [-1, 0, 1].some((dy) => b.has(cell + dx * 1000 + dy)));
    const column = Math.floor(cell / 1000);
    if (!near && column > 0 && column < WIDTH - 1) far += 1;
  }
  return far;
}

const shapes: Record<string, (i: number, n: number, next: () => number) => number> = {
  noise: (_, __, next) => next() * HEIGHT,
  wave: (i, n) => (Math.sin((i / n) * 30) * 0.5 + 0.5) * (HEIGHT - 1),
  'single spikes': (i) => (i % 997 === 0 ? HEIGHT - 1 : 3),
  steps: (i, n) => Math.floor((i / n) * 12) * 8,
  'with gaps': (i, n, next) => (i % 701 < 40 ? NaN : (i / n) * 50 + next() * 20),
};

describe.each(Object.entries(shapes))('%s', (_, shape) => {
  test.each([
    [20_000, 0, 20_000],
    [20_000, 3_000.5, 9_000.25],
    [3_000, 0, 3_000],
  ])('%i rows seen from %f to %f: covers what the whole line covers, but for one column', (n, from, to) => {
    const next = random(7);
    const x = Float64Array.from({ length: n }, (_, i) => i);
    const y = Float64Array.from(x, (i) => shape(i, n, next));
    const grid = { x0: from, dx: (to - from) / WIDTH, columns: WIDTH };
    const truth = raster(piecesOf(x, y), grid);
    const seen = raster(drawn(envelope({ x, y, c: null, n }, grid)), grid);
    expect(truth.size).toBeGreaterThan(0);
    expect(farFrom(truth, seen)).toBe(0);
    expect(farFrom(seen, truth)).toBe(0);
  });
});

test('the extremes of each column are those of its rows, and every row is counted', () => {
  const next = random(3);
  const n = 50_000;
  const x = Float64Array.from({ length: n }, () => next() * 1000).sort();
  const y = Float64Array.from({ length: n }, () => next());
  const grid = { x0: 0, dx: 1000 / WIDTH, columns: WIDTH };
  const records = envelope({ x, y, c: null, n }, grid);
  let rows = 0;
  for (let o = 0; o < records.length; o += COLUMN_FLOATS) {
    const column = Math.floor((records[o]! - grid.x0) / grid.dx);
    const inside = [...y].filter((_, i) => Math.floor((x[i]! - grid.x0) / grid.dx) === column);
    expect(records[o + 1]).toBe(inside[0]);
    expect(records[o + 2]).toBe(Math.min(...inside));
    expect(records[o + 3]).toBe(Math.max(...inside));
    expect(records[o + 4]).toBe(inside.at(-1));
    rows += records[o + 7]!;
  }
  expect(rows).toBe(n);
});

test('rows beyond both ends keep the line running out of the picture', () => {
  const x = Float64Array.of(-5, 5, 25);
  const y = Float64Array.of(1, 2, 3);
  const records = envelope({ x, y, c: null, n: 3 }, { x0: 0, dx: 1, columns: 10 });
  expect(drawn(records)).toEqual([[[-5, 1], [-5, 1], [-5, 1], [-5, 1], [5.5, 2], [5.5, 2], [5.5, 2], [5.5, 2], [25, 3], [25, 3], [25, 3], [25, 3]]]);
});
