/** From exact stored columns to float64 in axis space: relative to an origin, log10 on a log axis. */

import { REASONS } from '../model/line';
import { parseScalar, type DataType, type JsonScalar } from '../model/types';
import type { Column } from './frames';

const NON_FINITE = REASONS.indexOf('nonFinite') + 1;
const LOG = REASONS.indexOf('log') + 1;

export interface AxisSpace {
  log: boolean;
  /** Other than 0 only for ints beyond 2^53, where float64 would merge neighbours. */
  origin: bigint;
}

/** An int beyond 2^53 was met on an axis without an origin: everything on it has to be computed anew from this one. */
export class NeedsOrigin extends Error {
  constructor(readonly origin: bigint) {
    super('an int beyond 2^53');
  }
}

const SAFE_HIGH = 2 ** 21;

function ints(column: BigInt64Array, from: number, count: number, space: AxisSpace): Float64Array {
  const out = new Float64Array(count);
  if (space.origin !== 0n) {
    for (let i = 0; i < count; i += 1) out[i] = Number(column[from + i]! - space.origin);
    return out;
  }
  const halves = new Int32Array(column.buffer, column.byteOffset, column.length * 2);
  for (let i = 0; i < count; i += 1) {
    const high = halves[2 * (from + i) + 1]!;
    // On a log axis the rounding of float64 is far below a pixel.
    if (!space.log && (high >= SAFE_HIGH || high < -SAFE_HIGH)) throw new NeedsOrigin(column[from + i]!);
    out[i] = high * 2 ** 32 + (halves[2 * (from + i)]! >>> 0);
  }
  return out;
}

/** NaN where there is no place on the axis; why is noted in `reasons` unless a reason stands there already. */
export function axisValues(column: Column, from: number, count: number, space: AxisSpace, reasons: Uint8Array): Float64Array {
  const out = column instanceof BigInt64Array ? ints(column, from, count, space) : Float64Array.from(column.subarray(from, from + count));
  for (let i = 0; i < count; i += 1) {
    const v = out[i]!;
    if (v - v !== 0) {
      reasons[i] ||= NON_FINITE;
      out[i] = NaN;
    } else if (space.log) {
      if (!(v > 0)) reasons[i] ||= LOG;
      out[i] = v > 0 ? Math.log10(v) : NaN;
    }
  }
  return out;
}

/** The attribute's value on an axis, or `null` if it has no place there. */
export function attributeValue(value: JsonScalar, type: DataType, space: AxisSpace): number | null {
  const scalar = parseScalar(value, type);
  if (typeof scalar === 'bigint' && !space.log && space.origin === 0n) throw new NeedsOrigin(scalar);
  const number = typeof scalar === 'bigint' ? Number(scalar - space.origin) : Number(scalar) - Number(space.origin);
  if (!Number.isFinite(number)) return null;
  if (!space.log) return number;
  return number > 0 ? Math.log10(number) : null;
}
