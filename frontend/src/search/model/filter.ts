/** Changes of a run filter that facets make. Each gives a new filter; a part that asks for nothing is left out. */

import type { JsonScalar } from '../../model/types';
import type { AttributeItem, Bin, FilterJson } from './types';

export type Bounds = Pick<AttributeItem, 'min' | 'max' | 'min_open' | 'max_open'>;
export type TagState = 'had' | 'refused' | 'free';

function without<T extends object>(object: T, key: keyof T): T {
  return Object.fromEntries(Object.entries(object).filter(([other]) => other !== key)) as T;
}

function toggled<T>(list: readonly T[], item: T): T[] {
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item];
}

export function tagState(filter: FilterJson, name: string): TagState {
  const { tags = {}, not_tags: refused = {} } = filter;
  if (tags.all?.includes(name) || tags.any?.includes(name)) return 'had';
  return refused.any?.includes(name) ? 'refused' : 'free';
}

export function tagMode(filter: FilterJson): 'all' | 'any' {
  return filter.tags?.any !== undefined && !filter.tags.all?.length ? 'any' : 'all';
}

function withTags(filter: FilterJson, key: 'tags' | 'not_tags', mode: 'all' | 'any', names: string[]): FilterJson {
  const lists = names.length > 0 ? { ...filter[key], [mode]: names } : without(filter[key] ?? {}, mode);
  return Object.keys(lists).length > 0 ? { ...filter, [key]: lists } : without(filter, key);
}

function freed(filter: FilterJson, name: string): FilterJson {
  let free = filter;
  for (const key of ['tags', 'not_tags'] as const) {
    for (const mode of ['all', 'any'] as const) {
      const names = free[key]?.[mode];
      if (names?.includes(name)) free = withTags(free, key, mode, names.filter((other) => other !== name));
    }
  }
  return free;
}

/** In the given state, and in no other list. */
export function setTag(filter: FilterJson, name: string, state: TagState, mode: 'all' | 'any'): FilterJson {
  const free = freed(filter, name);
  if (state === 'had') return withTags(free, 'tags', mode, [...(free.tags?.[mode] ?? []), name]);
  if (state === 'refused') return withTags(free, 'not_tags', 'any', [...(free.not_tags?.any ?? []), name]);
  return free;
}

/** All of the tags that are had now, or any of them. */
export function setTagMode(filter: FilterJson, mode: 'all' | 'any'): FilterJson {
  const names = [...(filter.tags?.all ?? []), ...(filter.tags?.any ?? [])];
  return names.length > 0 ? { ...filter, tags: { [mode]: names } } : filter;
}

export function toggleListed(filter: FilterJson, part: 'owner' | 'state' | 'series', item: string): FilterJson {
  const list = toggled(filter[part] ?? [], item);
  return list.length > 0 ? { ...filter, [part]: list } : without(filter, part);
}

export function setStarted(filter: FilterJson, ends: { min?: string; max?: string } | null): FilterJson {
  return ends && (ends.min !== undefined || ends.max !== undefined) ? { ...filter, started_at: ends } : without(filter, 'started_at');
}

export function setRows(filter: FilterJson, rows: boolean | null): FilterJson {
  return rows === true ? without(filter, 'with_rows') : { ...filter, with_rows: rows };
}

/** What the filter asks of one field, joined; `null`: nothing. */
export function itemsOf(filter: FilterJson, field: string): AttributeItem[] {
  return (filter.attributes ?? []).filter((item) => item.field === field);
}

function withItem(filter: FilterJson, field: string, item: Omit<AttributeItem, 'field'> | null): FilterJson {
  const others = (filter.attributes ?? []).filter((other) => other.field !== field);
  const all = item ? [...others, { field, ...item }] : others;
  return all.length > 0 ? { ...filter, attributes: all } : without(filter, 'attributes');
}

export function clearField(filter: FilterJson, field: string): FilterJson {
  return withItem(filter, field, null);
}

/** The values that are ticked, and whether "(none)" is. */
export function ticked(filter: FilterJson, field: string): { values: JsonScalar[]; none: boolean } {
  const items = itemsOf(filter, field);
  if (items.length !== 1) return { values: [], none: false };
  const { values = [], present, include_missing: none = false } = items[0]!;
  return { values, none: none || present === false };
}

function setTicked(filter: FilterJson, field: string, values: JsonScalar[], none: boolean): FilterJson {
  if (values.length === 0) return withItem(filter, field, none ? { present: false } : null);
  return withItem(filter, field, { values, ...(none && { include_missing: true }) });
}

export function toggleValue(filter: FilterJson, field: string, value: JsonScalar): FilterJson {
  const { values, none } = ticked(filter, field);
  return setTicked(filter, field, toggled(values, value), none);
}

export function toggleNone(filter: FilterJson, field: string): FilterJson {
  const { values, none } = ticked(filter, field);
  const bounds = boundsOf(filter, field);
  if (!bounds) return setTicked(filter, field, values, !none);
  return withItem(filter, field, { ...bounds, ...(!none && { include_missing: true }) });
}

/** The range that is asked for, if it is one. */
export function boundsOf(filter: FilterJson, field: string): Bounds | null {
  const items = itemsOf(filter, field);
  if (items.length !== 1) return null;
  const bounds: Bounds = {};
  for (const key of ['min', 'max', 'min_open', 'max_open'] as const) {
    const bound = items[0]![key];
    if (bound !== undefined) bounds[key] = bound;
  }
  return Object.keys(bounds).length > 0 ? bounds : null;
}

export function setBounds(filter: FilterJson, field: string, bounds: Bounds | null): FilterJson {
  const { none } = ticked(filter, field);
  return withItem(filter, field, bounds && { ...bounds, ...(none && { include_missing: true }) });
}

/** From the first of these bins to the last: exactly their runs. */
export function boundsOfBins(first: Bin, last: Bin): Bounds {
  const upper = last.max !== undefined ? { max: last.max } : { max_open: last.max_open! };
  return { min: first.min, ...upper };
}

export function isEmpty(filter: FilterJson): boolean {
  return Object.keys(filter).length === 0;
}

/** Address of the plot page with these runs, those to come included; its parameters: docs/plotting.md. */
export function plotAddress(filter: FilterJson): string {
  const { handles, tags, ...rest } = filter;
  const params = new URLSearchParams();
  if (filter.series?.length) params.set('series', filter.series[0]!);
  const all = tags?.all ?? [];
  const others: FilterJson = { ...rest, ...(tags?.any && { tags }) };
  if (!tags?.any) for (const tag of all) params.append('tags', tag);
  if (handles) params.set('runs', handles.join(','));
  if (!isEmpty(others)) params.set('filter', JSON.stringify(others));
  const query = params.toString();
  return query ? `/plot/?${query}` : '/plot/';
}
