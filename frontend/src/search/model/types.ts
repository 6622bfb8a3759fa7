/** A search as the server speaks it: docs/formats/api.md, "Run filter", "Searching runs", "Facets". */

import type { DataType, JsonScalar, RunState } from '../../model/types';

export type TagLists = { all?: string[]; any?: string[] };

export interface AttributeItem {
  /** Handle or name. */
  field: string;
  min?: JsonScalar;
  max?: JsonScalar;
  min_open?: JsonScalar;
  max_open?: JsonScalar;
  values?: JsonScalar[];
  present?: boolean;
  include_missing?: boolean;
}

export interface FilterJson {
  handles?: string[];
  tags?: TagLists;
  not_tags?: TagLists;
  started_at?: { min?: string; max?: string };
  attributes?: AttributeItem[];
  series?: string[];
  owner?: string[];
  state?: string[];
  with_rows?: boolean | null;
}

/** JSON, or the text of a filter. */
export type FilterLike = FilterJson | string;

export interface FieldInfo {
  handle: string;
  name: string;
  data_type: DataType;
  unit: string | null;
  description: string;
}

export interface Count {
  value: JsonScalar;
  runs: number;
}

export interface Bin {
  min: JsonScalar;
  max?: JsonScalar;
  max_open?: JsonScalar;
  runs: number;
}

export interface AttributeFacet {
  field: FieldInfo;
  covered: number;
  runs: number;
  none: number;
  values: Count[];
  distinct: number;
  bins: Bin[];
}

export interface SeriesCount {
  series: string;
  name: string;
  runs: number;
}

export interface Facets {
  filter: FilterJson;
  text: string;
  runs: number;
  rows: number;
  living: number;
  tags: { values: Count[]; distinct: number };
  series: SeriesCount[];
  owner: Count[];
  state: Count[];
  started_at: Bin[];
  attributes: AttributeFacet[];
  more_attributes: { field: FieldInfo; runs: number }[];
}

export interface FoundRun {
  handle: string;
  generation: number;
  started_at: string;
  owner: string;
  state: RunState;
  tags: string[];
  attributes: Record<string, JsonScalar>;
  rows: Record<string, number>;
  last_append_at: string | null;
  gaps: number;
}

export interface FoundPage {
  results: FoundRun[];
  next: string | null;
  count?: number;
  first?: string | null;
}

export interface SortJson {
  by: string;
  descending?: boolean;
  field?: string;
  series?: string;
}
