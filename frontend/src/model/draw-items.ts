/** From parts and paint to what a renderer draws, in its order. */

import { NONE, type Ground } from './colour';
import type { Mark } from './document';
import { FADE, type Painting } from './paint';
import { LINE_WIDTH_PX, POINT_RADIUS_PX, type DrawItem } from './renderer';
import type { Part } from './scene';
import type { PixelView } from './viewport';

export interface DrawnLayer {
  view: PixelView;
  mark: Mark;
  width: number | null;
  radius: number | null;
}

/** The raw line behind a smoothed one. */
const FAINT = 0.75;

const MARKS: Record<Mark, DrawItem['marks']> = { line: ['line'], step: ['line'], points: ['points'], line_points: ['line', 'points'], density: ['points'] };

/** Later layers over earlier ones; in a layer faint lines first, highlighted ones last. */
export function drawItems(parts: Iterable<Part>, order: string[], layers: DrawnLayer[], painting: Painting, ground: Ground): DrawItem[] {
  const place = new Map(order.map((line, i) => [line, i]));
  const items: DrawItem[] = [];
  for (const part of parts) {
    const layer = layers[part.layer];
    const painted = painting.layers[part.layer];
    if (!layer || !painted) continue;
    const ramp = painted.rowRamp?.(part.frame.bc);
    const faded = painting.faded.has(part.line);
    items.push({
      part,
      view: layer.view,
      marks: part.kind === 'columns' ? ['line'] : part.kind === 'cells' ? ['cells'] : MARKS[layer.mark],
      colour: painting.colours.get(part.line) ?? NONE[ground],
      ramp: ramp ? { ...ramp, table: part.layer } : null,
      size: part.kind === 'sized' ? (painted.sizes?.ramp(part.frame.bs) ?? null) : null,
      width: layer.width ?? LINE_WIDTH_PX,
      radius: layer.radius ?? POINT_RADIUS_PX,
      fade: faded ? FADE : part.faint ? FAINT : 0,
    });
  }
  const rank = ({ part, fade }: DrawItem): number => {
    const back = fade >= FADE ? layers.length + 1 : 0;
    return (part.layer - back) * 2 * (order.length + 1) + (part.faint ? 0 : order.length + 1) + (place.get(part.line) ?? 0);
  };
  const ranks = new Map(items.map((item) => [item, rank(item)]));
  return items.sort((a, b) => ranks.get(a)! - ranks.get(b)!);
}
