/** What the page shows, as its address says it. */

import type { SortJson } from './types';

export interface Shown {
  /** The filter's text. */
  text: string;
  sort: SortJson;
  /** Column ids (`columns.ts`); `null`: chosen by the page. */
  columns: string[] | null;
  /** The run whose details are open. */
  open: string | null;
}

export const NEWEST_FIRST: SortJson = { by: 'started_at', descending: true };

export function sortToText({ by, descending, field, series }: SortJson): string {
  const what = by === 'attribute' ? `attr:${field}` : by === 'series' ? `series:${series}` : by;
  return (descending ? '-' : '') + what;
}

export function sortFromText(text: string | null): SortJson {
  if (!text) return NEWEST_FIRST;
  const descending = text.startsWith('-');
  const what = descending ? text.slice(1) : text;
  const down = descending ? { descending: true } : {};
  if (what.startsWith('attr:')) return { by: 'attribute', field: what.slice(5), ...down };
  if (what.startsWith('series:')) return { by: 'series', series: what.slice(7), ...down };
  return ['started_at', 'last_append_at', 'rows', 'owner', 'state'].includes(what) ? { by: what, ...down } : NEWEST_FIRST;
}

export function fromQuery(query: string): Shown {
  const params = new URLSearchParams(query);
  const columns = params.get('columns');
  return {
    text: params.get('q') ?? '',
    sort: sortFromText(params.get('sort')),
    columns: columns === null ? null : columns.split(',').filter(Boolean),
    open: params.get('run'),
  };
}

export function toQuery({ text, sort, columns, open }: Shown): string {
  const params = new URLSearchParams();
  if (text.trim()) params.set('q', text.trim());
  if (sortToText(sort) !== sortToText(NEWEST_FIRST)) params.set('sort', sortToText(sort));
  if (columns) params.set('columns', columns.join(','));
  if (open) params.set('run', open);
  // Colons and commas are legal in a query and read better plain.
  const written = params.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return written ? `?${written}` : '';
}
