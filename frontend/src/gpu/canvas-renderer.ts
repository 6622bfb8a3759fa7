/** Draws the same parts with Canvas2D, where there is no WebGPU. */

import { clipSegment } from '../model/clip';
import { CELL_PX } from '../model/density';
import { css, mix, type Rgb } from '../model/colour';
import {
  SIZED_RADIUS_PX, sizedRadius, type DrawItem, type Picture, type Pixels, type Renderer,
} from '../model/renderer';
import { BREAK_ABOVE, FLOATS_PER, placement, visibleRecords, type Placement } from '../model/scene';
import { opaque, Stamper } from './stamp';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Paths beyond this lose precision in the rasteriser: cut them before. */
const FAR_PX = 16_000;

export class CanvasRenderer implements Renderer {
  readonly kind = 'canvas';

  constructor(private readonly canvas: HTMLCanvasElement) {}

  draw(picture: Picture): Promise<void> {
    const { width, height } = picture;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    // Rasterised by the CPU: without a GPU, or with a poor one, that is several times faster.
    const context = this.canvas.getContext('2d', { willReadFrequently: true })!;
    context.clearRect(0, 0, width, height);
    paint(context, picture);
    return Promise.resolve();
  }

  readPixels(picture: Picture): Promise<Pixels> {
    const { width, height } = picture;
    const context = new OffscreenCanvas(width, height).getContext('2d')!;
    context.fillStyle = css(picture.ground);
    context.fillRect(0, 0, width, height);
    paint(context, picture);
    return Promise.resolve({ width, height, data: new Uint8ClampedArray(context.getImageData(0, 0, width, height).data) });
  }

  destroy(): void {
    this.canvas.width = 0;
  }
}

function paint(context: Context, picture: Picture): void {
  context.lineJoin = 'bevel';
  context.lineCap = 'butt';
  for (const item of picture.items) {
    context.lineWidth = item.width * picture.ratio;
    const at = placement(item.part.frame, item.view);
    const [from, to] = visibleRecords(item.part, at, item.view.width, (item.size ? SIZED_RADIUS_PX[1] : 24) * picture.ratio);
    if (to <= from) continue;
    for (const mark of item.marks) {
      if (item.part.kind === 'columns') new Strokes(context, item, picture).columns(at, from, to);
      else if (mark === 'cells') cells(context, item, picture, at);
      else if (mark === 'line') new Strokes(context, item, picture).rows(at, from, to);
      else if (to - from > MOST_ARCS && !item.size) stamps(context, item, picture, at, from, to);
      else discs(context, item, picture, at, from, to);
    }
  }
}

function colourAt(item: DrawItem, picture: Picture, value: number): Rgb {
  let rgb = item.colour;
  if (item.ramp) {
    const index = 1024 * item.ramp.table + 4 * Math.min(255, Math.round(Math.max(0, value * item.ramp.scale + item.ramp.offset)));
    rgb = [picture.tables[index]!, picture.tables[index + 1]!, picture.tables[index + 2]!];
  }
  return mix(rgb, picture.ground, item.fade);
}

/** One path for as long as the colour stays the same. */
class Strokes {
  private shown = NaN;
  /** Where the pen is; a segment from there needs no new start. */
  private penX = NaN;
  private penY = NaN;

  constructor(
    private readonly context: Context,
    private readonly item: DrawItem,
    private readonly picture: Picture,
  ) {}

  rows(at: Placement, from: number, to: number): void {
    const { data, kind } = this.item.part;
    const stride = FLOATS_PER[kind];
    this.begin(data[stride * from + 2]!);
    let [px, py, alone] = [0, BREAK_ABOVE, true];
    for (let i = from; i < to; i += 1) {
      const y = data[stride * i + 1]!;
      if (y > BREAK_ABOVE) {
        if (alone && py < BREAK_ABOVE) this.dot(px, py);
        py = BREAK_ABOVE;
        continue;
      }
      const x1 = at.ox + data[stride * i]! * at.sx;
      const y1 = at.oy + y * at.sy;
      const joined = py < BREAK_ABOVE;
      if (this.item.ramp) this.colour(data[stride * i + 2]!);
      if (joined) this.segment(px, py, x1, y1);
      alone = !joined;
      [px, py] = [x1, y1];
    }
    if (alone && py < BREAK_ABOVE && from === 0) this.dot(px, py);
    this.context.stroke();
  }

