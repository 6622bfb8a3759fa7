/**
 * The rows of one line on the bound axes, in drawing order: by x, or by another order; ties in row order.
 * Values are float64 in axis space. A row that has no place on x is left out; one that has no place on y
 * stays as NaN and breaks the line there. In another order than x a row without a place on x breaks it, too.
 */

import { union, type Range } from './viewport';

export const CHUNK_ROWS = 65_536;

export const REASONS = ['nonFinite', 'log', 'hidden', 'noAttribute', 'filtered'] as const;
export type Reason = (typeof REASONS)[number];
export type NotDrawn = Record<Reason, number>;

/** `reasons[i]` is 0 for a drawable row, else 1 + the index into `REASONS`. */
export interface Batch {
  firstRow: number;
  rows: number;
  /** Row numbers, where they do not simply count up from `firstRow`. */
  numbers?: Uint32Array;
  x: Float64Array;
  y: Float64Array;
  c: Float64Array | null;
  /** For the size of points. */
  s?: Float64Array | null;
  /** In place of x, what the rows are ordered by. */
  o?: Float64Array | null;
  reasons: Uint8Array;
}

/** What a line carries besides x and y. */
export interface LineKind {
  coloured: boolean;
  sized?: boolean;
  /** By another value than x. */
  ordered?: boolean;
}

export function nothingLeftOut(): NotDrawn {
  return { nonFinite: 0, log: 0, hidden: 0, noAttribute: 0, filtered: 0 };
}

export function reasonCode(reason: Reason): number {
  return REASONS.indexOf(reason) + 1;
}

const FILTERED = reasonCode('filtered');

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

type Extra = 'c' | 's' | 'o';
const EXTRAS: readonly Extra[] = ['c', 's', 'o'];

export class Line {
  x = new Float64Array(1024);
  y = new Float64Array(1024);
  c: Float64Array | null;
  s: Float64Array | null;
  o: Float64Array | null;
  /** Row number at each position, or `null` while position and row number are the same. */
  rowOf: Uint32Array | null = null;
  /** Positions in use. */
  n = 0;
  /** Rows behind the line, drawable or not. */
  rows = 0;
  /** Grows when a position that was there before changes. */
  version = 0;
  /** Whether x never falls along the line, so that it can be searched. */
  rising = true;
  notDrawn = nothingLeftOut();
  rangeX: Range | null = null;
  rangeY: Range | null = null;
  rangeC: Range | null = null;
  rangeS: Range | null = null;
  private chunkRanges: { version: number; rows: number; y: Range | null }[] = [];

  constructor({ coloured, sized = false, ordered = false }: LineKind) {
    this.c = coloured ? new Float64Array(1024) : null;
    this.s = sized ? new Float64Array(1024) : null;
    this.o = ordered ? new Float64Array(1024) : null;
  }

  get drawable(): number {
    return this.rows - REASONS.reduce((sum, reason) => sum + this.notDrawn[reason], 0);
  }

