/** How many rows lie in each cell of a grid over the view: every row counts, none hides another. */

import { lowerBound, upperBound, type Line } from './line';
import { MARGIN } from './plan';
import type { PixelView } from './viewport';

/** Device pixels of a cell's side. */
export const CELL_PX = 2;
/** Where fewer rows are in view, points say more. */
export const LEAST_ROWS = 4_000;

export interface Cells {
  /** Centres in axis space, and how many rows: always 1 or more. */
  x: Float64Array<ArrayBuffer>;
  y: Float64Array<ArrayBuffer>;
  counts: Float64Array<ArrayBuffer>;
  most: number;
}

export function countCells(lines: Line[], view: PixelView): Cells {
  const wide = Math.ceil((view.width * (1 + 2 * MARGIN)) / CELL_PX);
  const high = Math.ceil((view.height * (1 + 2 * MARGIN)) / CELL_PX);
  const dx = (CELL_PX * (view.x1 - view.x0)) / view.width;
  const dy = (CELL_PX * (view.y1 - view.y0)) / view.height;
  const left = view.x0 - Math.floor((view.width * MARGIN) / CELL_PX) * dx;
  // From the top, so that cells lie on pixels.
  const top = view.y1 + Math.floor((view.height * MARGIN) / CELL_PX) * dy;
  const grid = new Uint32Array(wide * high);
  for (const { x, y, n, rising } of lines) {
    const from = rising ? lowerBound(x, left, 0, n) : 0;
    const to = rising ? upperBound(x, left + wide * dx, from, n) : n;
    for (let i = from; i < to; i += 1) {
      const column = Math.floor((x[i]! - left) / dx);
      const row = Math.floor((top - y[i]!) / dy);
      if (column >= 0 && column < wide && row >= 0 && row < high) grid[row * wide + column]! += 1;
    }
  }
  return collect(grid, wide, (column) => left + (column + 0.5) * dx, (row) => top - (row + 0.5) * dy);
}

function collect(grid: Uint32Array, wide: number, xOf: (column: number) => number, yOf: (row: number) => number): Cells {
  let [used, most] = [0, 0];
  for (const count of grid) {
    if (count > 0) used += 1;
    if (count > most) most = count;
  }
  const cells: Cells = { x: new Float64Array(used), y: new Float64Array(used), counts: new Float64Array(used), most };
  let at = 0;
  grid.forEach((count, i) => {
    if (count === 0) return;
    cells.x[at] = xOf(i % wide);
    cells.y[at] = yOf(Math.floor(i / wide));
    cells.counts[at] = count;
    at += 1;
  });
  return cells;
}
