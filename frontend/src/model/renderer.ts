/** What both renderers can do; the plot knows no more of them. */

import type { Rgb } from './colour';
import type { Part } from './scene';
import type { PixelView } from './viewport';

/** `cells`: squares of `CELL_PX` around each record. */
export type DrawnMark = 'line' | 'points' | 'cells';

export interface DrawItem {
  part: Part;
  /** The window of the part's layer. */
  view: PixelView;
  /** What is drawn through or at the records, in this order. */
  marks: readonly DrawnMark[];
  colour: Rgb;
  /** Index into the layer's table = colour value * scale + offset; `null`: all rows in `colour`. */
  ramp: { scale: number; offset: number; table: number } | null;
  /** Share of the largest area = size value * scale + offset; `null`: all points alike. */
  size: { scale: number; offset: number } | null;
  /** Width of lines and radius of points, in CSS pixels. */
  width: number;
  radius: number;
  /** Share of the colour that gives way to the ground. */
  fade: number;
}

export interface Picture {
  width: number;
  height: number;
  items: DrawItem[];
  /** 256 colours for each layer, RGBA8, one after another. */
  tables: Uint8Array<ArrayBuffer>;
  ground: Rgb;
  /** Device pixels per CSS pixel. */
  ratio: number;
}

export interface Pixels {
  width: number;
  height: number;
  /** RGBA, not premultiplied where opaque; rows from the top. */
  data: Uint8ClampedArray;
}

export type RendererKind = 'webgpu' | 'canvas';

export interface Renderer {
  readonly kind: RendererKind;
  /** Resolves when the picture is complete. */
  draw(picture: Picture): Promise<void>;
  readPixels(picture: Picture): Promise<Pixels>;
  destroy(): void;
}

export interface RendererHandle {
  renderer: Renderer;
  /** Why it is not WebGPU, in words for the user; empty when it is, or when that is as it should be. */
  notice: string;
}

/** `onLost`: the renderer is of no more use; ask for another, on a fresh canvas, with the number of those lost before. */
export type RendererFactory = (canvas: HTMLCanvasElement, lostBefore: number, onLost: () => void) => Promise<RendererHandle>;

export const LINE_WIDTH_PX = 1.4;
export const POINT_RADIUS_PX = 2.4;
/** Of sized points, from the least to the greatest value. */
export const SIZED_RADIUS_PX = [1.6, 11] as const;

/** Radius of a sized point, in CSS pixels: its area grows evenly with the value. */
export function sizedRadius(share: number): number {
  const [least, most] = SIZED_RADIUS_PX;
  return Math.sqrt(least * least + Math.max(0, Math.min(1, share)) * (most * most - least * least));
}
