/** From the names of a document to fields: what is bound, what was chosen by default, what is wrong. */

import { emptyLayer, type ColourAs, type LayerSpec, type RowCondition, type Source } from './document';
import { isNumeric, type DataType, type Field, type Series } from './types';

export interface BoundColumn {
  kind: 'field' | 'attr';
  handle: string;
  name: string;
  type: DataType;
  unit: string | null;
}

export interface BoundCondition extends RowCondition {
  column: BoundColumn;
}

/** One layer, held to the catalogue. */
export interface Bound {
  series: Series;
  x: BoundColumn;
  y: BoundColumn;
  color: BoundColumn | null;
  /** Whether `color` takes colours of categories rather than of a scale. */
  categorical: boolean;
  group: BoundColumn[];
  order: BoundColumn | null;
  size: BoundColumn | null;
  label: BoundColumn | null;
  tooltip: BoundColumn[];
  rows: BoundCondition[];
}

/** `warning`: what was asked for and is not there (yet); the plot does without. */
export type Binding = { bound: Bound; warning: string } | { problem: string };

export type Axis = 'x' | 'y' | 'color' | 'group' | 'order' | 'size' | 'label' | 'tooltip';

const ALL: readonly DataType[] = ['int', 'float', 'text', 'bool'];
const NUMBERS: readonly DataType[] = ['int', 'float'];

/** Which types may stand on which axis; `plotting/spec.py` has the same. */
export const LEGAL_TYPES: Record<Axis, readonly DataType[]> = {
  x: NUMBERS, y: NUMBERS, color: ALL, group: ['int', 'text', 'bool'], order: NUMBERS, size: NUMBERS, label: ALL, tooltip: ALL,
};

const ORDERING = /^(step|iteration|iter|epoch|time|timestamp|t)$/i;

function column(kind: 'field' | 'attr', field: Field): BoundColumn {
  return { kind, handle: field.handle, name: field.name, type: field.data_type, unit: field.unit };
}

function defaultX(series: Series): Field | undefined {
  const ints = series.fields.filter((field) => field.data_type === 'int');
  const numeric = series.fields.filter((field) => isNumeric(field.data_type));
  return numeric.find((field) => ORDERING.test(field.name)) ?? ints[0] ?? numeric[0];
}

function defaultY(series: Series, x: Field | undefined): Field | undefined {
  const others = series.fields.filter((field) => isNumeric(field.data_type) && field.handle !== x?.handle);
  return others.find((field) => field.data_type === 'float') ?? others[0] ?? x;
}

function find(source: Source, series: Series, attributes: Field[]): Field | undefined {
  const among = source.kind === 'attr' ? attributes : series.fields;
  return among.find((field) => field.name === source.name) ?? among.find((field) => field.handle === source.name);
}

export function findSeries(name: string | null, all: Series[], withRows: (series: Series) => boolean): Series | undefined {
  if (name) return all.find((series) => series.name === name) ?? all.find((series) => series.handle === name);
  return all.find(withRows) ?? all[0];
}

class Unbound extends Error {}

class Binder {
  readonly warnings: string[] = [];

  constructor(
    private readonly series: Series,
    private readonly attributes: Field[],
  ) {}

  position(axis: 'x' | 'y', source: Source | null, standard: Field | undefined): BoundColumn {
    if (!source) {
      if (!standard) throw new Unbound(`Series “${this.series.name}” has no int or float field to put on ${axis}.`);
      return column('field', standard);
    }
    const field = find(source, this.series, this.attributes);
    const what = source.kind === 'attr' ? 'attribute' : 'field';
    if (!field) throw new Unbound(`There is no ${what} “${source.name}” for ${axis}. Choose another.`);
    if (!isNumeric(field.data_type)) throw new Unbound(`${axis} needs an int or a float; “${field.name}” is ${field.data_type}.`);
    return column(source.kind, field);
  }

  /** The plot does without what is not there; a type that does not fit is a mistake. */
  optional(axis: Axis, source: Source | null, without: string): BoundColumn | null {
    if (!source) return null;
    const field = find(source, this.series, this.attributes);
    if (!field) {
      this.warnings.push(`${without}: ${source.kind === 'attr' ? `no run has ${source.name}` : `there is no field ${source.name}`}`);
      return null;
    }
    if (!LEGAL_TYPES[axis].includes(field.data_type)) {
      throw new Unbound(`${axis} takes ${LEGAL_TYPES[axis].join(' or ')}; “${field.name}” is ${field.data_type}. Choose another.`);
    }
    return column(source.kind, field);
  }

