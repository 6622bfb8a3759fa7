/** Which rows a layer is made of: ranges and values of the series' fields, AND-ed. */

import type { BoundCondition } from '../model/bindings';
import { reasonCode } from '../model/line';
import type { JsonScalar } from '../model/types';
import type { Column } from './frames';
import type { Store, StoredChunk } from './store';

const FILTERED = reasonCode('filtered');

type Exact = number | bigint;

/** Ints are compared as ints, floats as floats: exactly. */
function exact(value: JsonScalar, isInt: boolean): Exact {
  if (!isInt) return Number(value);
  return typeof value === 'string' && /^[-+]?\d+$/.test(value) ? BigInt(value) : Number.isSafeInteger(value) ? BigInt(value as number) : Number(value);
}

export class RowFilter {
  constructor(
    private readonly conditions: BoundCondition[],
    private readonly store: Store,
  ) {}

  /** Notes in `reasons` what does not pass. */
  mark(chunk: StoredChunk, from: number, count: number, reasons: Uint8Array): void {
    for (const condition of this.conditions) {
      const column = chunk.columns.get(condition.column.handle)!;
      const passes = this.test(condition);
      for (let i = 0; i < count; i += 1) if (!passes(column[from + i]!)) reasons[i] = FILTERED;
    }
  }

  private test(condition: BoundCondition): (value: Column[number]) => boolean {
    const { type, handle } = condition.column;
    const { min, max, min_open, max_open, values } = condition;
    const bound = (value: JsonScalar | undefined): Exact | null => (value === undefined || !Number.isFinite(Number(value)) ? null : exact(value, type === 'int'));
    const [low, high, above, below] = [bound(min), bound(max), bound(min_open), bound(max_open)];
    const ranged = low !== null || high !== null || above !== null || below !== null;
    const legal = values && this.legal(values, type, handle);
    return (value) => {
      if (legal && !legal.has(value)) return false;
      if (!ranged) return true;
      // NaN and infinities pass no range.
      if (typeof value === 'number' && value - value !== 0) return false;
      return (low === null || value >= low) && (high === null || value <= high) && (above === null || value > above) && (below === null || value < below);
    };
  }

  private legal(values: JsonScalar[], type: string, handle: string): Set<Column[number]> {
    if (type === 'text') return new Set(values.map((word) => this.store.wordsOf(handle).find(String(word)) ?? -1));
    if (type === 'bool') return new Set(values.map((value) => (value === true ? 1 : 0)));
    return new Set(values.map((value) => exact(value, type === 'int')));
  }
}
