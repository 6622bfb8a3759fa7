/** Level of detail: which form of a line goes to the screen at this view. */

import type { Mark } from './document';
import { chunkPositions, needsAnchor } from './encode';
import type { ColumnGrid } from './envelope';
import { CHUNK_ROWS, lowerBound, upperBound, type Line } from './line';
import type { PixelView } from './viewport';

/** Above this many rows per pixel column a line is drawn as its envelope. */
export const ROWS_PER_COLUMN = 4;
/** Where so many rows are in view, lines lie over each other too densely for joins to show. */
const CROWDED_ROWS = 30_000;
const CROWDED_ROWS_PER_COLUMN = 1;
/** Above this many rows in view, points that fall into one pixel are drawn once. */
export const POINTS_IN_FULL = 100_000;
/** Above this many rows, of a line in another order than x only what reaches out of its pixel columns is drawn. */
export const PATH_IN_FULL = 20_000;
/** What is prepared beyond each side of the view, so that a pan has something to show at once. */
export const MARGIN = 0.25;

export type Plan =
  | { kind: 'nothing' }
  | { kind: 'chunks'; first: number; last: number }
  | { kind: 'anchored'; from: number; to: number }
  | { kind: 'envelope'; grid: ColumnGrid }
  | { kind: 'path' }
  | { kind: 'pixels'; from: number; to: number };

export function gridFor(view: PixelView): ColumnGrid {
  const dx = (view.x1 - view.x0) / view.width;
  const margin = Math.ceil(view.width * MARGIN);
  return { x0: view.x0 - margin * dx, dx, columns: view.width + 2 * margin };
}

function chunksNeedAnchor(line: Line, view: PixelView, first: number, last: number): boolean {
  for (let chunk = first; chunk <= last; chunk += 1) {
    const [from, to] = chunkPositions(line, chunk);
    if (needsAnchor(line.spanX(from, to), view.x1 - view.x0, view.width)) return true;
    const y = line.chunkRangeY(chunk);
    if (y && needsAnchor(y.max - y.min, view.y1 - view.y0, view.height)) return true;
  }
  return false;
}

/** Rows whose x is in view; of a line in another order than x all of them. */
export function rowsAcross(line: Line, view: PixelView): number {
  if (!line.rising) return line.n;
  return upperBound(line.x, view.x1, 0, line.n) - lowerBound(line.x, view.x0, 0, line.n);
}

export function planLine(line: Line, view: PixelView, mark: Mark, rowsInView: number): Plan {
  if (line.n === 0 || line.drawable === 0) return { kind: 'nothing' };
  if (!line.rising) {
    const last = Math.floor((line.n - 1) / CHUNK_ROWS);
    const thick = line.n > PATH_IN_FULL || chunksNeedAnchor(line, view, 0, last);
    return thick ? { kind: 'path' } : { kind: 'chunks', first: 0, last };
  }
  const margin = (view.x1 - view.x0) * MARGIN;
  const from = Math.max(0, lowerBound(line.x, view.x0 - margin, 0, line.n) - 1);
  const to = Math.min(line.n, upperBound(line.x, view.x1 + margin, from, line.n) + 1);
  const inside = upperBound(line.x, view.x1, from, to) - lowerBound(line.x, view.x0, from, to);
  const most = rowsInView > CROWDED_ROWS ? CROWDED_ROWS_PER_COLUMN : ROWS_PER_COLUMN;
  const dots = mark === 'points' || mark === 'density';
  if (!dots && inside > most * view.width) return { kind: 'envelope', grid: gridFor(view) };
  if (dots && rowsInView > POINTS_IN_FULL && inside > view.width) return { kind: 'pixels', from, to };
  const first = Math.floor(from / CHUNK_ROWS);
  const last = Math.floor((to - 1) / CHUNK_ROWS);
  if (chunksNeedAnchor(line, view, first, last)) return { kind: 'anchored', from, to };
  return { kind: 'chunks', first, last };
}

/** How many drawable rows lie inside the view. */
export function rowsInside(line: Line, view: PixelView): number {
  const { x, y } = line;
  const within = (range: Line['rangeY'], low: number, high: number): boolean => !range || (range.min >= low && range.max <= high);
  if (within(line.rangeY, view.y0, view.y1) && within(line.rangeX, view.x0, view.x1)) return line.drawable;
  const from = line.rising ? lowerBound(x, view.x0, 0, line.n) : 0;
  const to = line.rising ? upperBound(x, view.x1, from, line.n) : line.n;
  let count = 0;
  for (let i = from; i < to; i += 1) {
    if (y[i]! >= view.y0 && y[i]! <= view.y1 && x[i]! >= view.x0 && x[i]! <= view.x1) count += 1;
  }
  return count;
}

/** One position per pixel that holds rows: the last in drawing order, as it would lie on top. */
export function onePerPixel(line: Line, view: PixelView, from: number, to: number): Uint32Array {
  const mx = Math.ceil(view.width * MARGIN);
  const my = Math.ceil(view.height * MARGIN);
  const wide = view.width + 2 * mx;
  const high = view.height + 2 * my;
  const kx = view.width / (view.x1 - view.x0);
  const ky = view.height / (view.y1 - view.y0);
  const seen = new Uint8Array(wide * high);
  const kept = new Uint32Array(Math.min(to - from, wide * high));
  let n = 0;
  for (let i = to - 1; i >= from; i -= 1) {
    const px = Math.floor((line.x[i]! - view.x0) * kx) + mx;
    const py = Math.floor((line.y[i]! - view.y0) * ky) + my;
    if (!(px >= 0 && px < wide && py >= 0 && py < high)) continue;
    const at = py * wide + px;
    if (seen[at]) continue;
    seen[at] = 1;
    kept[n++] = i;
  }
  return kept.subarray(0, n).reverse();
}

/**
 * Of a line in any order: for each stretch of rows that stays within one pixel column (or beyond one side of the view)
 * its first, least, greatest and last row, in drawing order. Joined they cover the pixels that the whole line covers,
 * but for one column. A row that cannot be drawn ends a stretch and is kept.
 */
export function thinned(line: Pick<Line, 'x' | 'y' | 'n'>, view: PixelView): Uint32Array {
  const { x, y, n } = line;
  const k = view.width / (view.x1 - view.x0);
  const margin = Math.ceil(view.width * MARGIN);
  const columnOf = (i: number): number => (y[i] === y[i] && x[i] === x[i]
    ? Math.max(-margin - 1, Math.min(view.width + margin, Math.floor((x[i]! - view.x0) * k))) : NaN);
  const kept = new Uint32Array(n);
  let used = 0;
  for (let i = 0; i < n; ) {
    const column = columnOf(i);
    let [j, least, greatest] = [i + 1, i, i];
    while (j < n && columnOf(j) === column) {
      if (y[j]! < y[least]!) least = j;
      if (y[j]! > y[greatest]!) greatest = j;
      j += 1;
    }
    const [low, high] = least < greatest ? [least, greatest] : [greatest, least];
    kept[used++] = i;
    if (low > i) kept[used++] = low;
    if (high > low) kept[used++] = high;
    if (j - 1 > high) kept[used++] = j - 1;
    i = j;
  }
  return kept.subarray(0, used);
}
