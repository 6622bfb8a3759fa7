/** The nearest drawn row: a ring around it, and its exact values beside it. */

import { css, type Rgb } from '../model/colour';
import { groupDigits, shortHandle, showScalar } from '../model/numbers';
import type { Hit, HitValue } from '../wire/protocol';
import { svgElement, type Box } from './axes';

function cell(text: string, className: string): HTMLTableCellElement {
  const element = document.createElement('td');
  element.textContent = text;
  element.className = className;
  return element;
}

/** A table of names and exact values, for the tooltip and for whoever shows a row. */
export function valueTable(values: HitValue[]): HTMLTableElement {
  const table = document.createElement('table');
  for (const { name, unit, value } of values) {
    const line = document.createElement('tr');
    line.append(cell(unit ? `${name} (${unit})` : name, 'sv-tip-name'), cell(showScalar(value), typeof value === 'string' ? 'sv-tip-value sv-tip-text' : 'sv-tip-value'));
    table.append(line);
  }
  return table;
}

export class Tooltip {
  readonly element = document.createElement('div');
  readonly marker = svgElement('svg', { class: 'sv-marker', 'aria-hidden': 'true' });
  private readonly ring = svgElement('circle', { r: 5, class: 'sv-ring' });
  private hit: Hit | null = null;

  constructor() {
    this.element.className = 'sv-tip';
    this.element.hidden = true;
    this.element.setAttribute('role', 'status');
    this.marker.append(this.ring);
    this.show(null, null);
  }

  get shown(): Hit | null {
    return this.hit;
  }

  show(hit: Hit | null, colour: Rgb | null): void {
    this.hit = hit;
    this.element.hidden = hit === null;
    this.marker.toggleAttribute('hidden', hit === null);
    if (!hit) return;
    if (colour) (this.ring as SVGElement & ElementCSSInlineStyle).style.stroke = css(colour);
    const head = document.createElement('div');
    head.className = 'sv-tip-head';
    const name = document.createElement('b');
    name.textContent = `run ${shortHandle(hit.run)}`;
    const row = document.createElement('span');
    row.textContent = `row ${groupDigits(hit.row)}`;
    head.append(name, row);
    this.element.replaceChildren(head, valueTable(hit.values));
  }

  /** Puts both where the row lies now, in CSS pixels of the plot area. */
  place(box: Box, at: { x: number; y: number } | null): void {
    if (!this.hit || !at) return;
    const { x, y } = at;
    const inside = x >= -1 && x <= box.width + 1 && y >= -1 && y <= box.height + 1;
    this.element.hidden = !inside;
    this.marker.toggleAttribute('hidden', !inside);
    this.ring.setAttribute('cx', String(x));
    this.ring.setAttribute('cy', String(y));
    const { offsetWidth: wide, offsetHeight: high } = this.element;
    const left = x + 16 + wide > box.width ? x - 16 - wide : x + 16;
    const top = Math.max(0, Math.min(box.height - high, y - high / 2));
    this.element.style.transform = `translate(${Math.round(box.left + Math.max(-box.left + 4, left))}px, ${Math.round(box.top + top)}px)`;
  }
}
