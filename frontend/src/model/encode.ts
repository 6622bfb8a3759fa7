/** From float64 axis space to the float32 parts of a scene. All subtractions happen here, in float64. */

import { clipSegment } from './clip';
import { COLUMN_FLOATS } from './envelope';
import { CHUNK_ROWS, type Line } from './line';
import { BREAK, FLOATS_PER, type Frame32 } from './scene';
import type { PixelView } from './viewport';

/** Values farther than this many views from the centre are cut off, in float64, before they lose digits in float32. */
const FAR_VIEWS = 64;
const FAR_COLUMNS = 4096;

/** A power of two by which to divide, so that deltas of this span stay well inside float32. */
export function unitFor(span: number): number {
  if (span === 0 || (span > 1e-20 && span < 1e20)) return 1;
  return 2 ** Math.floor(Math.log2(Math.min(span, 1e300)));
}

/** Whether float32 relative to the chunk would move a row by more than an eighth of a pixel. */
export function needsAnchor(chunkSpan: number, viewSpan: number, pixels: number): boolean {
  return chunkSpan / viewSpan > 2 ** 24 / (4 * pixels);
}

/** Positions of chunk `chunk`: each but the first begins with the last row of the chunk before, so that lines run through. */
export function chunkPositions(line: Line, chunk: number): [number, number] {
  return [Math.max(0, chunk * CHUNK_ROWS - 1), Math.min(line.n, (chunk + 1) * CHUNK_ROWS)];
}

export function encodeRows(line: Line, from: number, to: number, frame: Frame32): Float32Array<ArrayBuffer> {
  const out = new Float32Array((to - from) * FLOATS_PER.rows);
  const { x, y, c } = line;
  const { bx, by, bc, ux, uy } = frame;
  for (let i = from, o = 0; i < to; i += 1, o += 3) {
    const vy = y[i]!;
    out[o] = (x[i]! - bx) / ux;
    out[o + 1] = vy === vy ? (vy - by) / uy : BREAK;
    out[o + 2] = c ? c[i]! - bc : 0;
  }
  return out;
}

export function viewFrame(view: PixelView, bc: number): Frame32 {
  return {
    bx: view.x0 + (view.x1 - view.x0) / 2,
    by: view.y0 + (view.y1 - view.y0) / 2,
    bc,
    ux: 2 ** Math.floor(Math.log2(view.x1 - view.x0)),
    uy: 2 ** Math.floor(Math.log2(view.y1 - view.y0)),
  };
}

/** Rows relative to the view's centre; segments are cut at a box far outside the view, so their slope stays exact. */
export function encodeAnchored(line: Line, from: number, to: number, frame: Frame32, joined: boolean): Float32Array<ArrayBuffer> {
  const out = new Float32Array((to - from) * 3 * FLOATS_PER.rows);
  const { x, y, c } = line;
  let used = 0;
  const put = (px: number, py: number, pc: number): void => {
    out[used] = px;
    out[used + 1] = py;
    out[used + 2] = pc;
    used += 3;
  };
  const inside = (px: number, py: number): boolean => Math.abs(px) <= FAR_VIEWS && Math.abs(py) <= FAR_VIEWS;
  let [ax, ay] = [NaN, NaN];
  for (let i = from; i < to; i += 1) {
    const bx = (x[i]! - frame.bx) / frame.ux;
    const by = (y[i]! - frame.by) / frame.uy;
    const bc = c ? c[i]! - frame.bc : 0;
    const cut = joined && ay === ay && by === by && !(inside(ax, ay) && inside(bx, by));
    const t = cut ? clipSegment(ax, ay, bx, by, -FAR_VIEWS, -FAR_VIEWS, FAR_VIEWS, FAR_VIEWS) : null;
    if (t) {
      if (!inside(ax, ay)) {
        const px = ax + t[0] * (bx - ax);
        put(px, BREAK, bc);
        put(px, ay + t[0] * (by - ay), bc);
      }
      if (!inside(bx, by)) put(ax + t[1] * (bx - ax), ay + t[1] * (by - ay), bc);
    }
    if (by === by && inside(bx, by)) put(bx, by, bc);
    else if (used > 0 && out[used - 2] !== BREAK) put(out[used - 3]!, BREAK, bc);
    ax = bx;
    ay = by;
  }
  return out.slice(0, used);
}

export function encodeColumns(records: Float64Array, frame: Frame32): Float32Array<ArrayBuffer> {
  const out = new Float32Array(records.length);
  const near = (value: number): number => Math.max(-FAR_COLUMNS, Math.min(FAR_COLUMNS, value));
  for (let o = 0; o < records.length; o += COLUMN_FLOATS) {
    out[o] = near((records[o]! - frame.bx) / frame.ux);
    for (let k = 1; k <= 4; k += 1) out[o + k] = near((records[o + k]! - frame.by) / frame.uy);
    out[o + 5] = records[o + 5]! - frame.bc;
    out[o + 6] = records[o + 6]!;
    out[o + 7] = records[o + 7]!;
  }
  return out;
}
