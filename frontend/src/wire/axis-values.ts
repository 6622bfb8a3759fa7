/** From exact stored columns to float64 in axis space: relative to an origin, or by the axis' scale. */

import { reasonCode } from '../model/line';
import { forward, isPlain, type Scale } from '../model/scale';
import { parseScalar, type DataType, type JsonScalar } from '../model/types';
import type { Column } from './frames';

const NON_FINITE = reasonCode('nonFinite');
const LOG = reasonCode('log');

export interface AxisSpace {
  scale: Scale;
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

function ints(column: BigInt64Array, from: number, count: number, { scale, origin }: AxisSpace): Float64Array {
  const out = new Float64Array(count);
  if (origin !== 0n) {
    for (let i = 0; i < count; i += 1) out[i] = Number(column[from + i]! - origin);
    return out;
  }
  const halves = new Int32Array(column.buffer, column.byteOffset, column.length * 2);
  const plain = isPlain(scale);
  for (let i = 0; i < count; i += 1) {
    const high = halves[2 * (from + i) + 1]!;
    // On a logarithmic axis the rounding of float64 is far below a pixel.
    if (plain && (high >= SAFE_HIGH || high < -SAFE_HIGH)) throw new NeedsOrigin(column[from + i]!);
    out[i] = high * 2 ** 32 + (halves[2 * (from + i)]! >>> 0);
  }
  return out;
}

function floats(column: Float64Array, from: number, count: number, origin: bigint): Float64Array {
  const out = Float64Array.from(column.subarray(from, from + count));
  // A float beside ints beyond 2^53 has no finer digits than this.
  if (origin !== 0n) for (let i = 0; i < count; i += 1) out[i] = out[i]! - Number(origin);
  return out;
}

/** NaN where there is no place on the axis; why is noted in `reasons` unless a reason stands there already. */
export function axisValues(column: Column, from: number, count: number, space: AxisSpace, reasons: Uint8Array): Float64Array {
  const out = column instanceof BigInt64Array ? ints(column, from, count, space) : floats(column as Float64Array, from, count, space.origin);
  const { scale } = space;
  const [log, symlog] = [scale.name === 'log', scale.name === 'symlog'];
  for (let i = 0; i < count; i += 1) {
    const v = out[i]!;
    if (v - v !== 0) {
      reasons[i] ||= NON_FINITE;
      out[i] = NaN;
    } else if (log) {
      if (!(v > 0)) reasons[i] ||= LOG;
      out[i] = v > 0 ? Math.log10(v) : NaN;
    } else if (symlog) out[i] = forward(v, scale);
  }
  return out;
}

/** The attribute's value on an axis, or `null` if it has no place there. */
export function attributeValue(value: JsonScalar, type: DataType, { scale, origin }: AxisSpace): number | null {
  const scalar = parseScalar(value, type);
  if (typeof scalar === 'bigint' && isPlain(scale) && origin === 0n) throw new NeedsOrigin(scalar);
  const number = typeof scalar === 'bigint' ? Number(scalar - origin) : Number(scalar) - Number(origin);
  if (!Number.isFinite(number)) return null;
  const at = forward(number, scale);
  return Number.isFinite(at) ? at : null;
}
