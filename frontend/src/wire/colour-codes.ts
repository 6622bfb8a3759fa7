/** Numbers for the categories of a colour field, row by row; numbers index the table of colours. */

import type { BoundColumn } from '../model/bindings';
import { showScalar } from '../model/numbers';
import type { Store, StoredChunk } from './store';

/** Colours repeat after this many categories. */
const COLOURS = 256;

export class ColourCodes {
  private readonly column: BoundColumn | null;
  /** Of ints and floats: words are met in this order. */
  private readonly met = new Map<number | bigint, number>();
  private readonly list: string[] = [];

  constructor({ color, categorical }: { color: BoundColumn | null; categorical: boolean }, private readonly store: Store) {
    this.column = color?.kind === 'field' && categorical ? color : null;
  }

  get active(): boolean {
    return this.column !== null;
  }

  get words(): string[] {
    if (this.column?.type === 'text') return this.store.wordsOf(this.column.handle).list;
    return this.column?.type === 'bool' ? ['false', 'true'] : this.list;
  }

  read(chunk: StoredChunk, from: number, count: number, hide: Set<string>, hiddenReason: number, reasons: Uint8Array): Float64Array {
    const { handle, type } = this.column!;
    const column = chunk.columns.get(handle)!;
    const codes = new Float64Array(count);
    const numeric = type === 'int' || type === 'float';
    for (let i = 0; i < count; i += 1) codes[i] = numeric ? this.codeOf(column[from + i]!) : Number(column[from + i]);
    const hidden = this.words.map((word) => hide.has(`is:${word}`));
    const any = hidden.includes(true);
    for (let i = 0; i < count; i += 1) {
      if (any && hidden[codes[i]!]) reasons[i] ||= hiddenReason;
      codes[i] = codes[i]! % COLOURS;
    }
    return codes;
  }

  private codeOf(value: number | bigint): number {
    let code = this.met.get(value);
    if (code === undefined) {
      this.met.set(value, (code = this.list.length));
      this.list.push(showScalar(value));
    }
    return code;
  }
}
