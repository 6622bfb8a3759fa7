/**
 * Level of detail for lines: per pixel column the first, least, greatest and last value, in float64.
 * Joining first-least-greatest-last of each column and last to the next column's first covers the same pixels
 * as the whole line, but for at most one column: no extreme is ever lost.
 */

import { lowerBound, upperBound, type Line } from './line';

/** x, first, least, greatest, last, colour value, linked to the column before (1 or 0), rows. */
export const COLUMN_FLOATS = 8;

export interface ColumnGrid {
  x0: number;
  /** Width of one pixel column in axis space. */
  dx: number;
  columns: number;
}

type Columnar = Pick<Line, 'x' | 'y' | 'c' | 'n'>;

function endOfColumn(x: Float64Array, from: number, to: number, boundary: number): number {
  let step = 1;
  let low = from;
  while (low + step < to && x[low + step]! < boundary) {
    low += step;
    step *= 2;
  }
  return lowerBound(x, boundary, low + 1, Math.min(to, low + step + 1));
}

/**
 * Returns the records of `COLUMN_FLOATS` values; a neighbour beyond each end keeps the line running out of the picture.
 * `step`: across columns without rows the line holds its last value up to the column before the next.
 */
export function envelope(line: Columnar, grid: ColumnGrid, step = false): Float64Array {
  const { x, y, c, n } = line;
  const from = lowerBound(x, grid.x0, 0, n);
  const to = upperBound(x, grid.x0 + grid.columns * grid.dx, from, n);
  const out = new Float64Array((grid.columns + 4) * COLUMN_FLOATS * (step ? 2 : 1));
  let used = 0;
  let open = false;
  const emit = (at: number, first: number, least: number, greatest: number, last: number, colour: number, rows: number, link: boolean): void => {
    if (step && link && used > 0 && at - out[used - COLUMN_FLOATS]! > 1.5 * grid.dx) {
      const held = out[used - COLUMN_FLOATS + 4]!;
      out.set([at - grid.dx, held, held, held, held, colour, 1, 0], used);
      used += COLUMN_FLOATS;
    }
    out.set([at, first, least, greatest, last, colour, link ? 1 : 0, rows], used);
    used += COLUMN_FLOATS;
  };
  const single = (i: number): void => {
    const v = y[i]!;
    if (v === v) emit(x[i]!, v, v, v, v, c ? c[i]! : 0, 0, open);
    open = v === v;
  };
  if (from > 0) single(from - 1);
  let i = from;
  while (i < to) {
    const column = Math.min(grid.columns - 1, Math.floor((x[i]! - grid.x0) / grid.dx));
    const j = column === grid.columns - 1 ? to : endOfColumn(x, i, to, grid.x0 + (column + 1) * grid.dx);
    let [first, least, greatest, last, colour] = [NaN, Infinity, -Infinity, NaN, 0];
    for (let k = i; k < j; k += 1) {
      const v = y[k]!;
      if (v < least) least = v;
      if (v > greatest) greatest = v;
    }
    if (least <= greatest) {
      let k = i;
      while (y[k] !== y[k]) k += 1;
      first = y[k]!;
      k = j - 1;
      while (y[k] !== y[k]) k -= 1;
      last = y[k]!;
      if (c) colour = c[k]!;
      emit(grid.x0 + (column + 0.5) * grid.dx, first, least, greatest, last, colour, j - i, open && y[i] === y[i]);
    }
    open = y[j - 1] === y[j - 1];
    i = j;
  }
  if (to < n) single(to);
  return out.subarray(0, used);
}
