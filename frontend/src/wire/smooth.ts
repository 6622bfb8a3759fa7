/** A smoothed copy of a line, in axis space, kept up with it. */

import type { Smoothing } from '../model/document';
import { Line } from '../model/line';

export class Smooth {
  line: Line;
  private done = 0;
  private version = 0;
  /** Of the moving average: weighted sum and sum of weights so far. */
  private sum = 0;
  private weight = 0;
  private lastX = NaN;

  constructor(
    private readonly raw: Line,
    private readonly smoothing: Smoothing,
  ) {
    this.line = this.fresh();
  }

  /** Takes in what the raw line has gained. */
  update(): Line {
    const { raw } = this;
    const symmetric = this.smoothing.kind === 'mean';
    if (raw.version !== this.version || (symmetric && this.done < raw.n)) this.restart();
    if (this.done === raw.n) return this.line;
    const from = this.done;
    const y = symmetric ? this.means() : this.averages(from);
    this.line.append({
      firstRow: from, rows: raw.n - from,
      x: raw.x.slice(from, raw.n), y,
      c: raw.c && raw.c.slice(from, raw.n),
      o: raw.o && raw.o.slice(from, raw.n),
      reasons: Uint8Array.from(y, (v) => (v === v ? 0 : 1)),
    });
    this.done = raw.n;
    return this.line;
  }

  private fresh(): Line {
    return new Line({ coloured: this.raw.c !== null, ordered: this.raw.o !== null });
  }

  private restart(): void {
    this.line = this.fresh();
    this.version = this.raw.version;
    [this.done, this.sum, this.weight, this.lastX] = [0, 0, 0, NaN];
  }

  /**
   * Exponential moving average over x: a row `d` before another weighs exp(-d / distance) of it, whatever the spacing
   * of rows. Divided by the sum of weights, so that the beginning is not drawn to zero.
   */
  private averages(from: number): Float64Array {
    const { x, y, n } = this.raw;
    const distance = this.smoothing.kind === 'ema' ? this.smoothing.distance : 1;
    const out = new Float64Array(n - from);
    for (let i = from; i < n; i += 1) {
      const v = y[i]!;
      if (v !== v) {
        out[i - from] = NaN;
        continue;
      }
      const decay = this.weight > 0 ? Math.exp(-Math.abs(x[i]! - this.lastX) / distance) : 0;
      this.sum = this.sum * decay + v;
      this.weight = this.weight * decay + 1;
      this.lastX = x[i]!;
      out[i - from] = this.sum / this.weight;
    }
    return out;
  }

  /** Mean of `rows` rows around each, fewer at both ends; sums of differences from the first value, for their digits. */
  private means(): Float64Array {
    const { y, n } = this.raw;
    const rows = this.smoothing.kind === 'mean' ? this.smoothing.rows : 1;
    const half = Math.floor(rows / 2);
    const sums = new Float64Array(n + 1);
    const counts = new Uint32Array(n + 1);
    let origin = 0;
    for (let i = 0; i < n && origin === 0; i += 1) if (y[i] === y[i]) origin = y[i]!;
    for (let i = 0; i < n; i += 1) {
      const drawn = y[i] === y[i];
      sums[i + 1] = sums[i]! + (drawn ? y[i]! - origin : 0);
      counts[i + 1] = counts[i]! + (drawn ? 1 : 0);
    }
    return Float64Array.from({ length: n }, (_, i) => {
      const [low, high] = [Math.max(0, i - half), Math.min(n, i - half + rows)];
      const count = counts[high]! - counts[low]!;
      return y[i] === y[i] && count > 0 ? origin + (sums[high]! - sums[low]!) / count : NaN;
    });
  }
}
