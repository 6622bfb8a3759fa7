import { expect, test } from 'vitest';
import { Line, type Batch } from '../src/model/line';
import { CELL_PX, countCells } from '../src/model/density';
import { nearestRow } from '../src/model/nearest';
import { onePerPixel, planLine, POINTS_IN_FULL, rowsInside, thinned } from '../src/model/plan';

function batch(firstRow: number, x: number[], y = x.map((v) => v * 10), reasons = x.map(() => 0)): Batch {
  return { firstRow, rows: x.length, x: Float64Array.from(x), y: Float64Array.from(y), c: null, reasons: Uint8Array.from(reasons) };
}

function contents(line: Line): [number, number, number][] {
  return Array.from({ length: line.n }, (_, i) => [line.x[i]!, line.y[i]!, line.rowAt(i)]);
}

test('rows in x order need no row numbers', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [1, 2, 2]));
  line.append(batch(3, [3]));
  expect(line.rowOf).toBeNull();
  expect(line.version).toBe(0);
  expect(contents(line)).toEqual([[1, 10, 0], [2, 20, 1], [2, 20, 2], [3, 30, 3]]);
});

test('rows that come late in x are put in their place, ties in row order', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [5, 1, 3]));
  line.append(batch(3, [3, 0, 9]));
  expect(contents(line).map(([x, , row]) => [x, row])).toEqual([[0, 4], [1, 1], [3, 2], [3, 3], [5, 0], [9, 5]]);
  expect(line.version).toBe(1);
});

test('a random order comes out as a stable sort', () => {
  const line = new Line({ coloured: false });
  const all: [number, number][] = [];
  let state = 5;
  for (let row = 0; row < 3000; ) {
    const count = 1 + (state % 40);
    const xs = Array.from({ length: count }, () => (state = (state * 16807) % 2147483647) % 500);
    xs.forEach((x, i) => all.push([x, row + i]));
    line.append(batch(row, xs));
    row += count;
  }
  all.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  expect(contents(line).map(([x, , row]) => [x, row])).toEqual(all);
});

test('what cannot be drawn is counted by its reason, and breaks the line where it has a place on x', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [1, 2, NaN, 4, 5], [1, NaN, 3, -1, 5], [0, 1, 1, 2, 0]));
  expect(line.notDrawn).toEqual({ nonFinite: 2, log: 1, hidden: 0, noAttribute: 0, filtered: 0 });
  expect([line.rows, line.drawable]).toEqual([5, 2]);
  expect(contents(line)).toEqual([[1, 1, 0], [2, NaN, 1], [4, NaN, 3], [5, 5, 4]]);
  expect(line.rangeY).toEqual({ min: 1, max: 5 });
});

test('the nearest row is nearest in pixels, not in values', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [0, 10, 20], [0, 1000, 0]));
  const view = { x0: 0, x1: 20, y0: 0, y1: 1000, width: 200, height: 100 };
  expect(nearestRow(line, view, 104, 6, 30)).toMatchObject({ position: 1 });
  expect(nearestRow(line, view, 50, 50, 30)).toBeNull();
});

test('rows inside the view are counted in both directions', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [0, 1, 2, 3, 4, 5], [0, 5, 0, 5, 0, 50]));
  expect(rowsInside(line, { x0: 0.5, x1: 4.5, y0: 1, y1: 10, width: 10, height: 10 })).toBe(2);
  expect(rowsInside(line, { x0: -1, x1: 9, y0: -1, y1: 99, width: 10, height: 10 })).toBe(6);
});

test('points beyond counting are drawn once for each pixel', () => {
  const n = POINTS_IN_FULL + 1;
  const line = new Line({ coloured: false });
  const x = Float64Array.from({ length: n }, (_, i) => i);
  line.append({ firstRow: 0, rows: n, x, y: x.map((v) => v % 7), c: null, reasons: new Uint8Array(n) });
  const view = { x0: 0, x1: n, y0: -0.5, y1: 6.5, width: 100, height: 70 };
  const plan = planLine(line, view, 'points', n);
  expect(plan.kind).toBe('pixels');
  const kept = onePerPixel(line, view, 0, n);
  expect(kept.length).toBe(700);
  expect([...kept]).toEqual([...kept].sort((a, b) => a - b));
});

