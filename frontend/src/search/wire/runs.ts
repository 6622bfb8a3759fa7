/** What the page asks of the server. */

import { postJson, type Access } from '../../wire/http';
import type { Facets, FilterLike, FoundPage, SortJson } from '../model/types';

export interface Retagged {
  runs: number;
  added: number;
  removed: number;
  changed: string[];
  refused: { run: string; message: string }[];
}

export interface DeletedRuns {
  runs: number;
  rows: number;
  handles: string[];
}

/** One series of one run, as `overview/` draws it. */
export interface Preview {
  runs: { columns: { part: string; field?: string; values: (number | string)[] }[] }[];
}

export interface PageRequest {
  filter: FilterLike;
  sort: SortJson;
  limit: number;
  offset?: number;
  from?: string;
  attributes?: string[];
}

export class Runs {
  constructor(private readonly access: Access) {}

  facets(filter: FilterLike, options: { fields?: string[]; values?: number; contains?: string } = {}, signal?: AbortSignal): Promise<Facets> {
    return postJson(this.access, 'runs/facets/', { filter, ...options }, signal);
  }

  search(request: PageRequest, signal?: AbortSignal): Promise<FoundPage> {
    return postJson(this.access, 'runs/search/', request, signal);
  }

  tag(filter: FilterLike, change: { add?: string[]; remove?: string[] }, dryRun = false): Promise<Retagged> {
    return postJson(this.access, 'runs/tags/', { filter, ...change, ...(dryRun && { dry_run: true }) });
  }

  delete(filter: FilterLike): Promise<DeletedRuns> {
    return postJson(this.access, 'runs/delete/', { filter });
  }

  restore(handles: string[]): Promise<{ runs: number; refused: { run: string; message: string }[] }> {
    return postJson(this.access, 'runs/restore/', { handles });
  }

  preview(run: string, series: string, x: string, y: string[], columns: number): Promise<Preview> {
    return postJson(this.access, 'overview/', { filter: { handles: [run] }, series, x, y, columns });
  }
}
