/** From float64 axis space to the float32 parts of a scene. All subtractions happen here, in float64. */

import { clipSegment } from './clip';
import { COLUMN_FLOATS } from './envelope';
import { CHUNK_ROWS, type Line } from './line';
import { BREAK, type Frame32 } from './scene';
import type { PixelView } from './viewport';

/** Values farther than this many views from the centre are cut off, in float64, before they lose digits in float32. */
const FAR_VIEWS = 64;
const FAR_COLUMNS = 4096;

/** How rows become records: with a size, with a corner between each two. */
export interface Form {
  sized: boolean;
  step: boolean;
}

/** Rows in drawing order: a line, or what was picked from one. */
export type Polyline = Pick<Line, 'x' | 'y' | 'c' | 's' | 'n'>;

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
export function chunkPositions(line: { n: number }, chunk: number): [number, number] {
  return [Math.max(0, chunk * CHUNK_ROWS - 1), Math.min(line.n, (chunk + 1) * CHUNK_ROWS)];
}

/** `before`: the part holds the row before `from` already, so that a step starts from it. */
export function encodeRows(line: Polyline, from: number, to: number, frame: Frame32, form: Form, before = false): Float32Array<ArrayBuffer> {
  const stride = form.sized ? 4 : 3;
  const out = new Float32Array((to - from) * stride * (form.step ? 2 : 1));
  const { x, y, c, s } = line;
  const { bx, by, bc, bs, ux, uy } = frame;
  let held = before && from > 0 ? y[from - 1]! : NaN;
  for (let i = from, o = 0; i < to; i += 1, o += stride) {
    const vx = x[i]!;
    const vy = y[i]!;
    const px = vx === vx ? (vx - bx) / ux : 0;
    const py = vy === vy ? (vy - by) / uy : BREAK;
    const pc = c ? c[i]! - bc : 0;
    if (form.step) {
      out[o] = px;
      // Where a stretch begins there is no corner: a row alone is then seen to be alone.
      out[o + 1] = held === held && py !== BREAK ? (held - by) / uy : BREAK;
      out[o + 2] = pc;
      o += stride;
      held = vy;
    }
    out[o] = px;
    out[o + 1] = py;
    out[o + 2] = pc;
    if (form.sized) out[o + 3] = s![i]! - bs;
  }
  return out;
}

export function viewFrame(view: PixelView, bc: number, bs = 0): Frame32 {
  return {
    bx: view.x0 + (view.x1 - view.x0) / 2,
    by: view.y0 + (view.y1 - view.y0) / 2,
    bc,
    bs,
    ux: 2 ** Math.floor(Math.log2(view.x1 - view.x0)),
    uy: 2 ** Math.floor(Math.log2(view.y1 - view.y0)),
  };
}

/** The corners of a staircase through positions [from, to). */
export function stepped(line: Polyline, from: number, to: number): Polyline {
  const n = 2 * (to - from);
  const out = { x: new Float64Array(n), y: new Float64Array(n), c: line.c && new Float64Array(n), s: null, n };
  let held = NaN;
  for (let i = from, o = 0; i < to; i += 1, o += 2) {
    const vy = line.y[i]!;
    out.x[o] = out.x[o + 1] = line.x[i]!;
    out.y[o] = vy === vy ? held : NaN;
    out.y[o + 1] = held = vy;
    if (out.c) out.c[o] = out.c[o + 1] = line.c![i]!;
  }
  return out;
}

/** Rows relative to the view's centre; segments are cut at a box far outside the view, so their slope stays exact. */
export function encodeAnchored(line: Polyline, from: number, to: number, frame: Frame32, joined: boolean, sized = false): Float32Array<ArrayBuffer> {
  const stride = sized ? 4 : 3;
  const out = new Float32Array((to - from) * 3 * stride);
  const { x, y, c, s } = line;
  let used = 0;
  const put = (px: number, py: number, pc: number, ps: number): void => {
    out[used] = px;
    out[used + 1] = py;
    out[used + 2] = pc;
    if (sized) out[used + 3] = ps;
    used += stride;
  };
  const inside = (px: number, py: number): boolean => Math.abs(px) <= FAR_VIEWS && Math.abs(py) <= FAR_VIEWS;
  let [ax, ay] = [NaN, NaN];
  for (let i = from; i < to; i += 1) {
    const bx = (x[i]! - frame.bx) / frame.ux;
    const by = (y[i]! - frame.by) / frame.uy;
    const bc = c ? c[i]! - frame.bc : 0;
    const bs = s ? s[i]! - frame.bs : 0;
    const cut = joined && ay === ay && by === by && !(inside(ax, ay) && inside(bx, by));
    const t = cut ? clipSegment(ax, ay, bx, by, -FAR_VIEWS, -FAR_VIEWS, FAR_VIEWS, FAR_VIEWS) : null;
    if (t) {
      if (!inside(ax, ay)) {
        const px = ax + t[0] * (bx - ax);
        put(px, BREAK, bc, bs);
        put(px, ay + t[0] * (by - ay), bc, bs);
      }
      if (!inside(bx, by)) put(ax + t[1] * (bx - ax), ay + t[1] * (by - ay), bc, bs);
    }
    if (by === by && inside(bx, by)) put(bx, by, bc, bs);
    else if (used > 0 && out[used - stride + 1] !== BREAK) put(out[used - stride]!, BREAK, bc, bs);
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

/** The rows at these positions, in their order. */
export function picked(line: Polyline, positions: Uint32Array): Polyline {
  const of = (values: Float64Array | null): Float64Array<ArrayBuffer> | null => {
    if (!values) return null;
    const out = new Float64Array(positions.length);
    for (let k = 0; k < out.length; k += 1) out[k] = values[positions[k]!]!;
    return out;
  };
  return { x: of(line.x)!, y: of(line.y)!, c: of(line.c), s: of(line.s), n: positions.length };
}
