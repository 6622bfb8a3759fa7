/** Grid, ticks and titles around the plot area: an SVG of its own below the canvas. */

import { CHAR_PX, ticksFor, type AxisSpan, type TickSet } from '../model/ticks';
import type { View } from '../model/viewport';

export interface AxisLook {
  title: string;
  integer: boolean;
  log: boolean;
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const SVG = 'http://www.w3.org/2000/svg';
const TOP = 14;
const RIGHT = 22;
const BOTTOM = 50;
const LABEL_GAP = 8;
const TITLE_ROOM = 28;
const TITLE_CHAR_PX = 7;

export function svgElement(name: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

function span(look: AxisLook, v0: number, v1: number, origin: bigint): AxisSpan {
  return { v0, v1, origin, integer: look.integer, log: look.log };
}

const crisp = (px: number): number => Math.round(px) + 0.5;

export class AxesLayer {
  readonly element = svgElement('svg', { class: 'sv-axes', 'aria-hidden': 'true' });
  x: AxisLook = { title: '', integer: false, log: false };
  y: AxisLook = { title: '', integer: false, log: false };

  /** Lays out the plot area in `width` x `height` CSS pixels. */
  box(width: number, height: number, view: View, origins: { y: bigint }): Box {
    const inner = height - TOP - BOTTOM;
    const set = this.yTicks(view, inner, origins.y);
    const longest = set.ticks.reduce((most, tick) => Math.max(most, tick.label.length), 3);
    // In steps, so that a growing label does not make the picture shiver.
    const left = Math.ceil((longest * CHAR_PX + LABEL_GAP + TITLE_ROOM) / 8) * 8;
    return { left, top: TOP, width: Math.max(40, width - left - RIGHT), height: Math.max(40, inner) };
  }

  draw(box: Box, view: View, origins: { x: bigint; y: bigint }, empty: boolean): void {
    const parts: SVGElement[] = [];
    const bottom = box.top + box.height;
    const right = box.left + box.width;
    const xs = empty ? { ticks: [], note: '' } : ticksFor(span(this.x, view.x0, view.x1, origins.x), { lengthPx: box.width, horizontal: true, maxChars: 12 });
    const ys = empty ? { ticks: [], note: '' } : this.yTicks(view, box.height, origins.y);
    for (const { at, label } of xs.ticks) {
      const px = box.left + ((at - view.x0) / (view.x1 - view.x0)) * box.width;
      parts.push(svgElement('line', { class: 'sv-grid', x1: crisp(px), x2: crisp(px), y1: box.top, y2: bottom }));
      const half = (label.length * CHAR_PX) / 2 + 4;
      const inside = Math.max(half, Math.min(right + RIGHT - half, px));
      parts.push(svgElement('text', { class: 'sv-tick', x: inside, y: bottom + 18, 'text-anchor': 'middle' }, label));
    }
    for (const { at, label } of ys.ticks) {
      const px = box.top + ((view.y1 - at) / (view.y1 - view.y0)) * box.height;
      parts.push(svgElement('line', { class: 'sv-grid', x1: box.left, x2: right, y1: crisp(px), y2: crisp(px) }));
      parts.push(svgElement('text', { class: 'sv-tick', x: box.left - LABEL_GAP, y: px + 4, 'text-anchor': 'end' }, label));
    }
    if (!empty) parts.push(svgElement('path', { class: 'sv-frame', d: `M${crisp(box.left)} ${box.top}V${crisp(bottom)}H${right}` }));
    parts.push(...this.title(this.x, xs.note, { x: box.left + box.width / 2, y: bottom + 39, rotate: 0, room: box.width }));
    parts.push(...this.title(this.y, ys.note, { x: 18, y: box.top + box.height / 2, rotate: -90, room: box.height }));
    this.element.replaceChildren(...parts);
  }

  private yTicks(view: View, heightPx: number, origin: bigint): TickSet {
    return ticksFor(span(this.y, view.y0, view.y1, origin), { lengthPx: heightPx, horizontal: false, maxChars: 9 });
  }

  private title(look: AxisLook, note: string, { x, y, rotate, room }: { x: number; y: number; rotate: number; room: number }): SVGElement[] {
    if (!look.title) return [];
    const text = svgElement('text', {
      class: 'sv-title', x, y, 'text-anchor': 'middle', ...(rotate && { transform: `rotate(${rotate} ${x} ${y})` }),
    });
    const more = [note, look.log ? 'log' : ''].filter(Boolean).join(' · ');
    const fits = Math.max(8, Math.floor(room / TITLE_CHAR_PX) - more.length);
    const title = look.title.length > fits ? `${look.title.slice(0, fits - 1)}…` : look.title;
    text.append(svgElement('tspan', {}, title), svgElement('title', {}, look.title));
    if (more) text.append(svgElement('tspan', { class: 'sv-note', dx: 8 }, more));
    return [text];
  }
}
