/** Ticks of the calendar and the clock, in the reader's time zone. */

import { scaleTime } from 'd3-scale';
import type { AxisSpan, Tick, TickSet } from './ticks';

const UNITS: Record<string, number> = { s: 1000, sec: 1000, seconds: 1000, ms: 1, us: 1e-3, 'µs': 1e-3, 'μs': 1e-3, ns: 1e-6 };
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** Nearer than this the clock says nothing any more. */
const FINEST_MS = 5;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Milliseconds of one unit; without a known unit by the size of the values: dates after 1973 and before 5138. */
export function msPerUnit(unit: string | null, value: number): number {
  const known = UNITS[unit?.trim().toLowerCase() ?? ''];
  if (known) return known;
  const size = Math.abs(value);
  if (size >= 1e17) return 1e-6;
  if (size >= 1e14) return 1e-3;
  return size >= 1e11 ? 1 : 1000;
}

const two = (value: number): string => String(value).padStart(2, '0');

function clock(date: Date, stepMs: number): string {
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (stepMs >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(date.getSeconds())}`;
  return stepMs >= SECOND ? seconds : `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function labelOf(date: Date, stepMs: number): string {
  if (stepMs >= 360 * DAY) return String(date.getFullYear());
  if (stepMs >= 27 * DAY) return date.getMonth() === 0 ? String(date.getFullYear()) : MONTHS[date.getMonth()]!;
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0 && date.getMilliseconds() === 0;
  if (stepMs >= DAY || midnight) return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  return clock(date, stepMs);
}

function zone(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ''}`;
}

/** What the labels leave out. */
function context(first: Date, last: Date, stepMs: number): string {
  const day = (date: Date): string => `${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
  if (stepMs >= 360 * DAY) return '';
  if (stepMs >= 27 * DAY) return zone(first);
  if (stepMs >= DAY) return `${first.getFullYear()} ${zone(first)}`;
  const minutes = stepMs < SECOND ? ` ${two(first.getHours())}:${two(first.getMinutes())}` : '';
  return `${day(first) === day(last) ? day(first) : first.getFullYear()}${minutes} ${zone(first)}`;
}

export interface TimeAxis {
  /** Milliseconds since 1970 at `v` of axis space. */
  toMs(v: number): number;
  fromMs(ms: number): number;
}

/** With an origin the whole milliseconds are taken from its exact value. */
export function timeAxis(axis: Pick<AxisSpan, 'origin' | 'unit' | 'v0' | 'v1'>): TimeAxis {
  const factor = msPerUnit(axis.unit, Number(axis.origin) + Math.max(Math.abs(axis.v0), Math.abs(axis.v1)));
  const perMs = BigInt(Math.max(1, Math.round(1 / factor)));
  const base = factor >= 1 ? Number(axis.origin) * factor : Number(axis.origin / perMs);
  const rest = factor >= 1 ? 0 : Number(axis.origin % perMs);
  return {
    toMs: (v) => base + (v + rest) * factor,
    fromMs: (ms) => (ms - base) / factor - rest,
  };
}

/** `null` where the view is too narrow, or too far, for a calendar. */
export function timeSet(axis: AxisSpan, count: number): TickSet | null {
  const { toMs, fromMs } = timeAxis(axis);
  const [low, high] = [toMs(axis.v0), toMs(axis.v1)];
  if (!(high - low > FINEST_MS) || Math.max(Math.abs(low), Math.abs(high)) > 8e15) return null;
  const dates = scaleTime([low, high], [0, 1]).ticks(count);
  const stepMs = dates.length > 1 ? dates[1]!.getTime() - dates[0]!.getTime() : high - low;
  const ticks: Tick[] = dates.map((date) => ({ at: fromMs(date.getTime()), label: labelOf(date, stepMs) }));
  return { ticks, note: context(new Date(low), new Date(high), stepMs) };
}
