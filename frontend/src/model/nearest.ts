/** The drawn row nearest to the pointer, by distance in pixels, searched in the float64 values. */

import { lowerBound, type Line } from './line';
import type { PixelView } from './viewport';

export interface Nearest {
  position: number;
  distance: number;
}

export function nearestRow(line: Line, view: PixelView, px: number, py: number, radius: number): Nearest | null {
  const kx = view.width / (view.x1 - view.x0);
  const ky = view.height / (view.y1 - view.y0);
  const { x, y, n } = line;
  let best: Nearest | null = null;
  let limit = radius * radius;
  for (let i = line.rising ? lowerBound(x, view.x0 + (px - radius) / kx, 0, n) : 0; i < n; i += 1) {
    const dx = (x[i]! - view.x0) * kx - px;
    if (dx > radius && line.rising) break;
    const dy = (view.y1 - y[i]!) * ky - py;
    const d = dx * dx + dy * dy;
    if (d <= limit) {
      limit = d;
      best = { position: i, distance: Math.sqrt(d) };
    }
  }
  return best;
}
