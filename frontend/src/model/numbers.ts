/** Exact texts of exact values, and positions relative to an exact origin. */

import { format } from 'd3-format';
import type { Scalar } from './types';

export const SAFE = 2 ** 53;

const grouped = format(',d');

export function groupDigits(value: bigint | number): string {
  if (typeof value === 'number') return grouped(value);
  const text = (value < 0n ? -value : value).toString().replace(/\B(?=(\d{3})+$)/g, ',');
  return value < 0n ? `−${text}` : text;
}

export function showScalar(value: Scalar | null | undefined): string {
  if (value === null || value === undefined) return '(none)';
  if (typeof value === 'bigint') return groupDigits(value);
  if (typeof value === 'number') return showFloat(value);
  return String(value);
}

const SHORT_DIGITS = 5;

/** For lists: five significant digits of what is no whole number; all of it belongs into a title. */
export function shortScalar(value: Scalar | null | undefined): string {
  if (typeof value !== 'number' || !Number.isFinite(value) || Number.isInteger(value)) return showScalar(value);
  const short = Number(value.toPrecision(SHORT_DIGITS));
  const size = Math.abs(short);
  if (size === 0 || (size >= 1e-3 && size < 1e7)) return showFloat(short);
  return short.toExponential().replace(/^-/, '−').replace('e+', 'e');
}

/** Shortest text that reads back as the same float64. */
export function showFloat(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15 && !Object.is(value, -0)) return groupDigits(value);
  if (Object.is(value, -0)) return '−0';
  return String(value).replace('-', '−').replace('Infinity', '∞').replace('e−', 'e-');
}

/** Text of `origin + relative`; with an origin, the fraction is kept beside the exact integer. */
export function absoluteText(origin: bigint, relative: number): string {
  if (origin === 0n) return String(relative);
  const whole = Math.floor(relative);
  const fraction = relative - whole;
  const digits = fraction === 0 ? '' : fraction.toFixed(6).slice(1).replace(/\.?0+$/, '');
  const integer = origin + BigInt(whole);
  if (integer >= 0n || digits === '') return `${integer}${digits}`;
  // -5 + 0.25 is written -4.75
  const up = (1 - fraction).toFixed(6).slice(1).replace(/\.?0+$/, '');
  const shown = -(integer + 1n);
  return `-${shown}${up}`;
}

/** As few digits of a view's edge as leave it where it is to a millionth of the view. */
export function edgeText(origin: bigint, relative: number, span: number): string {
  if (origin !== 0n || !(span > 0)) return absoluteText(origin, relative);
  const digits = Math.ceil(Math.log10(Math.max(1, Math.abs(relative) / span))) + 6;
  return digits >= 17 ? String(relative) : String(Number(relative.toPrecision(digits)));
}

/** The inverse of `absoluteText`. */
export function relativeFromText(text: string, origin: bigint): number {
  if (origin === 0n || !/^-?\d+(\.\d+)?$/.test(text)) return Number(text) - Number(origin);
  const [whole, fraction] = text.split('.') as [string, string?];
  const part = fraction ? Number(`0.${fraction}`) : 0;
  return Number(BigInt(whole) - origin) + (whole.startsWith('-') ? -part : part);
}

const SUPERSCRIPT = '⁰¹²³⁴⁵⁶⁷⁸⁹';

export function powerOfTen(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPT[Number(digit)]).join('');
  return `10${exponent < 0 ? '⁻' : ''}${digits}`;
}

export function shortHandle(handle: string): string {
  return handle.length > 12 ? `${handle.slice(0, 4)}…${handle.slice(-4)}` : handle;
}

export function ago(iso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000));
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
