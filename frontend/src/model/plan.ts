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
/** What is prepared beyond each side of the view, so that a pan has something to show at once. */
export const MARGIN = 0.25;

export type Plan =
  | { kind: 'nothing' }
  | { kind: 'chunks'; first: number; last: number }
  | { kind: 'anchored'; from: number; to: number }
  | { kind: 'envelope'; grid: ColumnGrid }
  | { kind: 'pixels'; from: number; to: number };

export function gridFor(view: PixelView): ColumnGrid {
  const dx = (view.x1 - view.x0) / view.width;
  const margin = Math.ceil(view.width * MARGIN);
  return { x0: view.x0 - margin * dx, dx, columns: view.width + 2 * margin };
}

function chunksNeedAnchor(line: Line, view: PixelView, first: number, last: number): boolean {
  for (let chunk = first; chunk <= last; chunk += 1) {
    const [from, to] = chunkPositions(line, chunk);
    if (needsAnchor(line.x[to - 1]! - line.x[from]!, view.x1 - view.x0, view.width)) return true;
    const y = line.chunkRangeY(chunk);
    if (y && needsAnchor(y.max - y.min, view.y1 - view.y0, view.height)) return true;
  }
  return false;
}

export function planLine(line: Line, view: PixelView, mark: Mark, rowsInView: number): Plan {
  if (line.n === 0 || line.drawable === 0) return { kind: 'nothing' };
  const margin = (view.x1 - view.x0) * MARGIN;
  const from = Math.max(0, lowerBound(line.x, view.x0 - margin, 0, line.n) - 1);
  const to = Math.min(line.n, upperBound(line.x, view.x1 + margin, from, line.n) + 1);
  const inside = upperBound(line.x, view.x1, from, to) - lowerBound(line.x, view.x0, from, to);
  const most = rowsInView > CROWDED_ROWS ? CROWDED_ROWS_PER_COLUMN : ROWS_PER_COLUMN;
  if (mark === 'line' && inside > most * view.width) return { kind: 'envelope', grid: gridFor(view) };
  if (mark === 'points' && rowsInView > POINTS_IN_FULL && inside > view.width) return { kind: 'pixels', from, to };
  const first = Math.floor(from / CHUNK_ROWS);
  const last = Math.floor((to - 1) / CHUNK_ROWS);
  if (chunksNeedAnchor(line, view, first, last)) return { kind: 'anchored', from, to };
  return { kind: 'chunks', first, last };
}

/** How many drawable rows lie inside the view. */
export function rowsInside(line: Line, view: PixelView): number {
  const { x, y } = line;
  const from = lowerBound(x, view.x0, 0, line.n);
  const to = upperBound(x, view.x1, from, line.n);
  const whole = line.rangeY && line.rangeY.min >= view.y0 && line.rangeY.max <= view.y1;
  if (whole && from === 0 && to === line.n) return line.drawable;
  let count = 0;
  for (let i = from; i < to; i += 1) if (y[i]! >= view.y0 && y[i]! <= view.y1) count += 1;
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