  columns(at: Placement, from: number, to: number): void {
    const { data } = this.item.part;
    const y = (o: number): number => at.oy + data[o]! * at.sy;
    this.begin(data[8 * from + 5]!);
    for (let i = from; i < to; i += 1) {
      const o = 8 * i;
      const x = at.ox + data[o]! * at.sx;
      if (this.item.ramp) this.colour(data[o + 5]!);
      if (i > from && data[o + 6]! > 0.5) this.segment(at.ox + data[o - 8]! * at.sx, y(o - 4), x, y(o + 1));
      if (data[o + 2] === data[o + 3] && data[o + 6]! > 0.5) continue;
      // first, least and greatest in the order that needs the least ink, then last
      const [near, far] = Math.abs(data[o + 1]! - data[o + 2]!) < Math.abs(data[o + 1]! - data[o + 3]!) ? [2, 3] : [3, 2];
      this.segment(x, y(o + 1), x, y(o + near));
      this.segment(x, y(o + near), x, y(o + far));
      this.segment(x, y(o + far), x, y(o + 4));
    }
    this.context.stroke();
  }

  private begin(value: number): void {
    this.shown = value;
    this.penX = NaN;
    this.context.beginPath();
    this.context.strokeStyle = css(colourAt(this.item, this.picture, value));
  }

  private colour(value: number): void {
    if (value === this.shown) return;
    this.context.stroke();
    this.begin(value);
  }

  private segment(ax: number, ay: number, bx: number, by: number): void {
    const far = Math.max(Math.abs(ax), Math.abs(ay), Math.abs(bx), Math.abs(by)) > FAR_PX;
    const t = far ? clipSegment(ax, ay, bx, by, -FAR_PX, -FAR_PX, FAR_PX, FAR_PX) : [0, 1];
    if (!t) return;
    if (ax !== this.penX || ay !== this.penY) this.context.moveTo(ax + t[0]! * (bx - ax), ay + t[0]! * (by - ay));
    this.context.lineTo(ax + t[1]! * (bx - ax), ay + t[1]! * (by - ay));
    this.penX = t[1] === 1 ? bx : NaN;
    this.penY = by;
  }

  private dot(x: number, y: number): void {
    const radius = this.context.lineWidth;
    this.context.moveTo(x + radius / 2, y);
    this.context.arc(x, y, radius / 2, 0, 2 * Math.PI);
  }
}

/** Beyond this many discs are stamped: a path of so many arcs takes a second. */
const MOST_ARCS = 5_000;

function stamps(context: Context, item: DrawItem, picture: Picture, at: Placement, from: number, to: number): void {
  const { data, kind } = item.part;
  const stride = FLOATS_PER[kind];
  const radius = item.radius * picture.ratio;
  const image = context.getImageData(0, 0, picture.width, picture.height);
  const stamper = new Stamper(image, radius);
  let shown = NaN;
  let colour = colourAt(item, picture, 0);
  let word = opaque(colour);
  for (let o = stride * from; o < stride * to; o += stride) {
    if (data[o + 1]! > BREAK_ABOVE) continue;
    const x = at.ox + data[o]! * at.sx;
    const y = at.oy + data[o + 1]! * at.sy;
    if (!(y > -radius && y < picture.height + radius && x > -radius && x < picture.width + radius)) continue;
    if (item.ramp && data[o + 2] !== shown) {
      colour = colourAt(item, picture, (shown = data[o + 2]!));
      word = opaque(colour);
    }
    stamper.disc(x, y, colour, word);
  }
  context.putImageData(image, 0, 0);
}

function discs(context: Context, item: DrawItem, picture: Picture, at: Placement, from: number, to: number): void {
  const { data, kind } = item.part;
  const stride = FLOATS_PER[kind];
  let radius = item.radius * picture.ratio;
  let shown = NaN;
  context.beginPath();
  context.fillStyle = css(colourAt(item, picture, 0));
  for (let o = stride * from; o < stride * to; o += stride) {
    if (data[o + 1]! > BREAK_ABOVE) continue;
    const x = at.ox + data[o]! * at.sx;
    const y = at.oy + data[o + 1]! * at.sy;
    if (item.size) radius = sizedRadius(data[o + 3]! * item.size.scale + item.size.offset) * picture.ratio;
    if (!(y > -radius && y < picture.height + radius && x > -radius && x < picture.width + radius)) continue;
    if (item.ramp && data[o + 2] !== shown) {
      context.fill();
      context.beginPath();
      context.fillStyle = css(colourAt(item, picture, (shown = data[o + 2]!)));
    }
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fill();
}

/** Squares of whole pixels, straight into the image. */
function cells(context: Context, item: DrawItem, picture: Picture, at: Placement): void {
  const { data, floats } = item.part;
  const { width, height } = picture;
  const image = context.getImageData(0, 0, width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let o = 0; o < floats; o += FLOATS_PER.cells) {
    const left = Math.round(at.ox + data[o]! * at.sx - CELL_PX / 2);
    const top = Math.round(at.oy + data[o + 1]! * at.sy - CELL_PX / 2);
    const word = opaque(colourAt(item, picture, data[o + 2]!));
    for (let y = Math.max(0, top); y < Math.min(height, top + CELL_PX); y += 1) {
      for (let x = Math.max(0, left); x < Math.min(width, left + CELL_PX); x += 1) words[y * width + x] = word;
    }
  }
  context.putImageData(image, 0, 0);
}
