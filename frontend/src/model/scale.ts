/** From values to axis space, in which everything is linear: the value itself, or a logarithm of it. */

export type ScaleName = 'linear' | 'log' | 'symlog' | 'time';

export interface Scale {
  name: ScaleName;
  /** Where symlog turns from linear to logarithmic. */
  constant: number;
}

export const LINEAR: Scale = { name: 'linear', constant: 1 };

/** Whether axis space is the value itself, so that an origin may be taken from it. */
export function isPlain(scale: Scale): boolean {
  return scale.name === 'linear' || scale.name === 'time';
}

/** NaN where the value has no place on the axis. */
export function forward(value: number, scale: Scale): number {
  if (scale.name === 'log') return value > 0 ? Math.log10(value) : NaN;
  if (scale.name === 'symlog') return symlog(value, scale.constant);
  return value;
}

export function inverse(at: number, scale: Scale): number {
  if (scale.name === 'log') return 10 ** at;
  if (scale.name === 'symlog') return Math.sign(at) * scale.constant * Math.expm1(Math.abs(at) * Math.LN10);
  return at;
}

/** sign(v) · log10(1 + |v| / c): linear around 0, a decade of values a unit far from it. */
function symlog(value: number, constant: number): number {
  return (Math.sign(value) * Math.log1p(Math.abs(value) / constant)) / Math.LN10;
}
