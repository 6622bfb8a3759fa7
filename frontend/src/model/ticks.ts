/** Where the ticks of an axis stand and what they say; never more than fit without touching. */

import { format } from 'd3-format';
import { scaleLinear } from 'd3-scale';
import { groupDigits, powerOfTen } from './numbers';
import { forward, inverse, type Scale } from './scale';
import { timeSet } from './time-ticks';

export interface AxisSpan {
  /** In axis space: relative to `origin`, a logarithm on a log or symlog axis. */
  v0: number;
  v1: number;
  origin: bigint;
  integer: boolean;
  scale: Scale;
  /** Of the values, for an axis of time. */
  unit: string | null;
}

export interface Tick {
  at: number;
  label: string;
}

export interface TickSet {
  ticks: Tick[];
  /** What to add to, or multiply, every label with; empty when labels stand for themselves. */
  note: string;
}

export interface TickRoom {
  lengthPx: number;
  horizontal: boolean;
  /** Labels longer than this share what they have in common in the note. */
  maxChars: number;
}

const MOST_TICKS = 7;
export const CHAR_PX = 6.5;
const GAP_PX = 14;
const LINE_PX = 34;

function decimalsOf(step: number): number {
  return Math.max(0, Math.min(20, -Math.floor(Math.log10(step) + 1e-9)));
}

function stepFor(span: number, count: number, integer: boolean): number {
  const ticks = scaleLinear([0, span], [0, 1]).ticks(count);
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : span;
  return integer ? Math.max(1, Math.round(step)) : step;
}

/** Multiples of a step, as exact as the axis: whole numbers of steps, never a running sum. */
function positions(axis: AxisSpan, step: number): { at: number; value: bigint | number }[] {
  const found: { at: number; value: bigint | number }[] = [];
  if (axis.origin !== 0n && step >= 1) {
    const big = BigInt(Math.round(step));
    const low = axis.origin + BigInt(Math.ceil(axis.v0));
    let value = (low / big) * big;
    if (value < low) value += big;
    for (let at = Number(value - axis.origin); at <= axis.v1 && found.length < 50; at += step) {
      found.push({ at, value: axis.origin + BigInt(Math.round(at)) });
    }
    return found;
  }
  const slack = (axis.v1 - axis.v0) * 1e-9;
  const inverse = step < 1 ? Math.round(1 / step) : 0;
  const exact = (k: number): number => (inverse ? k / inverse : k * step);
  for (let k = Math.ceil((axis.v0 - slack) / step); exact(k) <= axis.v1 + slack && found.length < 50; k += 1) {
    found.push({ at: exact(k), value: exact(k) });
  }
  return found;
}

/** A round number at or a little below the first tick, such that what remains is short. */
function offsetFor(axis: AxisSpan, firstTick: number): bigint {
  const span = axis.v1 - axis.v0;
  const unit = BigInt(10) ** BigInt(Math.max(0, Math.ceil(Math.log10(span))));
  const low = axis.origin + BigInt(Math.floor(firstTick));
  const down = (low / unit) * unit;
  return low < 0n && down > low ? down - unit : down;
}

function withOffset(axis: AxisSpan, step: number): TickSet {
  const at0 = positions(axis, step)[0]?.at ?? axis.v0;
  const offset = offsetFor(axis, at0);
  const show = format(`,.${decimalsOf(step)}f`);
  const shift = Number(offset - axis.origin);
  const ticks = positions(axis, step).map(({ at }) => ({ at, label: `+${show(at - shift)}` }));
  return { ticks, note: `${groupDigits(offset)} +` };
}

function withFactor(axis: AxisSpan, step: number): TickSet {
  const most = Math.max(Math.abs(axis.v0), Math.abs(axis.v1));
  const exponent = 3 * Math.floor(Math.log10(most) / 3);
  const scale = 10 ** exponent;
  const show = format(`,.${decimalsOf(step / scale)}f`);
  const ticks = positions(axis, step).map(({ at }) => ({ at, label: show(at / scale) }));
  return { ticks, note: `× ${powerOfTen(exponent)}` };
}

function plain(axis: AxisSpan, step: number): TickSet {
  const show = format(`,.${decimalsOf(step)}f`);
  const ticks = positions(axis, step).map(({ at, value }) => ({
    at,
    label: typeof value === 'bigint' ? groupDigits(value).replace('-', '−') : show(value === 0 ? 0 : value),
  }));
  return { ticks, note: '' };
}

function longest(set: TickSet): number {
  return set.ticks.reduce((most, tick) => Math.max(most, tick.label.length), 0);
}

