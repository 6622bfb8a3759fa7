/** Mouse, wheel, touch and keys on the plot, as wishes about the view. */

import type { Span, Target } from '../model/places';
import type { Box } from './axes';

export interface GestureEvents {
  /** In shares of the plot area; y grows downwards. */
  onPan(dx: number, dy: number, target: Target): void;
  onZoom(atX: number, atY: number, factor: number, target: Target): void;
  /** In shares from the left and from the top; `null`: no box is being drawn. */
  onBox(box: { x: Span; y: Span } | null, done: boolean): void;
  onFit(): void;
  /** CSS pixels inside the plot area, or `null` when the pointer has left. */
  onPoint(at: { x: number; y: number } | null): void;
  onClick(at: { x: number; y: number }): void;
}

interface At {
  x: number;
  y: number;
}

const WHEEL_LINE_PX = 16;
const KEY_PAN = 0.1;
const KEY_ZOOM = 0.8;
/** A hand trembles this much in a click. */
const CLICK_PX = 4;
const LEAST_BOX_PX = 6;

/** Where a pointer is: over an axis only that axis moves. */
function targetAt(box: Box, x: number, y: number): Target | null {
  const besideX = x >= box.left && x <= box.left + box.width;
  const besideY = y >= box.top && y <= box.top + box.height;
  if (besideX && besideY) return 'all';
  if (besideX) return y > box.top ? 'bottom' : 'top';
  if (besideY) return x < box.left ? 'left' : 'right';
  return null;
}

export class Gestures {
  /** What a drag inside the plot does; shift does the other. */
  mode: 'pan' | 'box' = 'pan';
  private readonly pointers = new Map<number, At>();
  private target: Target = 'all';
  private pinch = 0;
  private began: At | null = null;
  private boxing = false;
  private travelled = 0;
  /** A trackpad's pinch says `ctrlKey` without the key. */
  private controlHeld = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly box: () => Box,
    private readonly events: GestureEvents,
  ) {
    host.addEventListener('pointerdown', (event) => this.down(event));
    host.addEventListener('pointermove', (event) => this.move(event));
    host.addEventListener('pointerup', (event) => this.up(event, true));
    host.addEventListener('pointercancel', (event) => this.up(event, false));
    host.addEventListener('pointerleave', () => this.pointers.size === 0 && events.onPoint(null));
    host.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    host.addEventListener('dblclick', () => events.onFit());
    host.addEventListener('keydown', (event) => this.key(event));
    const held = (event: KeyboardEvent): void => { this.controlHeld = event.ctrlKey || event.metaKey; };
    window.addEventListener('keydown', held);
    window.addEventListener('keyup', held);
    window.addEventListener('blur', () => { this.controlHeld = false; });
  }

  private at(event: MouseEvent): At {
    const bounds = this.host.getBoundingClientRect();
    return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const at = this.at(event);
    const target = targetAt(this.box(), at.x, at.y);
    if (!target) return;
    this.target = target;
    this.pointers.set(event.pointerId, at);
    this.pinch = this.spread();
    this.began = at;
    this.travelled = 0;
    this.boxing = target === 'all' && this.pointers.size === 1 && (this.mode === 'box') !== event.shiftKey;
    this.host.setPointerCapture(event.pointerId);
    if (!this.boxing) this.host.classList.add('sv-dragging');
  }

  private move(event: PointerEvent): void {
    const at = this.at(event);
    const box = this.box();
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const target = targetAt(box, at.x, at.y);
      this.host.dataset['over'] = target ?? '';
      this.events.onPoint(target === 'all' ? { x: at.x - box.left, y: at.y - box.top } : null);
      return;
    }
    this.travelled = Math.max(this.travelled, Math.hypot(at.x - this.began!.x, at.y - this.began!.y));
    if (this.travelled > CLICK_PX) this.events.onPoint(null);
    this.pointers.set(event.pointerId, at);
    if (this.boxing) {
      this.events.onBox(this.drawn(at), false);
      return;
    }
    const share = 1 / this.pointers.size;
    const [dx, dy] = [((at.x - before.x) / box.width) * share, ((at.y - before.y) / box.height) * share];
    if (dx !== 0 || dy !== 0) this.events.onPan(-dx, -dy, this.target);
    this.spreadTo(box);
  }

  /** The box from where the drag began to here, cut to the plot area. */
  private drawn(at: At): { x: Span; y: Span } {
    const { left, top, width, height } = this.box();
    const share = (a: number, b: number, from: number, length: number): Span => {
      const ends = [a, b].map((px) => Math.max(0, Math.min(1, (px - from) / length))).sort((p, q) => p - q);
      return [ends[0]!, ends[1]!];
    };
    return { x: share(this.began!.x, at.x, left, width), y: share(this.began!.y, at.y, top, height) };
  }

  private spread(): number {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  private spreadTo(box: Box): void {
    const now = this.spread();
    if (this.pinch > 0 && now > 0 && now !== this.pinch) {
      const [a, b] = [...this.pointers.values()] as [At, At];
      this.zoomAt(box, (a.x + b.x) / 2, (a.y + b.y) / 2, this.pinch / now, 'all');
    }
    this.pinch = now;
  }

  private up(event: PointerEvent, released: boolean): void {
    const at = this.at(event);
    if (!this.pointers.delete(event.pointerId)) return;
    this.pinch = this.spread();
    if (this.pointers.size > 0) return;
    this.host.classList.remove('sv-dragging');
    const box = this.box();
    if (released && this.travelled <= CLICK_PX && this.target === 'all') this.events.onClick({ x: at.x - box.left, y: at.y - box.top });
    else if (this.boxing && released) {
      const drawn = this.drawn(at);
      const wide = (drawn.x[1] - drawn.x[0]) * box.width >= LEAST_BOX_PX && (drawn.y[1] - drawn.y[0]) * box.height >= LEAST_BOX_PX;
      this.events.onBox(wide ? drawn : null, true);
    }
    if (this.boxing) this.events.onBox(null, false);
    this.boxing = false;
  }

  private wheel(event: WheelEvent): void {
    const box = this.box();
    const at = this.at(event);
    let target = targetAt(box, at.x, at.y);
    if (!target) return;
    event.preventDefault();
    if (target === 'all' && event.shiftKey) target = 'x';
    else if (target === 'all' && this.controlHeld) target = 'y';
    // With shift some systems turn the wheel sideways.
    const turned = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? WHEEL_LINE_PX : 1);
    const fine = event.ctrlKey && !this.controlHeld ? 0.01 : 0.0016;
    this.zoomAt(box, at.x, at.y, Math.exp(Math.max(-400, Math.min(400, turned)) * fine), target);
  }

  private zoomAt(box: Box, x: number, y: number, factor: number, target: Target): void {
    this.events.onZoom((x - box.left) / box.width, (y - box.top) / box.height, factor, target);
  }

  private key(event: KeyboardEvent): void {
    const pans: Record<string, [number, number]> = {
      ArrowLeft: [-KEY_PAN, 0], ArrowRight: [KEY_PAN, 0], ArrowUp: [0, -KEY_PAN], ArrowDown: [0, KEY_PAN],
    };
    const pan = pans[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pan) this.events.onPan(...pan, 'all');
    else if (event.key === '+' || event.key === '=') this.events.onZoom(0.5, 0.5, KEY_ZOOM, 'all');
    else if (event.key === '-') this.events.onZoom(0.5, 0.5, 1 / KEY_ZOOM, 'all');
    else if (event.key === 'f' || event.key === '0') this.events.onFit();
    else return;
    event.preventDefault();
  }
}
