/** What both renderers can do; the plot knows no more of them. */

import type { Rgb, Table } from './colour';
import type { Part } from './scene';
import type { PixelView } from './viewport';

export interface DrawItem {
  part: Part;
  colour: Rgb;
  /** Index into the table = colour value * scale + offset; `null`: all rows in `colour`. */
  ramp: { scale: number; offset: number } | null;
  /** Share of the colour that gives way to the ground, for lines that are not highlighted. */
  fade: number;
}

export interface Picture {
  view: PixelView;
  items: DrawItem[];
  table: Table;
  ground: Rgb;
  mark: 'line' | 'points';
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
  /** Why it is not WebGPU, in words for the user; empty when it is. */
  notice: string;
}

/** `onLost`: the renderer is of no more use; ask for another, on a fresh canvas, with the number of those lost before. */
export type RendererFactory = (canvas: HTMLCanvasElement, lostBefore: number, onLost: () => void) => Promise<RendererHandle>;

export const LINE_WIDTH_PX = 1.4;
export const POINT_RADIUS_PX = 2.4;
