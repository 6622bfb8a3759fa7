/** What the page asks about series, tags, attributes and runs. */

import type { AttributeCoverage, Run, RunFilter, Series, TagCount } from '../model/types';
import { getAll, postJson, type Access } from './http';

export interface Common {
  runs: number;
  series: { series: Series | string; runs: number }[];
  attributes: AttributeCoverage[];
}

export interface FoundRuns {
  runs: Run[];
  count: number;
}

/** The panel lists this many; the plot itself is not limited by it. */
const LISTED_RUNS = 300;

export class Catalogue {
  constructor(private readonly access: Access) {}

  series(): Promise<Series[]> {
    return getAll<Series>(this.access, 'series/');
  }

  tags(): Promise<TagCount[]> {
    return getAll<TagCount>(this.access, 'tags/');
  }

  common(filter: RunFilter): Promise<Common> {
    return postJson<Common>(this.access, 'runs/common/', { filter });
  }

  async runs(filter: RunFilter): Promise<FoundRuns> {
    const page = await postJson<{ results: Run[]; count?: number }>(this.access, 'runs/search/', { filter, limit: LISTED_RUNS });
    return { runs: page.results, count: page.count ?? page.results.length };
  }
}
