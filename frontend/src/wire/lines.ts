/** The lines of one layer, one for each run and group, kept up to date with its rows, its attributes and the binding. */

import type { BoundColumn } from '../model/bindings';
import { boundAttributes } from '../model/bindings';
import { categoryKey } from '../model/colour';
import { isJoined } from '../model/document';
import { Line, nothingLeftOut, reasonCode, REASONS, type NotDrawn } from '../model/line';
import type { ByPlace } from '../model/places';
import { LINEAR } from '../model/scale';
import { parseScalar, type Scalar } from '../model/types';
import { attributeValue, axisValues, NeedsOrigin, type AxisSpace } from './axis-values';
import { ColourCodes } from './colour-codes';
import { Grouping, splitByGroup } from './grouping';
import type { LayerRequest } from './protocol';
import { RowFilter } from './row-filter';
import { Smooth } from './smooth';
import type { Store, StoredChunk, StoredRun } from './store';

const HIDDEN = reasonCode('hidden');

/** All rows of one run and one group. */
export interface GroupLine {
  id: string;
  groups: (Scalar | null)[];
  line: Line;
  /** The smoothed line, drawn over the other. */
  smooth: Smooth | null;
  hidden: boolean;
}

export interface RunLines {
  stored: StoredRun;
  byGroup: Map<string, GroupLine>;
  hidden: boolean;
  /** Rows of the run that are already in its lines. */
  taken: number;
  /** The bound attributes that went into it. */
  made: string;
  value: Scalar | null | undefined;
  missing: boolean;
  /** Columns are still on their way. */
  waiting: boolean;
}

interface Values {
  x: Float64Array;
  y: Float64Array;
  c: Float64Array | null;
  s: Float64Array | null;
  o: Float64Array | null;
  reasons: Uint8Array;
}

export class Lines {
  readonly byRun = new Map<string, RunLines>();
  private readonly hide: Set<string>;
  private readonly attributes: string[];
  private readonly grouping: Grouping;
  private readonly codes: ColourCodes;
  private readonly filter: RowFilter;
  /** Colour, size and order have no axis on the screen. */
  private readonly aside: Record<'c' | 's' | 'o', AxisSpace>;

  constructor(
    readonly store: Store,
    readonly request: LayerRequest,
    /** Shared by all layers on an axis. */
    private readonly spaces: ByPlace<AxisSpace>,
    hide: string[],
    private readonly layer: number,
  ) {
    this.hide = new Set(hide);
    this.attributes = boundAttributes(request);
    this.grouping = new Grouping(request.group, store);
    this.codes = new ColourCodes(request, store);
    this.filter = new RowFilter(request.rows, store);
    const apart = (): AxisSpace => ({ scale: LINEAR, origin: 0n });
    this.aside = { c: apart(), s: apart(), o: apart() };
  }

  categories(): string[] {
    return this.codes.words;
  }

  get categorical(): boolean {
    return this.codes.active;
  }

  /** Takes in what the store has gained. Throws `NeedsOrigin` when everything on an axis has to begin anew. */
  update(): void {
    try {
      this.takeIn();
    } catch (error) {
      if (!(error instanceof NeedsOrigin) || !Object.values(this.aside).some(({ origin }) => origin === error.origin)) throw error;
      // Of this layer alone.
      this.byRun.clear();
      this.update();
    }
  }

  *all(): Generator<{ run: RunLines; group: GroupLine }> {
    for (const run of this.byRun.values()) for (const group of run.byGroup.values()) yield { run, group };
  }

  /** Those on the screen. */
  *shown(): Generator<{ run: RunLines; group: GroupLine }> {
    for (const one of this.all()) if (!one.run.hidden && !one.run.missing && !one.group.hidden) yield one;
  }

  notDrawn(): NotDrawn {
    const all = nothingLeftOut();
    for (const { hidden, missing, stored, byGroup } of this.byRun.values()) {
      if (hidden) all.hidden += stored.rows;
      else if (missing) all.noAttribute += stored.rows;
      else {
        for (const group of byGroup.values()) {
          if (group.hidden) all.hidden += group.line.rows;
          else for (const reason of REASONS) all[reason] += group.line.notDrawn[reason];
        }
      }
    }
    return all;
  }

  private takeIn(): void {
    for (const run of this.byRun.keys()) if (!this.store.runs.has(run)) this.byRun.delete(run);
    const fields = this.fields();
    for (const stored of this.store.ordered()) {
      const handle = stored.head.run;
      const made = JSON.stringify(this.attributes.map((field) => stored.head.attributes[field]));
      let entry = this.byRun.get(handle);
      if (!entry || entry.stored !== stored || entry.made !== made) {
        // Set anew, so that the order of lines stays the order of runs.
        this.byRun.delete(handle);
        this.byRun.set(handle, (entry = this.begin(stored, made)));
      }
      entry.waiting = stored.rows > entry.taken && !fields.every((field) => stored.chunks.every((chunk) => chunk.columns.has(field)));
      if (!entry.missing && !entry.waiting && entry.taken < stored.rows) this.extend(entry);
    }
  }

