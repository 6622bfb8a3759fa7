/** The table's columns: their ids, titles, and what stands in a cell. */

import { groupDigits, shortScalar } from '../../model/numbers';
import { isNumeric, parseScalar, type JsonScalar } from '../../model/types';
import type { Facets, FieldInfo, FoundRun, SortJson } from './types';

export interface Column {
  /** `run`, `started`, `state`, `tags`, `rows`, `seen`, `owner`, a field's handle after `attr:`, a series' after `series:`. */
  id: string;
  title: string;
  hint: string;
  numeric: boolean;
  width: number;
  /** Without `descending`; `null`: the table cannot be sorted by it. */
  sort: SortJson | null;
  field?: FieldInfo;
  series?: string;
}

const FIXED: Column[] = [
  { id: 'run', title: 'Run', hint: 'handle', numeric: false, width: 108, sort: null },
  { id: 'started', title: 'Started', hint: 'when the run began', numeric: false, width: 96, sort: { by: 'started_at' } },
  { id: 'state', title: 'State', hint: 'running, finished, failed; stale: running, and silent for ten minutes', numeric: false, width: 92, sort: { by: 'state' } },
  { id: 'tags', title: 'Tags', hint: '', numeric: false, width: 220, sort: null },
  { id: 'rows', title: 'Rows', hint: 'over all series', numeric: true, width: 88, sort: { by: 'rows' } },
  { id: 'seen', title: 'Last rows', hint: 'when rows came last', numeric: false, width: 96, sort: { by: 'last_append_at' } },
  { id: 'owner', title: 'Owner', hint: '', numeric: false, width: 92, sort: { by: 'owner' } },
];
const ALWAYS = ['run', 'started', 'state', 'tags'];
const DEFAULT_ATTRIBUTES = 4;

function attributeColumn(field: FieldInfo): Column {
  const { handle, name, unit, data_type, description } = field;
  const hint = [data_type, description].filter(Boolean).join(' · ');
  return {
    id: `attr:${handle}`, title: unit ? `${name} [${unit}]` : name, hint, numeric: isNumeric(data_type),
    width: Math.min(180, Math.max(84, 30 + 7.5 * name.length)), sort: { by: 'attribute', field: handle }, field,
  };
}

/** Every column there could be, in the order of the chooser. */
export function allColumns(facets: Facets | null): Column[] {
  if (!facets) return FIXED;
  const fields = [...facets.attributes, ...facets.more_attributes].map(({ field }) => field);
  const series = facets.series.map<Column>((one) => ({
    id: `series:${one.series}`, title: `${one.name} rows`, hint: `rows in ${one.name}`, numeric: true, width: 110,
    sort: { by: 'series', series: one.series }, series: one.series,
  }));
  return [...FIXED, ...fields.map(attributeColumn), ...series];
}

/** What differs and most runs have tells most. */
export function defaultColumns(facets: Facets | null): string[] {
  const telling = (facets?.attributes ?? []).filter(({ distinct, covered }) => distinct > 1 && covered > 0);
  return [...ALWAYS, ...telling.slice(0, DEFAULT_ATTRIBUTES).map(({ field }) => `attr:${field.handle}`), 'rows', 'seen'];
}

export function chosenColumns(ids: string[], facets: Facets | null): Column[] {
  const byId = new Map(allColumns(facets).map((column) => [column.id, column]));
  return ids.map((id) => byId.get(id)).filter((column) => column !== undefined);
}

export function fieldsOf(columns: Column[]): string[] {
  return columns.flatMap(({ field }) => (field ? [field.handle] : []));
}

export function totalRows(run: FoundRun): number {
  return Object.values(run.rows).reduce((sum, rows) => sum + rows, 0);
}

/** A point in time with all its seconds, where the reader is. */
export function when(iso: string): string {
  return new Date(iso).toLocaleString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** Short; the whole value is the cell's title. */
export function shortAttribute(value: JsonScalar | undefined, field: FieldInfo): string {
  return value === undefined ? '' : shortScalar(parseScalar(value, field.data_type));
}

/** Both ends of a span of time: their days, or their times where the day is the same. */
export function endsOfSpan(first: string, last: string): [string, string] {
  const day = (at: string): string => new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  const time = (at: string): string => new Date(at).toLocaleTimeString('en-GB');
  return day(first) === day(last) ? [time(first), time(last)] : [day(first), day(last)];
}

export function cellText(run: FoundRun, column: Column): string {
  if (column.field) return shortAttribute(run.attributes[column.field.handle], column.field);
  if (column.series) return column.series in run.rows ? groupDigits(run.rows[column.series]!) : '';
  if (column.id === 'rows') return groupDigits(totalRows(run));
  return column.id === 'owner' ? run.owner : '';
}

export function sameSort(one: SortJson, other: SortJson): boolean {
  return one.by === other.by && one.field === other.field && one.series === other.series;
}