test('a line becomes an envelope above four rows for each pixel column, also where it is deep in a chunk', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, Array.from({ length: 900 }, (_, i) => i)));
  const view = { x0: 0, x1: 899, y0: 0, y1: 9000, width: 225, height: 100 };
  expect(planLine(line, view, 'line', 900).kind).toBe('chunks');
  expect(planLine(line, { ...view, width: 224 }, 'line', 900).kind).toBe('envelope');
});

test('in another order than x rows stand as ordered, also those that come late', () => {
  const line = new Line({ coloured: false, ordered: true });
  const ordered = (firstRow: number, o: number[], x: number[]): Batch => ({ ...batch(firstRow, x), o: Float64Array.from(o) });
  line.append(ordered(0, [1, 3, 5], [10, 30, 20]));
  expect(line.rising).toBe(false);
  line.append(ordered(3, [2, 6], [5, 0]));
  expect(contents(line).map(([x, , row]) => [x, row])).toEqual([[10, 0], [5, 3], [30, 1], [20, 2], [0, 4]]);
});

test('an order along which x rises is as good as x', () => {
  const line = new Line({ coloured: false, ordered: true });
  line.append({ ...batch(0, [1, 2, 3]), o: Float64Array.of(7, 8, 9) });
  expect(line.rising).toBe(true);
});

test('rows that the row filter leaves out do not interrupt a line', () => {
  const line = new Line({ coloured: false });
  line.append(batch(0, [1, 2, 3], [1, 2, 3], [0, 5, 0]));
  expect(line.notDrawn.filtered).toBe(1);
  expect(contents(line)).toEqual([[1, 1, 0], [3, 3, 2]]);
});

test('a thinned path reaches as far as the whole in every pixel column it passes', () => {
  let state = 9;
  const next = (): number => (state = (state * 16807) % 2147483647) / 2147483647;
  const n = 20_000;
  let [px, py] = [50, 50];
  const x = new Float64Array(n);
  const y = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    x[i] = px += next() - 0.5;
    y[i] = i % 4001 === 4000 ? NaN : (py += next() - 0.5);
  }
  const view = { x0: 20, x1: 80, y0: 20, y1: 80, width: 120, height: 120 };
  const kept = thinned({ x, y, n }, view);
  const reach = (positions: Iterable<number>): Map<number, [number, number]> => {
    const columns = new Map<number, [number, number]>();
    for (const i of positions) {
      if (y[i] !== y[i]) continue;
      const column = Math.floor((x[i]! - view.x0) * 2);
      const known = columns.get(column) ?? [Infinity, -Infinity];
      columns.set(column, [Math.min(known[0], y[i]!), Math.max(known[1], y[i]!)]);
    }
    return columns;
  };
  const [whole, thin] = [reach(Array.from({ length: n }, (_, i) => i)), reach(kept)];
  for (const [column, range] of whole) if (column >= 0 && column < 120) expect(thin.get(column)).toEqual(range);
  expect([...kept]).toEqual([...kept].sort((a, b) => a - b));
  expect(kept.length).toBeLessThan(n * 0.95);
});

test('a density counts every row of the view once, in the cell where it lies', () => {
  let state = 3;
  const next = (): number => (state = (state * 16807) % 2147483647) / 2147483647;
  const lines = [0, 1].map(() => {
    const line = new Line({ coloured: false });
    line.append(batch(0, Array.from({ length: 5000 }, () => next() * 100), Array.from({ length: 5000 }, () => next() * 50), Array.from({ length: 5000 }, (_, i) => (i % 10 === 0 ? 1 : 0))));
    return line;
  });
  const view = { x0: 20, x1: 80, y0: 10, y1: 40, width: 120, height: 60 };
  const { x, y, counts, most } = countCells(lines, view);
  const inView = (px: number, py: number): boolean => px > view.x0 && px < view.x1 && py > view.y0 && py < view.y1;
  let [expected, counted] = [0, 0];
  for (const { x: xs, y: ys, n } of lines) for (let i = 0; i < n; i += 1) if (inView(xs[i]!, ys[i]!)) expected += 1;
  counts.forEach((count, i) => { if (inView(x[i]!, y[i]!)) counted += count; });
  expect(counted).toBe(expected);
  expect(Math.max(...counts)).toBe(most);
  // Cells lie on whole pixels.
  const px = [...x].map((at) => ((at - view.x0) / 60) * 120 - CELL_PX / 2);
  expect(px.every((at) => Math.abs(at / CELL_PX - Math.round(at / CELL_PX)) < 1e-9)).toBe(true);
});
