/** The domain as the server speaks it. */

export type DataType = 'int' | 'float' | 'text' | 'bool';

export interface Field {
  handle: string;
  name: string;
  data_type: DataType;
  description: string;
  unit: string | null;
}

export interface Series {
  handle: string;
  name: string;
  fields: Field[];
}

/** As JSON carries it: an int beyond 2^53 - 1 and a float that is not finite are texts. */
export type JsonScalar = number | string | boolean;

export type Scalar = number | bigint | string | boolean;

export type RunState = 'running' | 'finished' | 'failed' | 'stale';

export interface Run {
  handle: string;
  generation: number;
  started_at: string;
  owner: string;
  state: RunState;
  tags: string[];
  attributes: Record<string, JsonScalar>;
  rows: Record<string, number>;
}

export interface AttributeCoverage {
  field: Field;
  runs: number;
}

export interface TagCount {
  name: string;
  runs: number;
}

/** A run filter's JSON (docs/formats/api.md); the page itself sets only these parts, others it hands on. */
export interface RunFilter {
  handles?: string[];
  tags?: { all?: string[]; any?: string[] };
  series?: string[];
  [part: string]: unknown;
}

export function isNumeric(type: DataType): boolean {
  return type === 'int' || type === 'float';
}

export function parseScalar(value: JsonScalar, type: DataType): Scalar {
  if (type === 'int') return typeof value === 'string' ? BigInt(value) : (value as number);
  if (type === 'float') return Number(value);
  return value;
}