function linearSet(axis: AxisSpan, count: number, maxChars: number): TickSet {
  const span = axis.v1 - axis.v0;
  const most = Math.max(Math.abs(axis.v0), Math.abs(axis.v1));
  const step = stepFor(span, count, axis.integer);
  if (axis.origin === 0n && most < 1e-3) return withFactor(axis, step);
  const set = plain(axis, step);
  if (longest(set) <= maxChars) return set;
  const magnitude = axis.origin === 0n ? most : Math.abs(Number(axis.origin));
  if (span < magnitude / 1000 && magnitude > 1e3 && magnitude < 1e19) return withOffset(axis, step);
  return axis.origin === 0n && most >= 1e6 ? withFactor(axis, step) : set;
}

export function logLabel(exponent: number, digit: number): string {
  if (exponent >= -3 && exponent <= 5) {
    const value = digit * 10 ** exponent;
    return format(exponent < 0 ? `.${-exponent}f` : ',d')(value);
  }
  return digit === 1 ? powerOfTen(exponent) : `${digit}·${powerOfTen(exponent)}`;
}

function logSet(axis: AxisSpan, count: number): TickSet {
  const decades = axis.v1 - axis.v0;
  const ticks: Tick[] = [];
  if (decades < 0.6) return shortLogSet(axis, count);
  const every = Math.max(1, Math.ceil(decades / count));
  const digits = every > 1 || decades * 2 > count ? [1] : decades * 3 > count ? [1, 3] : [1, 2, 5];
  for (let e = Math.floor(axis.v0 / every) * every; e <= axis.v1; e += every) {
    for (const digit of digits) {
      const at = e + Math.log10(digit);
      if (at >= axis.v0 && at <= axis.v1) ticks.push({ at, label: logLabel(e, digit) });
    }
  }
  return { ticks, note: '' };
}

/** Within less than a decade powers say nothing: linear ticks, placed by their logarithm. */
function shortLogSet(axis: AxisSpan, count: number): TickSet {
  const inner: AxisSpan = { ...axis, v0: inverse(axis.v0, axis.scale), v1: inverse(axis.v1, axis.scale) };
  const set = linearSet(inner, count, 12);
  const placed = set.ticks.map((tick) => ({ ...tick, at: forward(tick.at, axis.scale) }));
  return { ticks: placed.filter((tick) => Number.isFinite(tick.at)), note: set.note };
}

/** Zero and the powers on both sides of it; within less than a decade linear ticks. */
function symlogSet(axis: AxisSpan, count: number): TickSet {
  const { v0, v1, scale } = axis;
  const inner = Math.max(Math.abs(v0), Math.abs(v1));
  if (v1 - v0 < 1 || inner < 1) return shortLogSet(axis, count);
  const every = Math.max(1, Math.ceil((v1 - v0) / count));
  const first = Math.ceil(Math.log10(scale.constant) + 0.3);
  const last = Math.floor(Math.log10(Math.max(Math.abs(inverse(v0, scale)), Math.abs(inverse(v1, scale)))) + 1e-9);
  const ticks: Tick[] = [{ at: 0, label: '0' }];
  for (let e = first; e <= last; e += every) {
    const at = forward(10 ** e, scale);
    ticks.push({ at, label: logLabel(e, 1) }, { at: -at, label: `−${logLabel(e, 1)}` });
  }
  const inView = ticks.filter(({ at }) => at >= v0 && at <= v1).sort((a, b) => a.at - b.at);
  return inView.length > 1 ? { ticks: inView, note: '' } : shortLogSet(axis, count);
}

function setFor(axis: AxisSpan, count: number, maxChars: number): TickSet {
  if (axis.scale.name === 'log') return logSet(axis, count);
  if (axis.scale.name === 'symlog') return symlogSet(axis, count);
  return (axis.scale.name === 'time' ? timeSet(axis, count) : null) ?? linearSet(axis, count, maxChars);
}

export function ticksFor(axis: AxisSpan, room: TickRoom): TickSet {
  if (!(axis.v1 > axis.v0)) return { ticks: [], note: '' };
  const most = Math.max(2, Math.min(MOST_TICKS, Math.floor(room.lengthPx / (room.horizontal ? 70 : LINE_PX))));
  for (let count = most; count > 1; count -= 1) {
    const set = setFor(axis, count, room.maxChars);
    if (set.ticks.length <= MOST_TICKS + 1 && apart(set, axis, room)) return set;
  }
  const set = setFor(axis, 2, 10);
  return apart(set, axis, room) ? set : { ...set, ticks: set.ticks.slice(0, 1) };
}

function apart(set: TickSet, axis: AxisSpan, room: TickRoom): boolean {
  const k = room.lengthPx / (axis.v1 - axis.v0);
  return set.ticks.every((tick, i) => {
    const next = set.ticks[i + 1];
    if (!next) return true;
    const needed = room.horizontal ? ((tick.label.length + next.label.length) / 2) * CHAR_PX + GAP_PX : LINE_PX / 2;
    return (next.at - tick.at) * k >= needed;
  });
}
