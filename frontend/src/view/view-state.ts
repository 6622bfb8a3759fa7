/** Which part of each axis is in view: where the user put it, or fitted to the data and following it. */

import { edgeText, relativeFromText } from '../model/numbers';
import { byPlace, NOWHERE, PLACES, sameSpans, type ByPlace, type Span, type Spans } from '../model/places';
import { forward, inverse, type Scale } from '../model/scale';
import type { RangeText } from '../model/document';

export type Ranges = ByPlace<RangeText | null>;

export interface AxisFrame {
  scale: Scale;
  origin: bigint;
}

export function rangeText([low, high]: Span, { scale, origin }: AxisFrame): RangeText {
  const [a, b] = [inverse(low, scale), inverse(high, scale)];
  const span = b - a;
  // On a logarithmic axis the edge nearer to zero needs its own digits.
  const own = (value: number): number => (scale.name === 'linear' || scale.name === 'time' || value === 0 ? span : Math.min(Math.abs(value), span));
  return [edgeText(origin, a, own(a)), edgeText(origin, b, own(b))];
}

/** `null`: an address that says nothing sensible is passed over. */
export function spanFromText([low, high]: RangeText, { scale, origin }: AxisFrame): Span | null {
  const at = (text: string): number => forward(relativeFromText(text, origin), scale);
  const span: Span = [at(low), at(high)];
  return span[1] > span[0] && span.every(Number.isFinite) ? span : null;
}

export class ViewState {
  spans: Spans = NOWHERE;
  /** Axes that the user holds; the others follow the data. */
  private held = byPlace(() => false);
  private frames: ByPlace<AxisFrame> = byPlace(() => ({ scale: { name: 'linear', constant: 1 }, origin: 0n }));
  /** Of an address, until the origins are known. */
  private waiting: Ranges = byPlace(() => null);

  get touched(): boolean {
    return PLACES.some((place) => this.held[place] || this.waiting[place] !== null);
  }

  /** What the worker is asked for: `null` where the data decides. */
  get wish(): ByPlace<Span | null> {
    return byPlace((place) => (this.held[place] ? this.spans[place] : null));
  }

  get ranges(): Ranges {
    return byPlace((place) => (this.held[place] ? rangeText(this.spans[place], this.frames[place]) : null));
  }

  textOf(place: keyof Spans): RangeText {
    return rangeText(this.spans[place], this.frames[place]);
  }

  /** What is asked for now; an axis that is held there already stays as it is. */
  ask(ranges: Ranges, same: ByPlace<boolean>): void {
    const now = this.ranges;
    for (const place of PLACES) {
      const asked = ranges[place];
      const stays = same[place] && asked !== null && now[place]?.join() === asked.join();
      if (stays) continue;
      this.held[place] = false;
      this.waiting[place] = asked;
    }
  }

  /** The user moved something; returns whether anything did. */
  move(spans: Spans): boolean {
    if (sameSpans(spans, this.spans)) return false;
    for (const place of PLACES) {
      if (spans[place] !== this.spans[place]) this.hold(place);
    }
    this.spans = spans;
    return true;
  }

  release(): void {
    this.held = byPlace(() => false);
    this.waiting = byPlace(() => null);
  }

  /** A composition for these frames came; returns whether another view has to be asked for. */
  take(spans: Spans, fitted: ByPlace<boolean>, scales: ByPlace<Scale>, origins: ByPlace<bigint>, ready: boolean): boolean {
    let again = false;
    const next = { ...this.spans };
    for (const place of PLACES) {
      const frame: AxisFrame = { scale: scales[place], origin: origins[place] };
      const moved = Number(this.frames[place].origin - frame.origin);
      this.frames[place] = frame;
      const asked = ready ? this.waiting[place] : null;
      const span = asked && spanFromText(asked, frame);
      if (asked) this.waiting[place] = null;
      if (span) {
        next[place] = span;
        this.held[place] = true;
        again = true;
      } else if (!this.held[place]) {
        if (fitted[place]) next[place] = spans[place];
      } else if (moved !== 0) {
        next[place] = [this.spans[place][0] + moved, this.spans[place][1] + moved];
        again = true;
      }
    }
    this.spans = next;
    return again;
  }

  private hold(place: keyof Spans): void {
    this.held[place] = true;
    this.waiting[place] = null;
  }
}
