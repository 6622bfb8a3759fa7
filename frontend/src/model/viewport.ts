/**
 * The window of one layer onto its data, in axis space: values relative to the axis' origin, or logarithms of them.
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

/** Below this share of the magnitude neighbouring float64 values would no longer be told apart. */
const FINEST = 2 ** -44;
const WIDEST = 1e300;

export function padded(range: Range | null, share: number): [number, number] {
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

export function zoomSpan(low: number, high: number, at: number, factor: number): [number, number] {
  const next: [number, number] = [at + (low - at) * factor, at + (high - at) * factor];
  const span = next[1] - next[0];
  const magnitude = Math.max(Math.abs(next[0]), Math.abs(next[1]));
  const legal = span > magnitude * FINEST && span > 1e-300 && span < WIDEST;
  return legal ? next : [low, high];
}

export function union(a: Range | null, b: Range | null): Range | null {
  if (!a || !b) return a ?? b;
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}