  private fields(): string[] {
    const { x, y, color, size, order, group, rows } = this.request;
    const bound = [x, y, color, size, order, ...group, ...rows.map(({ column }) => column)];
    return bound.filter((column) => column?.kind === 'field').map((column) => column!.handle);
  }

  private begin(stored: StoredRun, made: string): RunLines {
    const { color, x, y, size, order } = this.request;
    const raw = color?.kind === 'attr' ? stored.head.attributes[color.handle] : undefined;
    const value = color?.kind === 'attr' ? (raw === undefined ? null : parseScalar(raw, color.type)) : undefined;
    const missing = [x, y, size, order].some((column) => column?.kind === 'attr' && stored.head.attributes[column.handle] === undefined);
    const byCategory = value !== undefined && this.hide.has(categoryKey(value));
    return { stored, made, value, missing, byGroup: new Map(), hidden: byCategory || this.hide.has(stored.head.run), taken: 0, waiting: false };
  }

  private extend(entry: RunLines): void {
    let first = 0;
    for (const chunk of entry.stored.chunks) {
      const from = Math.max(0, entry.taken - first);
      if (from < chunk.rows) this.extendFrom(entry, chunk, first, from);
      first += chunk.rows;
    }
    entry.taken = entry.stored.rows;
  }

  private extendFrom(entry: RunLines, chunk: StoredChunk, first: number, from: number): void {
    const count = chunk.rows - from;
    const values = this.read(entry.stored, chunk, from, count);
    const split = splitByGroup(this.grouping, entry.stored, chunk, from, count);
    for (const { key, groups, indices } of split) {
      const target = this.lineOf(entry, key, groups());
      if (!indices) target.line.append({ firstRow: first + from, rows: count, ...values });
      else target.line.append({ firstRow: first + from, rows: indices.length, numbers: indices.map((i) => first + from + i), ...picked(values, indices) });
    }
  }

  private lineOf(entry: RunLines, key: string, groups: (Scalar | null)[]): GroupLine {
    const known = entry.byGroup.get(key);
    if (known) return known;
    const { color, size, order, mark, smoothing } = this.request;
    const line = new Line({ coloured: color?.kind === 'field', sized: size !== null, ordered: order !== null && isJoined(mark) });
    const made: GroupLine = {
      id: `${this.layer}/${entry.stored.head.run}${key && `/${key}`}`,
      groups, line,
      smooth: smoothing && isJoined(mark) ? new Smooth(line, smoothing) : null,
      hidden: groups.some((value) => this.hide.has(categoryKey(value))),
    };
    entry.byGroup.set(key, made);
    return made;
  }

  private read(stored: StoredRun, chunk: StoredChunk, from: number, count: number): Values {
    const { x, y, color, size, order, mark, xAxis, yAxis } = this.request;
    const reasons = new Uint8Array(count);
    this.filter.mark(chunk, from, count, reasons);
    const at = (column: BoundColumn, space: AxisSpace): Float64Array => this.values(stored, chunk, column, space, from, count, reasons);
    let c: Float64Array | null = null;
    if (color?.kind === 'field') c = this.categorical ? this.codes.read(chunk, from, count, this.hide, HIDDEN, reasons) : at(color, this.aside.c);
    return {
      c,
      s: size && at(size, this.aside.s),
      o: order && isJoined(mark) ? at(order, this.aside.o) : null,
      x: at(x, this.spaces[xAxis]),
      y: at(y, this.spaces[yAxis]),
      reasons,
    };
  }

  private values(
    stored: StoredRun, chunk: StoredChunk, column: BoundColumn, space: AxisSpace,
    from: number, count: number, reasons: Uint8Array,
  ): Float64Array {
    try {
      if (column.kind === 'field') return axisValues(chunk.columns.get(column.handle)!, from, count, space, reasons);
      const value = attributeValue(stored.head.attributes[column.handle]!, column.type, space);
      const why = reasonCode(space.scale.name === 'log' ? 'log' : 'nonFinite');
      if (value === null) reasons.forEach((reason, i) => (reasons[i] = reason || why));
      return new Float64Array(count).fill(value ?? NaN);
    } catch (error) {
      if (error instanceof NeedsOrigin) space.origin = error.origin;
      throw error;
    }
  }
}

function picked({ x, y, c, s, o, reasons }: Values, indices: Uint32Array): Values {
  const of = (values: Float64Array): Float64Array => Float64Array.from(indices, (i) => values[i]!);
  return { x: of(x), y: of(y), c: c && of(c), s: s && of(s), o: o && of(o), reasons: Uint8Array.from(indices, (i) => reasons[i]!) };
}
