/** What is on the screen, as both renderers read it: parts of float32 relative to a 64-bit base. */

import type { PixelView } from './viewport';

/** `rows`: x, y, colour of each row. `sized`: and its size. `cells`: x, y, log10 of the count. `columns`: see `envelope.ts`. */
export type PartKind = 'rows' | 'sized' | 'cells' | 'columns';

export const FLOATS_PER: Record<PartKind, number> = { rows: 3, sized: 4, cells: 3, columns: 8 };

/** value = base + unit * float32; the units are powers of two. Colour and size have a base only. */
export interface Frame32 {
  bx: number;
  by: number;
  bc: number;
  bs: number;
  ux: number;
  uy: number;
}

export interface PartInit extends Frame32 {
  key: string;
  /** Which layer, and which of its lines. */
  layer: number;
  line: string;
  kind: PartKind;
  /** Whether x never falls from record to record, so that it can be searched. */
  rising: boolean;
  /** The raw line behind a smoothed one. */
  faint?: boolean;
  data: Float32Array<ArrayBuffer>;
}

export type Patch =
  | { op: 'put'; part: PartInit }
  | { op: 'append'; key: string; data: Float32Array<ArrayBuffer> }
  | { op: 'drop'; key: string };

/** In place of a y that cannot be drawn; finite, because shaders may assume that there is no NaN. */
export const BREAK = Math.fround(3e38);
export const BREAK_ABOVE = 1e38;

let revisions = 0;

export class Part {
  readonly key: string;
  readonly layer: number;
  readonly line: string;
  readonly kind: PartKind;
  readonly rising: boolean;
  readonly faint: boolean;
  readonly frame: Frame32;
  /** Another number for other contents; appending keeps it. */
  readonly revision = ++revisions;
  data: Float32Array<ArrayBuffer>;
  floats: number;

  constructor(init: PartInit) {
    this.key = init.key;
    this.layer = init.layer;
    this.line = init.line;
    this.kind = init.kind;
    this.rising = init.rising;
    this.faint = init.faint ?? false;
    this.frame = init;
    this.data = init.data;
    this.floats = init.data.length;
  }

  get count(): number {
    return this.floats / FLOATS_PER[this.kind];
  }

  append(tail: Float32Array): void {
    const needed = this.floats + tail.length;
    if (needed > this.data.length) {
      const next = new Float32Array(Math.max(needed, this.data.length * 2));
      next.set(this.data.subarray(0, this.floats));
      this.data = next;
    }
    this.data.set(tail, this.floats);
    this.floats = needed;
  }
}

export class Scene {
  readonly parts = new Map<string, Part>();

  apply(patches: Patch[]): void {
    for (const patch of patches) {
      if (patch.op === 'put') this.parts.set(patch.part.key, new Part(patch.part));
      else if (patch.op === 'append') this.parts.get(patch.key)?.append(patch.data);
      else this.parts.delete(patch.key);
    }
  }

  clear(): void {
    this.parts.clear();
  }
}

/** px = offset + scale * float32, computed in float64 from the part's base and the view. y grows downwards. */
export interface Placement {
  sx: number;
  ox: number;
  sy: number;
  oy: number;
}

export function placement(frame: Frame32, view: PixelView): Placement {
  const kx = view.width / (view.x1 - view.x0);
  const ky = view.height / (view.y1 - view.y0);
  return {
    sx: frame.ux * kx,
    ox: (frame.bx - view.x0) * kx,
    sy: -frame.uy * ky,
    oy: (view.y1 - frame.by) * ky,
  };
}

/** Indices [from, to) of the records that can touch the view; all of them where records do not lie in x order. */
export function visibleRecords(part: Part, at: Placement, width: number, marginPx: number): [number, number] {
  if (!part.rising) return [0, part.count];
  const stride = FLOATS_PER[part.kind];
  const find = (px: number): number => {
    const value = (px - at.ox) / at.sx;
    let low = 0;
    let high = part.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (part.data[middle * stride]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [Math.max(0, find(-marginPx) - 1), Math.min(part.count, find(width + marginPx) + 1)];
}
