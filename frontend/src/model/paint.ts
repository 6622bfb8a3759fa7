/** Which colour each line gets, and what the legend says about it. */

import type { BoundColumn } from './bindings';
import {
  categoryColour, categoryKey, categoryTable, ColourBook, GROUND, mix, NONE, rampColour, rampFor, rampPosition, rampTable, shade,
  type Ground, type Rgb, type Table,
} from './colour';
import type { Category, Legend } from './legend';
import { showScalar } from './numbers';
import type { Scalar } from './types';
import type { Range } from './viewport';

export interface PaintedLine {
  /** Unique in the plot. */
  id: string;
  run: string;
  /** The colour attribute's value; `undefined` when the colour is not an attribute. */
  value: Scalar | null | undefined;
  /** Of each group; `null`: a run without the attribute. */
  groups: (Scalar | null)[];
}

export interface PaintLayer {
  lines: PaintedLine[];
  color: BoundColumn | null;
  categorical: boolean;
  colourRange: Range | null;
  sizeRange: Range | null;
  /** Words of a categorical series field, by their numbers. */
  categories: string[];
  /** Of a density: the greatest count. */
  most?: number | null;
}

export interface PaintInput {
  layers: PaintLayer[];
  hide: string[];
  ground: Ground;
  /** A run, a category, or `layer:` and a number. */
  highlight: string | null;
}

export type Ramping = (bc: number) => { scale: number; offset: number };

export interface PaintedLayer {
  legend: Legend;
  rowRamp: Ramping | null;
  sizes: { domain: Range; ramp: Ramping } | null;
}

export interface Painting {
  /** By the ids of lines. */
  colours: Map<string, Rgb>;
  faded: Set<string>;
  tables: Table;
  layers: PaintedLayer[];
}

export const FADE = 0.82;
const MOST_LISTED = 100;

type Inked = Pick<PaintedLayer, 'legend' | 'rowRamp'> & { colourOf: (line: PaintedLine) => Rgb; table: Table | null };

export class Painter {
  private readonly runs = new ColourBook();
  private readonly values = new ColourBook();
  private readonly shades = new Map<string, ColourBook>();
  private tablesKey = '';
  private tables: Table = new Uint8Array(1024);

  /** Runs in the order of their numbers, also those not plotted now: the same address shows the same colours. */
  know(runs: string[]): void {
    for (const run of runs) this.runs.numberOf(run);
  }

  /** Another binding: categories are counted anew, runs keep their colours. */
  reset(): void {
    this.values.clear();
    this.shades.clear();
  }

  paint(input: PaintInput): Painting {
    const colours = new Map<string, Rgb>();
    const faded = new Set<string>();
    const runs = new Set(input.layers.flatMap(({ lines }) => lines.map(({ run }) => run))).size;
    const layers: PaintedLayer[] = [];
    const tables: { key: string; make: () => Table }[] = [];
    input.layers.forEach((layer, index) => {
      const inked = this.ink(layer, index, input, runs, (key, make) => tables.push({ key, make }));
      for (const line of layer.lines) {
        colours.set(line.id, inked.colourOf(line));
        if (isFaded(line, index, layer, input.highlight)) faded.add(line.id);
      }
      layers.push({ legend: inked.legend, rowRamp: inked.rowRamp, sizes: sizesOf(layer.sizeRange) });
    });
    return { colours, faded, tables: this.joined(tables), layers };
  }

  private ink(layer: PaintLayer, index: number, input: PaintInput, runs: number, table: (key: string, make: () => Table) => void): Omit<Inked, 'table'> {
    const { ground } = input;
    const { color, categorical, most } = layer;
    if (most) {
      table(`ramp ${ground}`, () => rampTable(ground));
      return byCount(most, ground);
    }
    if (color?.kind === 'field' && categorical) return this.byRowCategory(layer, input, table);
    table(`ramp ${ground}`, () => rampTable(ground));
    if (color?.kind === 'field') return byRowValue(layer, ground);
    if (color && categorical) return this.byGroup(layer.lines, ({ value }) => [value ?? null], input);
    if (color) return byAttributeValue(layer, ground);
    if (layer.lines.some(({ groups }) => groups.length > 0)) return this.byGroup(layer.lines, ({ groups }) => groups, input);
    return this.byRun(index, input, runs);
  }

  private byRun(index: number, { layers, ground }: PaintInput, runs: number): Omit<Inked, 'table'> {
    if (runs <= 1 && layers.length > 1) {
      const colour = categoryColour(index, ground);
      return { colourOf: () => colour, legend: { kind: 'layer', colour }, rowRamp: null };
    }
    return { colourOf: ({ run }) => shade(categoryColour(this.runs.numberOf(run), ground), index, ground), legend: { kind: 'runs' }, rowRamp: null };
  }

