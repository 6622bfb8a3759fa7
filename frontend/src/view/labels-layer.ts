/** Texts beside the newest rows of lines, moved apart where they would lie on one another. */

import { css, type Rgb } from '../model/colour';
import { svgElement } from './axes';

export interface Label {
  px: number;
  py: number;
  text: string;
  colour: Rgb | null;
}

const LINE_PX = 14;
const CHAR_PX = 6.6;
const MOST_CHARS = 28;

/** From the top down, each at least a line below the one before; what would leave the area moves up again. */
export function apart(wanted: number[], height: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]!);
  const placed: number[] = [];
  let low = -Infinity;
  for (const i of order) {
    low = Math.max(wanted[i]!, low + LINE_PX);
    placed[i] = low;
  }
  let high = height - 4;
  for (const i of order.reverse()) {
    if (placed[i]! <= high) break;
    placed[i] = high;
    high -= LINE_PX;
  }
  return placed;
}

export class LabelsLayer {
  readonly element = svgElement('svg', { class: 'sv-labels', 'aria-hidden': 'true' });

  draw(labels: Label[], width: number, height: number): void {
    const inside = labels.filter(({ px, py }) => px >= 0 && px <= width && py >= 0 && py <= height);
    const heights = apart(inside.map(({ py }) => py), height);
    this.element.replaceChildren(...inside.map(({ px, text, colour }, i) => {
      const shown = text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS - 1)}…` : text;
      const before = px + 8 + shown.length * CHAR_PX > width;
      const y = before ? heights[i]! - 4 : heights[i]! + 4;
      const element = svgElement('text', { class: 'sv-label', x: before ? px - 8 : px + 8, y, 'text-anchor': before ? 'end' : 'start' }, shown);
      if (colour) (element as SVGElement & ElementCSSInlineStyle).style.fill = css(colour);
      return element;
    }));
  }
}