  several(axis: Axis, sources: Source[], without: string): BoundColumn[] {
    return sources.map((source) => this.optional(axis, source, without)).filter((one) => one !== null);
  }

  conditions(rows: RowCondition[]): BoundCondition[] {
    return rows.map((condition) => {
      const field = find({ kind: 'field', name: condition.field }, this.series, []);
      if (!field) throw new Unbound(`There is no field “${condition.field}” to choose rows by.`);
      return { ...condition, column: column('field', field) };
    });
  }
}

function isCategorical(color: BoundColumn | null, as: ColourAs | null): boolean {
  return color !== null && (!isNumeric(color.type) || as === 'categorical');
}

export function bind(layer: LayerSpec, series: Series, attributes: Field[]): Binding {
  const binder = new Binder(series, attributes);
  const standardX = defaultX(series);
  try {
    const x = binder.position('x', layer.x, standardX);
    const xField = series.fields.find((field) => field.handle === x.handle) ?? standardX;
    const color = binder.optional('color', layer.color, layer.group.length > 0 ? 'coloured by group' : 'coloured by run');
    const y = binder.position('y', layer.y, defaultY(series, xField));
    if (layer.mark === 'density' && (x.kind === 'attr' || y.kind === 'attr')) throw new Unbound('A density needs fields of the series on x and y, no attribute. Choose another mark.');
    const bound: Bound = {
      series,
      x,
      y,
      color,
      categorical: isCategorical(color, layer.colorAs),
      group: binder.several('group', layer.group, 'not grouped'),
      order: binder.optional('order', layer.order, 'ordered by x'),
      size: binder.optional('size', layer.size, 'all points alike'),
      label: binder.optional('label', layer.label, 'no labels'),
      tooltip: binder.several('tooltip', layer.tooltip, 'not shown on hover'),
      rows: binder.conditions(layer.rows),
    };
    return { bound, warning: binder.warnings.join('; ') };
  } catch (error) {
    if (error instanceof Unbound) return { problem: error.message };
    throw error;
  }
}

/** Everything that is bound, each column once. */
export function boundColumns(bound: Omit<Bound, 'series'>): BoundColumn[] {
  const { x, y, color, group, order, size, label, tooltip, rows } = bound;
  const all = [x, y, color, ...group, order, size, label, ...tooltip, ...rows.map((condition) => condition.column)];
  const present = all.filter((one) => one !== null);
  return present.filter((one, i) => present.findIndex((other) => other.kind === one.kind && other.handle === one.handle) === i);
}

/** Series fields that must be fetched for this binding, in the series' order. */
export function boundFields(bound: Bound): string[] {
  const wanted = new Set(boundColumns(bound).filter((one) => one.kind === 'field').map((one) => one.handle));
  return bound.series.fields.map((field) => field.handle).filter((handle) => wanted.has(handle));
}

export function boundAttributes(bound: Omit<Bound, 'series'>): string[] {
  return boundColumns(bound).filter((one) => one.kind === 'attr').map((one) => one.handle);
}

export function axisTitle({ name, unit }: { name: string; unit: string | null }): string {
  return unit ? `${name} (${unit})` : name;
}

/** What several layers on one axis have in common; else all their names. */
export function sharedTitle(columns: BoundColumn[]): string {
  return [...new Set(columns.map(axisTitle))].join(' · ');
}

/** A layer beside this one: the same runs and x, the next number that is not shown yet, on a y axis of its own. */
export function nextLayer(layer: LayerSpec, bound: Bound | null, shown: (Bound | null)[]): LayerSpec {
  const used = [bound?.x.handle, ...shown.map((each) => each?.y.handle)];
  const y = bound?.series.fields.find(({ handle, data_type }) => isNumeric(data_type) && !used.includes(handle));
  return {
    ...emptyLayer(),
    series: bound?.series.name ?? layer.series, tags: layer.tags, runs: layer.runs, filter: layer.filter, mark: layer.mark,
    x: bound && { kind: bound.x.kind, name: bound.x.name },
    y: y ? { kind: 'field', name: y.name } : null,
    xAxis: layer.xAxis,
    yAxis: layer.yAxis === 'left' ? 'right' : 'left',
  };
}