  /** Hue by the first value, shade by the others. */
  private byGroup(lines: PaintedLine[], valuesOf: (line: PaintedLine) => (Scalar | null)[], { ground, hide }: PaintInput): Omit<Inked, 'table'> {
    const categories = new Map<string, Category>();
    const seen = new Set<string>();
    const colourOf = (line: PaintedLine): Rgb => {
      const [main, ...rest] = valuesOf(line);
      return this.groupColour(main ?? null, rest, ground);
    };
    for (const line of lines) {
      const [main, ...rest] = valuesOf(line);
      const key = categoryKey(main ?? null);
      if (!categories.has(key)) {
        categories.set(key, { key, label: showScalar(main), colour: this.groupColour(main ?? null, [], ground), hidden: hide.includes(key), within: [] });
      }
      const label = rest.map((value) => showScalar(value)).join(' · ');
      if (rest.length === 0 || seen.has(`${key} ${label}`)) continue;
      seen.add(`${key} ${label}`);
      categories.get(key)!.within.push({ label, colour: colourOf(line) });
    }
    return { colourOf, legend: listed([...categories.values()]), rowRamp: null };
  }

  private groupColour(main: Scalar | null, rest: (Scalar | null)[], ground: Ground): Rgb {
    const key = categoryKey(main);
    const hue = main === null ? NONE[ground] : categoryColour(this.values.numberOf(key), ground);
    if (rest.length === 0) return hue;
    let book = this.shades.get(key);
    if (!book) this.shades.set(key, (book = new ColourBook()));
    return shade(hue, book.numberOf(rest.map((value) => showScalar(value)).join('\0')), ground);
  }

  private byRowCategory(layer: PaintLayer, { hide, ground, highlight }: PaintInput, table: (key: string, make: () => Table) => void): Omit<Inked, 'table'> {
    const categories = layer.categories.map((label, i) => ({
      key: `is:${label}`, label, colour: categoryColour(i % 256, ground), hidden: hide.includes(`is:${label}`), within: [],
    }));
    const lit = categories.findIndex(({ key }) => key === highlight);
    table(`categories ${ground} ${lit}`, () => litTable(ground, lit));
    return { colourOf: () => NONE[ground], legend: listed(categories), rowRamp: () => ({ scale: 1, offset: 0 }) };
  }

  /** Renderers upload the tables when they are another object. */
  private joined(tables: { key: string; make: () => Table }[]): Table {
    const key = tables.map((one) => one.key).join();
    if (key !== this.tablesKey) {
      this.tablesKey = key;
      this.tables = new Uint8Array(Math.max(1, tables.length) * 1024);
      tables.forEach(({ make }, i) => this.tables.set(make(), i * 1024));
    }
    return this.tables;
  }
}

function listed(categories: Category[]): Legend {
  return { kind: 'categories', categories: categories.slice(0, MOST_LISTED), more: Math.max(0, categories.length - MOST_LISTED) };
}

function isFaded(line: PaintedLine, index: number, { color, categorical }: PaintLayer, highlight: string | null): boolean {
  if (!highlight) return false;
  // Rows of one line have different colours then: the table fades them.
  if (highlight.startsWith('is:') && color?.kind === 'field' && categorical) return false;
  const keys = [line.run, `layer:${index}`, ...line.groups.map(categoryKey), ...(line.value === undefined ? [] : [categoryKey(line.value)])];
  return !keys.includes(highlight);
}

function byAttributeValue({ lines }: PaintLayer, ground: Ground): Omit<Inked, 'table'> {
  const ramp = rampFor(lines.map(({ value }) => Number(value ?? NaN))) ?? { domain: { min: 0, max: 1 }, log: false };
  const colourOf = ({ value }: PaintedLine): Rgb => {
    const number = Number(value ?? NaN);
    return Number.isFinite(number) ? rampColour(rampPosition(number, ramp), ground) : NONE[ground];
  };
  return { colourOf, legend: { kind: 'ramp', ramp, none: lines.some(({ value }) => value === null) }, rowRamp: null };
}

function byRowValue({ colourRange }: PaintLayer, ground: Ground): Omit<Inked, 'table'> {
  const domain = colourRange ?? { min: 0, max: 1 };
  const scale = domain.max > domain.min ? 255 / (domain.max - domain.min) : 0;
  return {
    colourOf: () => NONE[ground],
    legend: { kind: 'ramp', ramp: { domain, log: false }, none: false },
    rowRamp: (bc) => ({ scale, offset: scale === 0 ? 128 : (bc - domain.min) * scale }),
  };
}

/** Of cells that hold 1 … `most` rows, by the logarithm. */
function byCount(most: number, ground: Ground): Omit<Inked, 'table'> {
  const scale = most > 1 ? 255 / Math.log10(most) : 0;
  return {
    colourOf: () => NONE[ground],
    legend: { kind: 'ramp', ramp: { domain: { min: 1, max: most }, log: most > 1 }, none: false, counts: true },
    rowRamp: () => ({ scale, offset: scale === 0 ? 128 : 0 }),
  };
}

function sizesOf(domain: Range | null): PaintedLayer['sizes'] {
  if (!domain) return null;
  const scale = domain.max > domain.min ? 1 / (domain.max - domain.min) : 0;
  return { domain, ramp: (bs) => ({ scale, offset: scale === 0 ? 0.5 : (bs - domain.min) * scale }) };
}

function litTable(ground: Ground, lit: number): Table {
  const table = categoryTable(ground);
  for (let i = 0; lit >= 0 && i < 256; i += 1) {
    if (i !== lit) table.set(mix([table[4 * i]!, table[4 * i + 1]!, table[4 * i + 2]!], GROUND[ground], FADE), 4 * i);
  }
  return table;
}