  append(batch: Batch): void {
    const kept = this.place(batch);
    if (kept.length < batch.rows || batch.numbers || batch.firstRow !== this.n) this.nameRows();
    this.rows += batch.rows;
    if (kept.length === 0) return;
    const key = batch.o ?? batch.x;
    let ascending = true;
    for (let i = 1; i < kept.length && ascending; i += 1) ascending = key[kept[i]!]! >= key[kept[i - 1]!]!;
    if (!ascending) {
      kept.sort((a, b) => key[a]! - key[b]! || a - b);
      this.nameRows();
    }
    const before = this.n;
    if (before > 0 && key[kept[0]!]! < this.keys[before - 1]!) this.merge(batch, kept);
    else this.push(batch, kept);
    if (this.o) this.checkRising(this.version > 0 ? 0 : before);
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

  /** x range of positions [from, to): of a line in another order than x, its whole range. */
  spanX(from: number, to: number): number {
    if (this.rising) return this.x[to - 1]! - this.x[from]!;
    return this.rangeX ? this.rangeX.max - this.rangeX.min : 0;
  }

  rowAt(position: number): number {
    return this.rowOf ? this.rowOf[position]! : position;
  }

  private get keys(): Float64Array {
    return this.o ?? this.x;
  }

  private checkRising(from: number): void {
    if (from === 0) this.rising = true;
    for (let i = Math.max(1, from); i < this.n && this.rising; i += 1) this.rising = this.x[i]! >= this.x[i - 1]!;
  }

  /** Counts what cannot be drawn, takes the ranges, and returns the indices that have a place in the order. */
  private place(batch: Batch): Uint32Array {
    const kept = new Uint32Array(batch.rows);
    const { x, y, reasons } = batch;
    const key = batch.o ?? x;
    let n = 0;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < batch.rows; i += 1) {
      const reason = reasons[i]!;
      const vx = x[i]!;
      if (reason > 0) {
        this.notDrawn[REASONS[reason - 1]!] += 1;
        y[i] = NaN;
        // What the row filter leaves out does not interrupt a line.
        if (reason !== FILTERED && key[i]! - key[i]! === 0) kept[n++] = i;
        continue;
      }
      kept[n++] = i;
      const vy = y[i]!;
      if (vx < x0) x0 = vx;
      if (vx > x1) x1 = vx;
      if (vy < y0) y0 = vy;
      if (vy > y1) y1 = vy;
    }
    if (x0 <= x1) this.rangeX = union(this.rangeX, { min: x0, max: x1 });
    if (y0 <= y1) this.rangeY = union(this.rangeY, { min: y0, max: y1 });
    if (batch.c) this.rangeC = union(this.rangeC, rangeOf(batch.c, reasons));
    if (batch.s) this.rangeS = union(this.rangeS, rangeOf(batch.s, reasons));
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
    for (const key of EXTRAS) if (this[key]) this[key] = grown(this[key], rows);
    if (this.rowOf) this.rowOf = grown(this.rowOf, rows);
  }

  private push(batch: Batch, kept: Uint32Array): void {
    this.reserve(this.n + kept.length);
    if (!this.rowOf) {
      this.x.set(batch.x.subarray(0, batch.rows), this.n);
      this.y.set(batch.y.subarray(0, batch.rows), this.n);
      for (const key of EXTRAS) this[key]?.set(batch[key]!.subarray(0, batch.rows), this.n);
      this.n += kept.length;
      return;
    }
    for (const i of kept) this.put(this.n++, batch, i);
  }

  private put(at: number, batch: Batch, i: number): void {
    this.x[at] = batch.x[i]!;
    this.y[at] = batch.y[i]!;
    if (this.c) this.c[at] = batch.c![i]!;
    if (this.s) this.s[at] = batch.s![i]!;
    if (this.o) this.o[at] = batch.o![i]!;
    this.rowOf![at] = batch.numbers ? batch.numbers[i]! : batch.firstRow + i;
  }

  private shift(to: number, from: number): void {
    this.x[to] = this.x[from]!;
    this.y[to] = this.y[from]!;
    if (this.c) this.c[to] = this.c[from]!;
    if (this.s) this.s[to] = this.s[from]!;
    if (this.o) this.o[to] = this.o[from]!;
    this.rowOf![to] = this.rowOf![from]!;
  }

  /** Rows that came late in the order: merged from the back, so that nothing is copied twice. */
  private merge(batch: Batch, kept: Uint32Array): void {
    this.nameRows();
    this.reserve(this.n + kept.length);
    this.version += 1;
    const { keys } = this;
    const late = batch.o ?? batch.x;
    let old = this.n - 1;
    let next = kept.length - 1;
    for (let at = this.n + kept.length - 1; next >= 0; at -= 1) {
      if (old >= 0 && keys[old]! > late[kept[next]!]!) {
        this.shift(at, old);
        old -= 1;
      } else {
        this.put(at, batch, kept[next]!);
        next -= 1;
      }
    }
    this.n += kept.length;
  }
}

function rangeOf(values: Float64Array, reasons: Uint8Array): Range | null {
  let [min, max] = [Infinity, -Infinity];
  for (let i = 0; i < reasons.length; i += 1) {
    const v = values[i]!;
    if (reasons[i]! > 0) continue;
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return min <= max ? { min, max } : null;
}
