/** The rows that the page holds: exact, per run and generation, in chunks. */

import { CHUNK_ROWS } from '../model/line';
import type { DataType, Field, Scalar } from '../model/types';
import { readColumn, Words, type Column, type DataHead, type Frame, type HeadRun, type RowsHead } from './frames';

export interface StoredChunk {
  rows: number;
  columns: Map<string, Column>;
}

/** One generation of one run. A replaced run is another object. */
export interface StoredRun {
  head: HeadRun;
  rows: number;
  chunks: StoredChunk[];
}

export type Cursor = Record<string, [number, number]>;

/** The rows that came do not continue the rows that are here: drop them and ask again. */
export class NotContinuous extends Error {}

function sameLength(column: Column, capacity: number): Column {
  return new (column.constructor as new (length: number) => Column)(capacity);
}

function write(chunk: StoredChunk, handle: string, values: Column, from: number, count: number): void {
  let column = chunk.columns.get(handle);
  if (!column || column.length < chunk.rows + count) {
    const capacity = Math.min(CHUNK_ROWS, Math.max(chunk.rows + count, (column?.length ?? 128) * 2));
    const next = sameLength(values, capacity);
    if (column) next.set(column as never);
    chunk.columns.set(handle, (column = next));
  }
  column.set(values.subarray(from, from + count) as never, chunk.rows);
}

export class Store {
  fields: Field[] = [];
  attributes: Field[] = [];
  readonly runs = new Map<string, StoredRun>();
  private readonly words: Map<string, Words>;

  constructor(words = new Map<string, Words>()) {
    this.words = words;
  }

  /** An empty one whose words have the same numbers: for columns that are put beside those here. */
  beside(): Store {
    return new Store(this.words);
  }

  /** Runs that hold rows without one of these fields. */
  lacking(fields: string[]): { runs: string[]; fields: string[] } {
    const runs: string[] = [];
    const missing = new Set<string>();
    for (const [handle, run] of this.runs) {
      const absent = run.chunks[0] ? fields.filter((field) => !run.chunks[0]!.columns.has(field)) : [];
      for (const field of absent) missing.add(field);
      if (absent.length > 0) runs.push(handle);
    }
    return { runs, fields: [...missing] };
  }

  /** Takes columns over for the rows that are here; false while the other does not reach as far, or is of another generation. */
  graft(handle: string, from: Store): boolean {
    const run = this.runs.get(handle);
    const other = from.runs.get(handle);
    if (!run || !other || other.head.generation !== run.head.generation || other.rows < run.rows) return false;
    run.chunks.forEach((chunk, i) => {
      for (const [field, column] of other.chunks[i]!.columns) chunk.columns.set(field, column);
    });
    return true;
  }

  /** Runs in the order (`started_at`, handle), in which the server also gives them. */
  ordered(): StoredRun[] {
    const key = (run: StoredRun): string => `${run.head.started_at} ${run.head.run}`;
    return [...this.runs.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  cursor(handles?: Iterable<string>): Cursor {
    const cursor: Cursor = {};
    for (const handle of handles ?? this.runs.keys()) {
      const run = this.runs.get(handle);
      if (run) cursor[handle] = [run.head.generation, run.rows];
    }
    return cursor;
  }

  wordsOf(field: string): Words {
    let words = this.words.get(field);
    if (!words) this.words.set(field, (words = new Words()));
    return words;
  }

  begin(head: DataHead): void {
    this.fields = head.fields;
    this.attributes = head.attributes;
    for (const { run } of head.gone) this.runs.delete(run);
    for (const run of head.runs) {
      const known = this.runs.get(run.run);
      if (known && known.head.generation === run.generation) known.head = run;
      else this.runs.set(run.run, { head: run, rows: 0, chunks: [] });
    }
  }

  drop(run: string): void {
    this.runs.delete(run);
  }

  append(head: RowsHead, body: ArrayBuffer): void {
    const run = this.runs.get(head.run);
    if (!run || run.head.generation !== head.generation || head.first !== run.rows) {
      this.runs.delete(head.run);
      throw new NotContinuous(`run ${head.run}: rows from ${head.first} do not follow ${run?.rows ?? 'nothing'}`);
    }
    const columns = head.columns.map((column) => ({
      handle: column.field,
      values: readColumn(column, head.rows, body, this.wordsOf(column.field)),
    }));
    for (let done = 0; done < head.rows; ) {
      let chunk = run.chunks.at(-1);
      if (!chunk || chunk.rows === CHUNK_ROWS) run.chunks.push((chunk = { rows: 0, columns: new Map() }));
      const count = Math.min(head.rows - done, CHUNK_ROWS - chunk.rows);
      for (const { handle, values } of columns) write(chunk, handle, values, done, count);
      chunk.rows += count;
      done += count;
    }
    run.rows += head.rows;
  }

  /** Returns `more` of an end frame, else `null`. */
  apply({ head, body }: Frame): boolean | null {
    if (head.kind === 'data') this.begin(head);
    else if (head.kind === 'rows') this.append(head, body);
    else if (head.kind === 'reset') this.drop(head.run);
    else return head.more;
    return null;
  }

  valueAt(run: StoredRun, field: string, type: DataType, row: number): Scalar | null {
    const chunk = run.chunks[Math.floor(row / CHUNK_ROWS)];
    const value = chunk?.columns.get(field)?.[row % CHUNK_ROWS];
    if (value === undefined) return null;
    if (type === 'text') return this.wordsOf(field).list[Number(value)] ?? null;
    return type === 'bool' ? value === 1 : value;
  }
}
