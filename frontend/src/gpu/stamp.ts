/**
 * Discs written straight into pixels: what a path of arcs costs a second for, a few hundred thousand of these do in
 * some 10 ms. Edges are antialiased, at one of 4 x 4 places within a pixel.
 */

import type { Rgb } from '../model/colour';
import type { Pixels } from '../model/renderer';

const PHASES = 4;

interface Stamp {
  /** Pixels from the one in which the centre lies: whole ones, and those at the edge with their coverage. */
  solid: Int32Array;
  edge: Int32Array;
  coverage: Float64Array;
}

/** As the shader has it: full inside radius - 0.5, none outside radius + 0.5. */
function makeStamp(radius: number, fx: number, fy: number, width: number): Stamp {
  const reach = Math.ceil(radius + 1);
  const solid: number[] = [];
  const edge: number[] = [];
  const coverage: number[] = [];
  for (let dy = -reach; dy <= reach; dy += 1) {
    for (let dx = -reach; dx <= reach; dx += 1) {
      const alpha = radius + 0.5 - Math.hypot(dx + 0.5 - fx, dy + 0.5 - fy);
      if (alpha >= 1) solid.push(dy * width + dx);
      else if (alpha > 0) {
        edge.push(dy * width + dx);
        coverage.push(alpha);
      }
    }
  }
  return { solid: Int32Array.from(solid), edge: Int32Array.from(edge), coverage: Float64Array.from(coverage) };
}

export class Stamper {
  private readonly stamps: Stamp[] = [];
  private readonly words: Uint32Array;
  private readonly reach: number;

  constructor(
    private readonly pixels: Pixels,
    radius: number,
  ) {
    this.reach = Math.ceil(radius + 1);
    this.words = new Uint32Array(pixels.data.buffer, pixels.data.byteOffset, pixels.data.length / 4);
    for (let phase = 0; phase < PHASES * PHASES; phase += 1) {
      this.stamps.push(makeStamp(radius, ((phase % PHASES) + 0.5) / PHASES, (Math.floor(phase / PHASES) + 0.5) / PHASES, pixels.width));
    }
  }

  /** A disc that would reach beyond the pixels is cut pixel by pixel. */
  disc(x: number, y: number, [r, g, b]: Rgb, word: number): void {
    const { width, height } = this.pixels;
    const [px, py] = [Math.floor(x), Math.floor(y)];
    const stamp = this.stamps[Math.floor((y - py) * PHASES) * PHASES + Math.floor((x - px) * PHASES)]!;
    const at = py * width + px;
    const whole = px >= this.reach && py >= this.reach && px < width - this.reach && py < height - this.reach;
    for (const by of stamp.solid) if (whole || this.holds(px, py, by)) this.words[at + by] = word;
    const { edge, coverage } = stamp;
    for (let i = 0; i < edge.length; i += 1) if (whole || this.holds(px, py, edge[i]!)) this.blend(4 * (at + edge[i]!), r, g, b, coverage[i]!);
  }

  private holds(px: number, py: number, by: number): boolean {
    const { width, height } = this.pixels;
    const dy = Math.round(by / width);
    const [x, y] = [px + by - dy * width, py + dy];
    return x >= 0 && x < width && y >= 0 && y < height;
  }

  private blend(o: number, r: number, g: number, b: number, alpha: number): void {
    const { data } = this.pixels;
    const under = (data[o + 3]! / 255) * (1 - alpha);
    const all = alpha + under;
    data[o] = (r * alpha + data[o]! * under) / all;
    data[o + 1] = (g * alpha + data[o + 1]! * under) / all;
    data[o + 2] = (b * alpha + data[o + 2]! * under) / all;
    data[o + 3] = all * 255;
  }
}

/** A colour as four bytes in the order of memory; every machine that runs browsers is little-endian. */
export function opaque([r, g, b]: Rgb): number {
  return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
}
