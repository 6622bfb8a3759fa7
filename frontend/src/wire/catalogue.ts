/** What the page asks about series, tags, attributes and runs. */

import type { RowCondition } from '../model/document';
import { parseScalar, type AttributeCoverage, type Field, type JsonScalar, type Run, type RunFilter, type Series, type TagCount } from '../model/types';
import { getAll, postForFile, postJson, type Access, type Download } from './http';
import type { HitValue } from './protocol';

export interface Common {
  runs: number;
  series: { series: Series | string; runs: number }[];
  attributes: AttributeCoverage[];
}

export interface FoundRuns {
  runs: Run[];
  count: number;
}

/** A row with all fields of its series, and all attributes of its run. */
export interface WholeRow {
  fields: HitValue[];
  attributes: HitValue[];
}

interface DataAnswer {
  fields: Field[];
  attributes: Field[];
  runs: { generation: number; attributes: Record<string, JsonScalar> }[];
  data: { first: number; columns: Record<string, JsonScalar[]> }[];
}

function shown({ name, unit, data_type }: Field, raw: JsonScalar | undefined): HitValue {
  return { name, unit, value: raw === undefined ? null : parseScalar(raw, data_type) };
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

  /** The filter as one would type it on the Runs page. */
  async filterText(filter: RunFilter): Promise<string> {
    return (await postJson<{ text: string }>(this.access, 'runs/filter/', { filter })).text;
  }

  /** Holds a plot to the catalogue: the document with handles in place of names. */
  validate(document: unknown): Promise<{ plot: Record<string, unknown> }> {
    return postJson(this.access, 'plots/validate', document);
  }

  /** All rows behind a layer, every field of its series and these attributes. */
  rowsAsFile(series: Series, filter: RunFilter, rows: RowCondition[], attributes: Field[], accept: string): Promise<Download> {
    return postForFile(this.access, 'data/', { filter, rows, series: series.handle, attributes: attributes.map(({ handle }) => handle) }, accept);
  }

  /** One row; `null`: the run was deleted or replaced. `attributes`: those that its run may have. */
  async row(series: Series, attributes: Field[], run: string, generation: number, row: number): Promise<WholeRow | null> {
    const answer = await postJson<DataAnswer>(this.access, 'data/', {
      filter: { handles: [run] }, series: series.handle, attributes: attributes.map(({ handle }) => handle),
      cursor: { [run]: [generation, row] }, max_rows: 1,
    });
    const [head, piece] = [answer.runs[0], answer.data[0]];
    if (head?.generation !== generation || piece?.first !== row) return null;
    return {
      fields: answer.fields.map((field) => shown(field, piece.columns[field.name]![0])),
      attributes: answer.attributes.filter(({ handle }) => handle in head.attributes).map((field) => shown(field, head.attributes[field.handle])),
    };
  }
}
