/** One line for each stored run, kept up to date with its rows, its attributes and the binding. */

import type { BoundColumn } from '../model/bindings';
import { categoryKey } from '../model/colour';
import { Line, nothingLeftOut, REASONS, type NotDrawn } from '../model/line';
import { parseScalar, type Scalar } from '../model/types';
import { attributeValue, axisValues, NeedsOrigin, type AxisSpace } from './axis-values';
import type { PlotRequest } from './protocol';
import type { Store, StoredChunk, StoredRun } from './store';

const HIDDEN = REASONS.indexOf('hidden') + 1;

export interface RunLine {
  stored: StoredRun;
  line: Line;
  hidden: boolean;
  /** Rows of the run that are already in the line. */
  taken: number;
  /** The bound attributes that went into it. */
  made: string;
  value: Scalar | null | undefined;
  missing: boolean;
}

export interface Spaces {
  x: AxisSpace;
  y: AxisSpace;
  c: AxisSpace;
}

export class Lines {
  readonly byRun = new Map<string, RunLine>();
  spaces: Spaces;
  private readonly hide: Set<string>;

  constructor(
    private readonly store: Store,
    readonly request: PlotRequest,
    origins?: Spaces,
  ) {
    this.spaces = {
      x: { log: request.xLog, origin: origins?.x.origin ?? 0n },
      y: { log: request.yLog, origin: origins?.y.origin ?? 0n },
      c: { log: false, origin: 0n },
    };
    this.hide = new Set(request.hide);
  }

  /** The series field that colours each row by itself, if there is one. */
  get rowColour(): BoundColumn | null {
    return this.request.color?.kind === 'field' ? this.request.color : null;
  }

  get categorical(): boolean {
    const type = this.request.color?.type;
    return type === 'text' || type === 'bool';
  }

  categories(): string[] {
    const field = this.rowColour;
    if (field?.type === 'text') return this.store.wordsOf(field.handle).list;
    return field?.type === 'bool' ? ['false', 'true'] : [];
  }

  /** Takes in what the store has gained; starts anew when an origin has to be found first. */
  update(): void {
    for (let again = true; again; ) {
      again = false;
      try {
        this.takeIn();
      } catch (error) {
        if (!(error instanceof NeedsOrigin)) throw error;
        this.byRun.clear();
        again = true;
      }
    }
  }

  notDrawn(): NotDrawn {
    const all = nothingLeftOut();
    for (const { line, hidden, missing, stored } of this.byRun.values()) {
      if (hidden) all.hidden += stored.rows;
      else if (missing) all.noAttribute += stored.rows;
      else for (const reason of REASONS) all[reason] += line.notDrawn[reason];
    }
    return all;
  }

  private takeIn(): void {
    for (const run of this.byRun.keys()) if (!this.store.runs.has(run)) this.byRun.delete(run);
    for (const stored of this.store.ordered()) {
      const handle = stored.head.run;
      const made = JSON.stringify(this.request.attributes.map((field) => stored.head.attributes[field]));
      let entry = this.byRun.get(handle);
      if (!entry || entry.stored !== stored || entry.made !== made) {
        // Set anew, so that the order of lines stays the order of runs.
        this.byRun.delete(handle);
        this.byRun.set(handle, (entry = this.begin(stored, made)));
      }
      if (!entry.missing && entry.taken < stored.rows) this.extend(entry);
    }
  }

  private begin(stored: StoredRun, made: string): RunLine {
    const { color, x, y } = this.request;
    const raw = color?.kind === 'attr' ? stored.head.attributes[color.handle] : undefined;
    const value = color?.kind === 'attr' ? (raw === undefined ? null : parseScalar(raw, color.type)) : undefined;
    const missing = [x, y].some((column) => column.kind === 'attr' && stored.head.attributes[column.handle] === undefined);
    const byCategory = value !== undefined && this.hide.has(categoryKey(value));
    return {
      stored, made, value, missing,
      line: new Line(this.rowColour !== null),
      hidden: byCategory || this.hide.has(stored.head.run),
      taken: 0,
    };
  }

  private extend(entry: RunLine): void {
    let first = 0;
    for (const chunk of entry.stored.chunks) {
      const from = Math.max(0, entry.taken - first);
      if (from < chunk.rows) this.extendFrom(entry, chunk, first, from);
      first += chunk.rows;
    }
    entry.taken = entry.stored.rows;
  }

  private extendFrom(entry: RunLine, chunk: StoredChunk, first: number, from: number): void {
    const count = chunk.rows - from;
    const reasons = new Uint8Array(count);
    const c = this.rowColours(chunk, from, count, reasons);
    const x = this.values(entry.stored, chunk, this.request.x, this.spaces.x, from, count, reasons);
    const y = this.values(entry.stored, chunk, this.request.y, this.spaces.y, from, count, reasons);
    entry.line.append({ firstRow: first + from, rows: count, x, y, c, reasons });
  }

  private values(
    stored: StoredRun, chunk: StoredChunk, column: BoundColumn, space: AxisSpace,
    from: number, count: number, reasons: Uint8Array,
  ): Float64Array {
    return this.withOrigin(space, () => {
      if (column.kind === 'field') return axisValues(chunk.columns.get(column.handle)!, from, count, space, reasons);
      const value = attributeValue(stored.head.attributes[column.handle]!, column.type, space);
      if (value === null) reasons.forEach((reason, i) => (reasons[i] = reason || (space.log ? 2 : 1)));
      return new Float64Array(count).fill(value ?? NaN);
    });
  }

  private withOrigin<T>(space: AxisSpace, act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (error instanceof NeedsOrigin) space.origin = error.origin;
      throw error;
    }
  }

  private rowColours(chunk: StoredChunk, from: number, count: number, reasons: Uint8Array): Float64Array | null {
    const field = this.rowColour;
    if (!field) return null;
    const column = chunk.columns.get(field.handle)!;
    if (!this.categorical) return this.withOrigin(this.spaces.c, () => axisValues(column, from, count, this.spaces.c, reasons));
    const codes = Float64Array.from(column.subarray(from, from + count) as Uint8Array);
    const hidden = this.categories().map((word) => this.hide.has(`is:${word}`));
    if (hidden.includes(true)) codes.forEach((code, i) => { if (hidden[code]) reasons[i] = HIDDEN; });
    return codes;
  }
}
