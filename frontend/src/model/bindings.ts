/** From the names of a document to fields: what is bound, what was chosen by default, what is wrong. */

import type { ColourSource, PlotDocument, Source } from './document';
import { isNumeric, type DataType, type Field, type Series } from './types';

export interface BoundColumn {
  kind: 'field' | 'attr';
  handle: string;
  name: string;
  type: DataType;
  unit: string | null;
}

export interface Bound {
  series: Series;
  x: BoundColumn;
  y: BoundColumn;
  color: BoundColumn | null;
}

/** `warning`: what was asked for and is not there (yet); the plot does without. */
export type Binding = { bound: Bound; warning: string } | { problem: string };

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

function axis(source: Source | null, standard: Field | undefined, series: Series, attributes: Field[], letter: string): BoundColumn {
  if (!source) {
    if (!standard) throw new Unbound(`Series “${series.name}” has no int or float field to put on ${letter}.`);
    return column('field', standard);
  }
  const field = find(source, series, attributes);
  const what = source.kind === 'attr' ? 'attribute' : 'field';
  if (!field) throw new Unbound(`There is no ${what} “${source.name}” for ${letter}. Choose another.`);
  if (!isNumeric(field.data_type)) throw new Unbound(`${letter} needs an int or a float; “${field.name}” is ${field.data_type}.`);
  return column(source.kind, field);
}

function colour(source: ColourSource, series: Series, attributes: Field[]): { color: BoundColumn | null; warning: string } {
  if (source.kind === 'run') return { color: null, warning: '' };
  const field = find(source, series, attributes);
  if (field) return { color: column(source.kind, field), warning: '' };
  const missing = source.kind === 'attr' ? `no run has ${source.name}` : `there is no field ${source.name}`;
  return { color: null, warning: `coloured by run: ${missing}` };
}

export function bind(document: PlotDocument, series: Series, attributes: Field[]): Binding {
  const x = defaultX(series);
  try {
    const boundX = axis(document.x, x, series, attributes, 'x');
    const { color, warning } = colour(document.color, series, attributes);
    const xField = series.fields.find((field) => field.handle === boundX.handle) ?? x;
    return {
      bound: {
        series,
        x: boundX,
        y: axis(document.y, defaultY(series, xField), series, attributes, 'y'),
        color,
      },
      warning,
    };
  } catch (error) {
    if (error instanceof Unbound) return { problem: error.message };
    throw error;
  }
}

/** Series fields that must be fetched for this binding, in the series' order. */
export function boundFields(bound: Bound): string[] {
  const wanted = new Set([bound.x, bound.y, bound.color].filter((c) => c?.kind === 'field').map((c) => c!.handle));
  return bound.series.fields.map((field) => field.handle).filter((handle) => wanted.has(handle));
}

export function boundAttributes(bound: Bound): string[] {
  return [...new Set([bound.x, bound.y, bound.color].filter((c) => c?.kind === 'attr').map((c) => c!.handle))];
}

export function axisTitle(column: BoundColumn): string {
  return column.unit ? `${column.name} (${column.unit})` : column.name;
}
