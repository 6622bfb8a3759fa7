/** Which rows of a run belong to one line: those with the same values of the group fields. */

import type { BoundColumn } from '../model/bindings';
import { parseScalar, type Scalar } from '../model/types';
import type { Store, StoredChunk, StoredRun } from './store';

export interface GroupSlice {
  key: string;
  /** The values of all groups, fields of the series and attributes. */
  groups: () => (Scalar | null)[];
  /** Which rows of the slice; `null`: all. */
  indices: Uint32Array | null;
}

export class Grouping {
  readonly byRow: BoundColumn[];

  constructor(
    readonly columns: BoundColumn[],
    private readonly store: Store,
  ) {
    this.byRow = columns.filter(({ kind }) => kind === 'field');
  }

  valueAt(column: BoundColumn, chunk: StoredChunk, row: number): Scalar {
    const raw = chunk.columns.get(column.handle)![row]!;
    if (column.type === 'text') return this.store.wordsOf(column.handle).list[Number(raw)]!;
    return column.type === 'bool' ? raw === 1 : raw;
  }

  /** With `row` the values of the fields there. */
  values(stored: StoredRun, chunk: StoredChunk, row: number): (Scalar | null)[] {
    return this.columns.map((column) => {
      if (column.kind === 'field') return this.valueAt(column, chunk, row);
      const raw = stored.head.attributes[column.handle];
      return raw === undefined ? null : parseScalar(raw, column.type);
    });
  }
}

/** Rows [from, from + count) of a chunk by group, groups in the order in which they are met. */
export function splitByGroup(grouping: Grouping, stored: StoredRun, chunk: StoredChunk, from: number, count: number): GroupSlice[] {
  const { byRow } = grouping;
  if (byRow.length === 0) return [{ key: '', groups: () => grouping.values(stored, chunk, from), indices: null }];
  const columns = byRow.map(({ handle }) => chunk.columns.get(handle)!);
  const numbers = new Map<string, number>();
  const lists: number[][] = [];
  // Rows of one group mostly follow one another: the key is made anew only when a value changes.
  let last = -1;
  let current: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = from + i;
    if (last < 0 || columns.some((column) => column[at] !== column[last])) {
      const key = byRow.map((column) => String(grouping.valueAt(column, chunk, at))).join('\0');
      let number = numbers.get(key);
      if (number === undefined) {
        numbers.set(key, (number = lists.length));
        lists.push([]);
      }
      current = lists[number]!;
    }
    current.push(i);
    last = at;
  }
  return [...numbers].map(([key, number]) => ({
    key,
    groups: () => grouping.values(stored, chunk, from + lists[number]![0]!),
    indices: Uint32Array.from(lists[number]!),
  }));
}
