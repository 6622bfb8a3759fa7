/**
 * The window onto the data, in axis space: values relative to the axis' origin, log10 of them on a log axis.
 * All transformations to pixels are linear from here on.
 */

export interface Range {
  min: number;
  max: number;
}

export interface View {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

/** A view with the device pixels that it fills. */
export interface PixelView extends View {
  width: number;
  height: number;
}

export interface Extents {
  x: Range | null;
  y: Range | null;
}

export type Axes = 'x' | 'y' | 'both';

/** Below this share of the magnitude neighbouring float64 values would no longer be told apart. */
const FINEST = 2 ** -44;
const WIDEST = 1e300;

function padded(range: Range | null, share: number): [number, number] {
  if (!range) return [0, 1];
  const span = range.max - range.min;
  if (span > 0) {
    // Halves first: the span itself may pass the largest float64.
    const pad = Number.isFinite(span) ? span * share : 0;
    return [range.min - pad, range.max + pad];
  }
  const pad = Math.max(Math.abs(range.min) * 0.05, 0.5);
  return [range.min - pad, range.max + pad];
}

export function fitView(extents: Extents): View {
  const [x0, x1] = padded(extents.x, 0.015);
  const [y0, y1] = padded(extents.y, 0.05);
  return { x0, x1, y0, y1 };
}

export function panView(view: View, dx: number, dy: number): View {
  return { x0: view.x0 + dx, x1: view.x1 + dx, y0: view.y0 + dy, y1: view.y1 + dy };
}

function zoomSpan(low: number, high: number, at: number, factor: number): [number, number] {
  const next: [number, number] = [at + (low - at) * factor, at + (high - at) * factor];
  const span = next[1] - next[0];
  const magnitude = Math.max(Math.abs(next[0]), Math.abs(next[1]));
  const legal = span > magnitude * FINEST && span > 1e-300 && span < WIDEST;
  return legal ? next : [low, high];
}

/** Zoom by `factor` (< 1 is nearer) about the point (`ax`, `ay`) in axis space. */
export function zoomView(view: View, ax: number, ay: number, factor: number, axes: Axes): View {
  const [x0, x1] = axes === 'y' ? [view.x0, view.x1] : zoomSpan(view.x0, view.x1, ax, factor);
  const [y0, y1] = axes === 'x' ? [view.y0, view.y1] : zoomSpan(view.y0, view.y1, ay, factor);
  return { x0, x1, y0, y1 };
}

export function sameView(a: View, b: View): boolean {
  return a.x0 === b.x0 && a.x1 === b.x1 && a.y0 === b.y0 && a.y1 === b.y1;
}

export function union(a: Range | null, b: Range | null): Range | null {
  if (!a || !b) return a ?? b;
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}
