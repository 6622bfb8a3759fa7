/** The four axes around a plot, and what of each is in view: spans in axis space. */

import type { PixelView, Range } from './viewport';
import { padded, zoomSpan } from './viewport';

export type XPlace = 'bottom' | 'top';
export type YPlace = 'left' | 'right';
export type Place = XPlace | YPlace;

export const PLACES: readonly Place[] = ['bottom', 'top', 'left', 'right'];
export const X_PLACES: readonly XPlace[] = ['bottom', 'top'];
export const Y_PLACES: readonly YPlace[] = ['left', 'right'];

export type Span = readonly [number, number];
export type ByPlace<T> = Record<Place, T>;
export type Spans = ByPlace<Span>;

/** What a gesture moves: everything, both axes of one direction, or a single axis. */
export type Target = 'all' | 'x' | 'y' | Place;

export function byPlace<T>(make: (place: Place) => T): ByPlace<T> {
  return { bottom: make('bottom'), top: make('top'), left: make('left'), right: make('right') };
}

export function isX(place: Place): place is XPlace {
  return place === 'bottom' || place === 'top';
}

export const NOWHERE: Spans = byPlace(() => [0, 1]);

function touches(target: Target, place: Place): boolean {
  return target === 'all' || target === place || target === (isX(place) ? 'x' : 'y');
}

/** Shares of the plot area; y grows upwards. */
export function pan(spans: Spans, dx: number, dy: number, target: Target): Spans {
  return byPlace((place) => {
    const [low, high] = spans[place];
    const by = (isX(place) ? dx : dy) * (high - low);
    return touches(target, place) && by !== 0 ? [low + by, high + by] : spans[place];
  });
}

/** Zoom by `factor` (< 1 is nearer) about a point given in shares from the left and from the bottom. */
export function zoom(spans: Spans, atX: number, atY: number, factor: number, target: Target): Spans {
  return byPlace((place) => {
    if (!touches(target, place)) return spans[place];
    const [low, high] = spans[place];
    return zoomSpan(low, high, low + (isX(place) ? atX : atY) * (high - low), factor);
  });
}

/** The part between two shares in each direction becomes the whole. */
export function zoomTo(spans: Spans, x: Span, y: Span): Spans {
  return byPlace((place) => {
    const [low, high] = spans[place];
    const [from, to] = isX(place) ? x : y;
    const next: Span = [low + from * (high - low), low + to * (high - low)];
    return zoomable(next) ? next : spans[place];
  });
}

function zoomable([low, high]: Span): boolean {
  return high - low > Math.max(Math.abs(low), Math.abs(high)) * 2 ** -44 && high - low > 1e-300;
}

export function fitSpans(extents: ByPlace<Range | null>): Spans {
  return byPlace((place) => padded(extents[place], isX(place) ? 0.015 : 0.05));
}

export function sameSpans(a: Spans, b: Spans): boolean {
  return PLACES.every((place) => a[place][0] === b[place][0] && a[place][1] === b[place][1]);
}

export function viewOf(spans: Spans, x: XPlace, y: YPlace, width: number, height: number): PixelView {
  return { x0: spans[x][0], x1: spans[x][1], y0: spans[y][0], y1: spans[y][1], width, height };
}
