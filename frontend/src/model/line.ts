/**
 * The rows of one run on the bound axes, in drawing order: by x, ties in row order.
 * Values are float64 in axis space. A row that has no place on x is left out; one that has no place on y
 * stays as NaN and breaks the line there.
 */

import { union, type Range } from './viewport';

export const CHUNK_ROWS = 65_536;

export const REASONS = ['nonFinite', 'log', 'hidden', 'noAttribute'] as const;
export type Reason = (typeof REASONS)[number];
export type NotDrawn = Record<Reason, number>;

/** `reasons[i]` is 0 for a drawable row, else 1 + the index into `REASONS`. */
export interface Batch {
  firstRow: number;
  rows: number;
  x: Float64Array;
  y: Float64Array;
  c: Float64Array | null;
  reasons: Uint8Array;
}

export function nothingLeftOut(): NotDrawn {
  return { nonFinite: 0, log: 0, hidden: 0, noAttribute: 0 };
}

/** First index in [from, to) whose value is not below `value`. */
export function lowerBound(values: Float64Array, value: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function upperBound(values: Float64Array, value: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function grown<T extends Float64Array | Uint32Array>(array: T, rows: number): T {
  if (rows <= array.length) return array;
  const next = new (array.constructor as new (length: number) => T)(Math.max(rows, array.length * 2));
  next.set(array as never);
  return next;
}

export class Line {
  x = new Float64Array(1024);
  y = new Float64Array(1024);
  c: Float64Array | null;
  /** Row number at each position, or `null` while position and row number are the same. */
  rowOf: Uint32Array | null = null;
  /** Positions in use. */
  n = 0;
  /** Rows behind the line, drawable or not. */
  rows = 0;
  /** Grows when a position that was there before changes. */
  version = 0;
  notDrawn = nothingLeftOut();
  rangeX: Range | null = null;
  rangeY: Range | null = null;
  rangeC: Range | null = null;
  private chunkRanges: { version: number; rows: number; y: Range | null }[] = [];

  constructor(coloured: boolean) {
    this.c = coloured ? new Float64Array(1024) : null;
  }

  get drawable(): number {
    return this.rows - REASONS.reduce((sum, reason) => sum + this.notDrawn[reason], 0);
  }

  append(batch: Batch): void {
    const kept = this.place(batch);
    if (kept.length < batch.rows || batch.firstRow !== this.n) this.nameRows();
    this.rows += batch.rows;
    if (kept.length === 0) return;
    const { x } = batch;
    let ascending = true;
    for (let i = 1; i < kept.length && ascending; i += 1) ascending = x[kept[i]!]! >= x[kept[i - 1]!]!;
    if (!ascending) {
      kept.sort((a, b) => x[a]! - x[b]! || a - b);
      this.nameRows();
    }
    if (this.n > 0 && x[kept[0]!]! < this.x[this.n - 1]!) this.merge(batch, kept);
    else this.push(batch, kept);
  }

  /** y range of the rows in drawing-order chunk `chunk`. */
  chunkRangeY(chunk: number): Range | null {
    const from = chunk * CHUNK_ROWS;
    const rows = Math.min(CHUNK_ROWS, this.n - from);
    const known = this.chunkRanges[chunk];
    if (known && known.version === this.version && known.rows === rows) return known.y;
    const start = known && known.version === this.version ? known.rows : 0;
    let range = start > 0 ? known!.y : null;
    for (let i = from + start; i < from + rows; i += 1) {
      const v = this.y[i]!;
      if (v !== v) continue;
      if (range === null) range = { min: v, max: v };
      else if (v < range.min) range = { min: v, max: range.max };
      else if (v > range.max) range = { min: range.min, max: v };
    }
    this.chunkRanges[chunk] = { version: this.version, rows, y: range };
    return range;
  }

  rowAt(position: number): number {
    return this.rowOf ? this.rowOf[position]! : position;
  }

  /** Counts what cannot be drawn, takes the ranges, and returns the indices that have a place on x. */
  private place(batch: Batch): Uint32Array {
    const kept = new Uint32Array(batch.rows);
    const { x, y, c, reasons } = batch;
    let n = 0;
    let [x0, x1, y0, y1, c0, c1] = [Infinity, -Infinity, Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < batch.rows; i += 1) {
      const reason = reasons[i]!;
      const vx = x[i]!;
      if (reason > 0) {
        this.notDrawn[REASONS[reason - 1]!] += 1;
        y[i] = NaN;
        if (vx - vx !== 0) continue;
        kept[n++] = i;
        continue;
      }
      kept[n++] = i;
      const vy = y[i]!;
      if (vx < x0) x0 = vx;
      if (vx > x1) x1 = vx;
      if (vy < y0) y0 = vy;
      if (vy > y1) y1 = vy;
      if (c) {
        const vc = c[i]!;
        if (vc < c0) c0 = vc;
        if (vc > c1) c1 = vc;
      }
    }
    if (x0 <= x1) this.rangeX = union(this.rangeX, { min: x0, max: x1 });
    if (y0 <= y1) this.rangeY = union(this.rangeY, { min: y0, max: y1 });
    if (c0 <= c1) this.rangeC = union(this.rangeC, { min: c0, max: c1 });
    return kept.subarray(0, n);
  }

  private nameRows(): void {
    if (this.rowOf) return;
    this.rowOf = new Uint32Array(this.x.length);
    for (let i = 0; i < this.n; i += 1) this.rowOf[i] = i;
  }

  private reserve(rows: number): void {
    this.x = grown(this.x, rows);
    this.y = grown(this.y, rows);
    if (this.c) this.c = grown(this.c, rows);
    if (this.rowOf) this.rowOf = grown(this.rowOf, rows);
  }

  private push(batch: Batch, kept: Uint32Array): void {
    this.reserve(this.n + kept.length);
    if (!this.rowOf) {
      this.x.set(batch.x.subarray(0, batch.rows), this.n);
      this.y.set(batch.y.subarray(0, batch.rows), this.n);
      this.c?.set(batch.c!.subarray(0, batch.rows), this.n);
      this.n += kept.length;
      return;
    }
    for (const i of kept) this.put(this.n++, batch, i);
  }

  private put(at: number, batch: Batch, i: number): void {
    this.x[at] = batch.x[i]!;
    this.y[at] = batch.y[i]!;
    if (this.c) this.c[at] = batch.c![i]!;
    this.rowOf![at] = batch.firstRow + i;
  }

  /** Rows that came late in x: merged from the back, so that nothing is copied twice. */
  private merge(batch: Batch, kept: Uint32Array): void {
    this.nameRows();
    this.reserve(this.n + kept.length);
    this.version += 1;
    const { x, y, c } = this;
    const rowOf = this.rowOf!;
    let old = this.n - 1;
    let late = kept.length - 1;
    for (let at = this.n + kept.length - 1; late >= 0; at -= 1) {
      if (old >= 0 && x[old]! > batch.x[kept[late]!]!) {
        x[at] = x[old]!;
        y[at] = y[old]!;
        if (c) c[at] = c[old]!;
        rowOf[at] = rowOf[old]!;
        old -= 1;
      } else {
        this.put(at, batch, kept[late]!);
        late -= 1;
      }
    }
    this.n += kept.length;
  }
}
