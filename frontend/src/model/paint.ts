/** Which colour each line gets, and what the legend says about it. */

import type { BoundColumn } from './bindings';
import {
  categoryColour, categoryKey, categoryTable, ColourBook, GROUND, mix, NONE, rampColour, rampFor, rampPosition, rampTable,
  type Ground, type Ramp, type Rgb, type Table,
} from './colour';
import { showScalar } from './numbers';
import type { DrawItem } from './renderer';
import type { Part } from './scene';
import type { Scalar } from './types';
import type { Range } from './viewport';

export interface PaintedLine {
  run: string;
  value: Scalar | null | undefined;
}

export interface Category {
  key: string;
  label: string;
  colour: Rgb;
  hidden: boolean;
}

export type Legend =
  | { kind: 'runs' }
  | { kind: 'ramp'; ramp: Ramp; none: boolean }
  | { kind: 'categories'; categories: Category[] };

export interface PaintInput {
  lines: PaintedLine[];
  color: BoundColumn | null;
  colourRange: Range | null;
  /** Words of a categorical series field, by their numbers. */
  categories: string[];
  hide: string[];
  ground: Ground;
  highlight: string | null;
}

export interface Painting {
  colours: Map<string, Rgb>;
  faded: Set<string>;
  table: Table;
  legend: Legend;
  rowRamp: ((bc: number) => { scale: number; offset: number }) | null;
}

const FADE = 0.82;
const MOST_LISTED = 100;

export class Painter {
  private readonly runs = new ColourBook();
  private readonly values = new ColourBook();
  private tableKey = '';
  private table: Table = rampTable('light');

  /** Runs in the order of their numbers, also those not plotted now: the same address shows the same colours. */
  know(runs: string[]): void {
    for (const run of runs) this.runs.numberOf(run);
  }

  /** Another binding: categories are counted anew, runs keep their colours. */
  reset(): void {
    this.values.clear();
  }

  paint(input: PaintInput): Painting {
    const { color } = input;
    if (color?.kind === 'field') return this.byRow(input, color);
    if (color) return this.byAttribute(input, color);
    const colours = new Map(input.lines.map(({ run }) => [run, categoryColour(this.runs.numberOf(run), input.ground)]));
    return { colours, faded: this.faded(input, ({ run }) => run), table: this.ramp(input.ground), legend: { kind: 'runs' }, rowRamp: null };
  }

  private faded({ lines, highlight }: PaintInput, keyOf: (line: PaintedLine) => string): Set<string> {
    if (!highlight) return new Set();
    return new Set(lines.filter((line) => keyOf(line) !== highlight && line.run !== highlight).map(({ run }) => run));
  }

  private byAttribute(input: PaintInput, color: BoundColumn): Painting {
    const { lines, ground } = input;
    const table = this.ramp(ground);
    if (color.type === 'int' || color.type === 'float') {
      const ramp = rampFor(lines.map(({ value }) => Number(value ?? NaN))) ?? { domain: { min: 0, max: 1 }, log: false };
      const colours = new Map(lines.map(({ run, value }) => {
        const number = Number(value ?? NaN);
        return [run, Number.isFinite(number) ? rampColour(rampPosition(number, ramp), ground) : NONE[ground]];
      }));
      const none = lines.some(({ value }) => value === null);
      return { colours, faded: this.faded(input, ({ run }) => run), table, legend: { kind: 'ramp', ramp, none }, rowRamp: null };
    }
    const categories = new Map<string, Category>();
    const colours = new Map<string, Rgb>();
    for (const { run, value } of lines) {
      const key = categoryKey(value ?? null);
      const colour = value === null ? NONE[ground] : categoryColour(this.values.numberOf(key), ground);
      colours.set(run, colour);
      categories.set(key, { key, label: showScalar(value), colour, hidden: input.hide.includes(key) });
    }
    const legend: Legend = { kind: 'categories', categories: [...categories.values()] };
    return { colours, faded: this.faded(input, ({ value }) => categoryKey(value ?? null)), table, legend, rowRamp: null };
  }

  private byRow(input: PaintInput, color: BoundColumn): Painting {
    const { lines, ground, highlight } = input;
    const colours = new Map(lines.map(({ run }) => [run, NONE[ground]]));
    const faded = this.faded(highlight?.startsWith('is:') ? { ...input, highlight: null } : input, ({ run }) => run);
    if (color.type === 'int' || color.type === 'float') {
      const domain = input.colourRange ?? { min: 0, max: 1 };
      const scale = domain.max > domain.min ? 255 / (domain.max - domain.min) : 0;
      return {
        colours, faded,
        table: this.ramp(ground),
        legend: { kind: 'ramp', ramp: { domain, log: false }, none: false },
        rowRamp: (bc) => ({ scale, offset: scale === 0 ? 128 : (bc - domain.min) * scale }),
      };
    }
    const categories = input.categories.slice(0, MOST_LISTED).map((label, i) => {
      const key = `is:${label}`;
      return { key, label, colour: categoryColour(i % 256, ground), hidden: input.hide.includes(key) };
    });
    const lit = categories.findIndex(({ key }) => key === highlight);
    return {
      colours, faded,
      table: this.categories(ground, lit),
      legend: { kind: 'categories', categories },
      rowRamp: () => ({ scale: 1, offset: 0 }),
    };
  }

  private ramp(ground: Ground): Table {
    return this.cached(`ramp ${ground}`, () => rampTable(ground));
  }

  private categories(ground: Ground, lit: number): Table {
    return this.cached(`categories ${ground} ${lit}`, () => {
      const table = categoryTable(ground);
      for (let i = 0; lit >= 0 && i < 256; i += 1) {
        if (i !== lit) table.set(mix([table[4 * i]!, table[4 * i + 1]!, table[4 * i + 2]!], GROUND[ground], FADE), 4 * i);
      }
      return table;
    });
  }

  /** Renderers upload the table when it is another object. */
  private cached(key: string, make: () => Table): Table {
    if (key !== this.tableKey) {
      this.tableKey = key;
      this.table = make();
    }
    return this.table;
  }
}

/** Highlighted lines last, so that they lie on top. */
export function drawItems(parts: Iterable<Part>, order: string[], painting: Painting, ground: Ground): DrawItem[] {
  const place = new Map(order.map((run, i) => [run, i]));
  const items: DrawItem[] = [];
  for (const part of parts) {
    const colour = painting.colours.get(part.line) ?? NONE[ground];
    const ramp = painting.rowRamp?.(part.frame.bc) ?? null;
    items.push({ part, colour, ramp, fade: painting.faded.has(part.line) ? FADE : 0 });
  }
  const rank = (item: DrawItem): number => (place.get(item.part.line) ?? 0) - (item.fade > 0 ? order.length : 0);
  return items.sort((a, b) => rank(a) - rank(b));
}
