/** Grid, ticks and titles around the plot area: an SVG of its own below the canvas. */

import { css, type Rgb } from '../model/colour';
import { byPlace, isX, PLACES, type ByPlace, type Place, type Spans } from '../model/places';
import type { Scale } from '../model/scale';
import { CHAR_PX, ticksFor, type TickSet } from '../model/ticks';

export interface AxisLook {
  title: string;
  integer: boolean;
  scale: Scale;
  unit: string | null;
}

/** `null`: no layer stands on this axis. */
export type AxisLooks = ByPlace<AxisLook | null>;

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const SVG = 'http://www.w3.org/2000/svg';
const TOP = 14;
const RIGHT = 22;
const BOTTOM = 20;
/** Of ticks and title below or above. */
const X_ROOM = 50;
const LABEL_GAP = 8;
const TITLE_ROOM = 28;
const TITLE_CHAR_PX = 7;
const NO_TICKS: TickSet = { ticks: [], note: '' };

export function svgElement(name: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

const crisp = (px: number): number => Math.round(px) + 0.5;

export class AxesLayer {
  readonly element = svgElement('svg', { class: 'sv-axes', 'aria-hidden': 'true' });
  looks: AxisLooks = byPlace(() => null);
  /** Of the lines on an axis, where these have one colour and the other axis has another. */
  colours: ByPlace<Rgb | null> = byPlace(() => null);

  /** Lays out the plot area in `width` x `height` CSS pixels. */
  box(width: number, height: number, spans: Spans, origins: ByPlace<bigint>): Box {
    const top = this.looks.top ? X_ROOM : TOP;
    const inner = height - top - (this.looks.bottom ? X_ROOM : BOTTOM);
    const left = this.yRoom('left', spans, origins, inner) ?? RIGHT;
    const right = this.yRoom('right', spans, origins, inner) ?? RIGHT;
    return { left, top, width: Math.max(40, width - left - right), height: Math.max(40, inner) };
  }

  draw(box: Box, spans: Spans, origins: ByPlace<bigint>, empty: boolean): void {
    const parts: SVGElement[] = [];
    const sets = byPlace((place) => (empty ? NO_TICKS : this.ticks(place, spans, origins, isX(place) ? box.width : box.height)));
    // One grid: that of the first axis of each direction.
    const grid = { x: this.looks.bottom ? 'bottom' : 'top', y: this.looks.left ? 'left' : 'right' };
    for (const place of PLACES) {
      if (!this.looks[place]) continue;
      parts.push(...this.marks(place, sets[place], box, spans, place === grid.x || place === grid.y));
    }
    if (!empty) parts.push(this.frame(box));
    for (const place of PLACES) parts.push(...this.title(place, sets[place].note, box));
    this.element.replaceChildren(...parts);
  }

  private ticks(place: Place, spans: Spans, origins: ByPlace<bigint>, lengthPx: number): TickSet {
    const look = this.looks[place];
    if (!look) return NO_TICKS;
    const [v0, v1] = spans[place];
    const { integer, scale, unit } = look;
    const horizontal = isX(place);
    return ticksFor({ v0, v1, origin: origins[place], integer, scale, unit }, { lengthPx, horizontal, maxChars: horizontal ? 12 : 9 });
  }

  private yRoom(place: Place, spans: Spans, origins: ByPlace<bigint>, heightPx: number): number | null {
    if (!this.looks[place]) return null;
    const longest = this.ticks(place, spans, origins, heightPx).ticks.reduce((most, tick) => Math.max(most, tick.label.length), 3);
    // In steps, so that a growing label does not make the picture shiver.
    return Math.ceil((longest * CHAR_PX + LABEL_GAP + TITLE_ROOM) / 8) * 8;
  }

  private marks(place: Place, { ticks }: TickSet, box: Box, spans: Spans, grid: boolean): SVGElement[] {
    return isX(place) ? this.marksX(place, ticks, box, spans, grid) : this.marksY(place, ticks, box, spans, grid);
  }

  private marksX(place: Place, ticks: TickSet['ticks'], box: Box, spans: Spans, grid: boolean): SVGElement[] {
    const [v0, v1] = spans[place];
    const [bottom, right] = [box.top + box.height, box.left + box.width];
    return ticks.flatMap(({ at, label }) => {
      const px = box.left + ((at - v0) / (v1 - v0)) * box.width;
      const half = (label.length * CHAR_PX) / 2 + 4;
      const inside = Math.max(half, Math.min(right + RIGHT - half, px));
      const y = place === 'bottom' ? bottom + 18 : box.top - 10;
      const text = svgElement('text', { class: 'sv-tick', x: inside, y, 'text-anchor': 'middle' }, label);
      const edge = place === 'bottom' ? bottom : box.top - 4;
      const line = grid
        ? svgElement('line', { class: 'sv-grid', x1: crisp(px), x2: crisp(px), y1: box.top, y2: bottom })
        : svgElement('line', { class: 'sv-frame', x1: crisp(px), x2: crisp(px), y1: edge, y2: edge + 4 });
      return [line, text];
    });
  }

  private marksY(place: Place, ticks: TickSet['ticks'], box: Box, spans: Spans, grid: boolean): SVGElement[] {
    const [v0, v1] = spans[place];
    const right = box.left + box.width;
    return ticks.flatMap(({ at, label }) => {
      const px = box.top + ((v1 - at) / (v1 - v0)) * box.height;
      const [x, anchor] = place === 'left' ? [box.left - LABEL_GAP, 'end'] : [right + LABEL_GAP, 'start'];
      const text = svgElement('text', { class: 'sv-tick', x, y: px + 4, 'text-anchor': anchor }, label);
      const edge = place === 'left' ? box.left - 4 : right;
      const line = grid
        ? svgElement('line', { class: 'sv-grid', x1: box.left, x2: right, y1: crisp(px), y2: crisp(px) })
        : svgElement('line', { class: 'sv-frame', x1: edge, x2: edge + 4, y1: crisp(px), y2: crisp(px) });
      return [line, text];
    });
  }

  private frame(box: Box): SVGElement {
    const { bottom, top, left, right } = this.looks;
    const [x0, x1, y0, y1] = [crisp(box.left), crisp(box.left + box.width), crisp(box.top), crisp(box.top + box.height)];
    const sides = [
      left && `M${x0} ${y0}V${y1}`, right && `M${x1} ${y0}V${y1}`,
      bottom && `M${x0} ${y1}H${x1}`, top && `M${x0} ${y0}H${x1}`,
    ];
    return svgElement('path', { class: 'sv-frame', d: sides.filter(Boolean).join('') });
  }

  private title(place: Place, note: string, box: Box): SVGElement[] {
    const look = this.looks[place];
    if (!look?.title) return [];
    const at = this.titleAt(place, box);
    const colour = this.colours[place];
    const text = svgElement('text', {
      class: 'sv-title', x: at.x, y: at.y, 'text-anchor': 'middle',
      ...(at.rotate && { transform: `rotate(${at.rotate} ${at.x} ${at.y})` }),
    });
    if (colour) (text as SVGElement & ElementCSSInlineStyle).style.fill = css(colour);
    const more = [note, look.scale.name === 'log' || look.scale.name === 'symlog' ? look.scale.name : ''].filter(Boolean).join(' · ');
    const fits = Math.max(8, Math.floor(at.room / TITLE_CHAR_PX) - more.length);
    const title = look.title.length > fits ? `${look.title.slice(0, fits - 1)}…` : look.title;
    text.append(svgElement('tspan', {}, title), svgElement('title', {}, look.title));
    if (more) text.append(svgElement('tspan', { class: 'sv-note', dx: 8 }, more));
    return [text];
  }

  private titleAt(place: Place, box: Box): { x: number; y: number; rotate: number; room: number } {
    const [middleX, middleY] = [box.left + box.width / 2, box.top + box.height / 2];
    if (place === 'bottom') return { x: middleX, y: box.top + box.height + 39, rotate: 0, room: box.width };
    if (place === 'top') return { x: middleX, y: 18, rotate: 0, room: box.width };
    if (place === 'left') return { x: 18, y: middleY, rotate: -90, room: box.height };
    const width = Number(this.element.getAttribute('viewBox')?.split(' ')[2] ?? 0);
    return { x: width - 16, y: middleY, rotate: 90, room: box.height };
  }
}
