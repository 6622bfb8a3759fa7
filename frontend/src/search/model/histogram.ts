/** A histogram to choose a range from: its bars, and which of them a filter's range covers. */

import type { JsonScalar } from '../../model/types';
import type { Bounds } from './filter';
import type { Bin } from './types';

export function heights(bins: readonly Bin[], height: number): number[] {
  const most = Math.max(1, ...bins.map(({ runs }) => runs));
  // A bar of one run among thousands is still seen.
  return bins.map(({ runs }) => (runs === 0 ? 0 : Math.max(2, (runs / most) * height)));
}

const read = Number;

/** Which bars lie in the range, as first and last; `null`: none is chosen. */
export function covered(bins: readonly Bin[], bounds: Bounds | null, asNumber: (value: JsonScalar) => number = read): [number, number] | null {
  if (!bounds || bins.length === 0) return null;
  const low = bounds.min ?? bounds.min_open;
  const high = bounds.max ?? bounds.max_open;
  const open = bounds.max_open !== undefined;
  const inside = bins.map((bin) => {
    const least = asNumber(bin.min);
    const greatest = asNumber((bin.max ?? bin.max_open)!);
    const above = low === undefined || greatest > asNumber(low) || least >= asNumber(low);
    const top = high === undefined ? Infinity : asNumber(high);
    return above && (open ? least < top : least <= top);
  });
  const first = inside.indexOf(true);
  return first < 0 ? null : [first, inside.lastIndexOf(true)];
}

/** Which bar is at this part (0 … 1) of the width. */
export function barAt(part: number, bars: number): number {
  return Math.min(bars - 1, Math.max(0, Math.floor(part * bars)));
}
