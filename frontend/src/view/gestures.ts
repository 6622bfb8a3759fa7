/** Mouse, wheel, touch and keys on the plot, as wishes about the view. */

import type { Axes } from '../model/viewport';
import type { Box } from './axes';

export interface GestureEvents {
  /** In shares of the plot area; y grows downwards. */
  onPan(dx: number, dy: number): void;
  onZoom(atX: number, atY: number, factor: number, axes: Axes): void;
  onFit(): void;
  /** CSS pixels inside the plot area, or `null` when the pointer has left. */
  onPoint(at: { x: number; y: number } | null): void;
}

const WHEEL_LINE_PX = 16;
const KEY_PAN = 0.1;
const KEY_ZOOM = 0.8;

/** Where a pointer is: over an axis only that axis moves. */
function axesAt(box: Box, x: number, y: number): Axes | null {
  const besideX = x >= box.left && x <= box.left + box.width;
  const besideY = y >= box.top && y <= box.top + box.height;
  if (besideX && besideY) return 'both';
  if (besideX && y > box.top + box.height) return 'x';
  if (besideY && x < box.left) return 'y';
  return null;
}

export class Gestures {
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private dragAxes: Axes = 'both';
  private pinch = 0;
  /** A trackpad's pinch says `ctrlKey` without the key. */
  private controlHeld = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly box: () => Box,
    private readonly events: GestureEvents,
  ) {
    host.addEventListener('pointerdown', (event) => this.down(event));
    host.addEventListener('pointermove', (event) => this.move(event));
    host.addEventListener('pointerup', (event) => this.up(event));
    host.addEventListener('pointercancel', (event) => this.up(event));
    host.addEventListener('pointerleave', () => this.pointers.size === 0 && events.onPoint(null));
    host.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    host.addEventListener('dblclick', () => events.onFit());
    host.addEventListener('keydown', (event) => this.key(event));
    const held = (event: KeyboardEvent): void => { this.controlHeld = event.ctrlKey || event.metaKey; };
    window.addEventListener('keydown', held);
    window.addEventListener('keyup', held);
    window.addEventListener('blur', () => { this.controlHeld = false; });
  }

  private at(event: MouseEvent): { x: number; y: number } {
    const bounds = this.host.getBoundingClientRect();
    return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const at = this.at(event);
    const axes = axesAt(this.box(), at.x, at.y);
    if (!axes) return;
    this.dragAxes = axes;
    this.pointers.set(event.pointerId, at);
    this.pinch = this.spread();
    this.host.setPointerCapture(event.pointerId);
    this.host.classList.add('sv-dragging');
    this.events.onPoint(null);
  }

  private move(event: PointerEvent): void {
    const at = this.at(event);
    const box = this.box();
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const inside = axesAt(box, at.x, at.y);
      this.host.dataset['over'] = inside ?? '';
      this.events.onPoint(inside === 'both' ? { x: at.x - box.left, y: at.y - box.top } : null);
      return;
    }
    this.pointers.set(event.pointerId, at);
    const share = 1 / this.pointers.size;
    const dx = this.dragAxes === 'y' ? 0 : ((at.x - before.x) / box.width) * share;
    const dy = this.dragAxes === 'x' ? 0 : ((at.y - before.y) / box.height) * share;
    if (dx !== 0 || dy !== 0) this.events.onPan(-dx, -dy);
    this.spreadTo(box);
  }

  private spread(): number {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  private spreadTo(box: Box): void {
    const now = this.spread();
    if (this.pinch > 0 && now > 0 && now !== this.pinch) {
      const [a, b] = [...this.pointers.values()] as [{ x: number; y: number }, { x: number; y: number }];
      this.zoomAt(box, (a.x + b.x) / 2, (a.y + b.y) / 2, this.pinch / now, 'both');
    }
    this.pinch = now;
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    this.pinch = this.spread();
    if (this.pointers.size === 0) this.host.classList.remove('sv-dragging');
  }

  private wheel(event: WheelEvent): void {
    const box = this.box();
    const at = this.at(event);
    let axes = axesAt(box, at.x, at.y);
    if (!axes) return;
    event.preventDefault();
    if (axes === 'both' && event.shiftKey) axes = 'x';
    else if (axes === 'both' && this.controlHeld) axes = 'y';
    // With shift some systems turn the wheel sideways.
    const turned = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? WHEEL_LINE_PX : 1);
    const fine = event.ctrlKey && !this.controlHeld ? 0.01 : 0.0016;
    this.zoomAt(box, at.x, at.y, Math.exp(Math.max(-400, Math.min(400, turned)) * fine), axes);
  }

  private zoomAt(box: Box, x: number, y: number, factor: number, axes: Axes): void {
    this.events.onZoom((x - box.left) / box.width, (y - box.top) / box.height, factor, axes);
  }

  private key(event: KeyboardEvent): void {
    const pans: Record<string, [number, number]> = {
      ArrowLeft: [-KEY_PAN, 0], ArrowRight: [KEY_PAN, 0], ArrowUp: [0, -KEY_PAN], ArrowDown: [0, KEY_PAN],
    };
    const pan = pans[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pan) this.events.onPan(...pan);
    else if (event.key === '+' || event.key === '=') this.events.onZoom(0.5, 0.5, KEY_ZOOM, 'both');
    else if (event.key === '-') this.events.onZoom(0.5, 0.5, 1 / KEY_ZOOM, 'both');
    else if (event.key === 'f' || event.key === '0') this.events.onFit();
    else return;
    event.preventDefault();
  }
}
