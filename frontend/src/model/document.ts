/** What one plot is: the page's side of docs/formats/plot.md, as far as the page draws it. */

import { byPlace, type ByPlace, type XPlace, type YPlace } from './places';
import type { ScaleName } from './scale';
import type { JsonScalar, RunFilter } from './types';

export type Source = { kind: 'field' | 'attr'; name: string };
export type Mark = 'line' | 'step' | 'points' | 'line_points' | 'density';
export type RendererChoice = 'auto' | 'webgpu' | 'canvas';
export type ColourAs = 'continuous' | 'categorical';
export type Smoothing = { kind: 'ema'; distance: number } | { kind: 'mean'; rows: number };

export const MARKS: readonly Mark[] = ['line', 'step', 'points', 'line_points', 'density'];
/** Whether a mark joins rows to a line. */
export function isJoined(mark: Mark): boolean {
  return mark !== 'points' && mark !== 'density';
}

export const SCALES: readonly ScaleName[] = ['linear', 'log', 'symlog', 'time'];
export const MOST_LAYERS = 20;
export const WIDTHS = [0.5, 10] as const;
export const RADII = [0.5, 20] as const;

/** Bounds and values AND-ed; a field of the layer's series. */
export interface RowCondition {
  field: string;
  min?: JsonScalar;
  max?: JsonScalar;
  min_open?: JsonScalar;
  max_open?: JsonScalar;
  values?: JsonScalar[];
}

export interface LayerSpec {
  series: string | null;
  /** `null`: chosen by the page. */
  x: Source | null;
  y: Source | null;
  /** `null`: by group, without groups by run. */
  color: Source | null;
  colorAs: ColourAs | null;
  group: Source[];
  order: Source | null;
  size: Source | null;
  label: Source | null;
  tooltip: Source[];
  mark: Mark;
  xAxis: XPlace;
  yAxis: YPlace;
  /** Tags that runs must have. */
  tags: string[];
  /** `null`: every run that passes the filter, also those still to come. */
  runs: string[] | null;
  /** The rest of the run filter. */
  filter: RunFilter | null;
  rows: RowCondition[];
  smoothing: Smoothing | null;
  /** CSS pixels; `null`: the page's own. */
  width: number | null;
  radius: number | null;
}

/** Least and greatest as decimal texts of the values themselves: exact also beyond 2^53. */
export type RangeText = readonly [string, string];

export interface AxisSpec {
  scale: ScaleName;
  constant: number;
  /** `null`: fits the rows and follows them. */
  range: RangeText | null;
}

export interface PlotDocument {
  layers: LayerSpec[];
  axes: ByPlace<AxisSpec>;
  /** Handles of runs, or `is:` and a category. */
  hide: string[];
  renderer: RendererChoice;
}

export function emptyLayer(): LayerSpec {
  return {
    series: null, x: null, y: null, color: null, colorAs: null, group: [], order: null, size: null, label: null, tooltip: [],
    mark: 'line', xAxis: 'bottom', yAxis: 'left', tags: [], runs: null, filter: null, rows: [], smoothing: null, width: null, radius: null,
  };
}

export function emptyDocument(): PlotDocument {
  return { layers: [emptyLayer()], axes: byPlace(() => ({ scale: 'linear', constant: 1, range: null })), hide: [], renderer: 'auto' };
}

/** The run filter of a layer, its parts joined, but for the chosen runs. */
export function filterOfAllRuns(layer: LayerSpec): RunFilter {
  return { ...layer.filter, ...(layer.tags.length > 0 && { tags: { all: layer.tags } }) };
}

export function runFilter(layer: LayerSpec): RunFilter {
  return { ...filterOfAllRuns(layer), ...(layer.runs && { handles: layer.runs }) };
}

/** The parts of a run filter for which the page has switches; the rest stays as it is. */
export function splitFilter(given: RunFilter): Pick<LayerSpec, 'tags' | 'runs' | 'filter'> {
  const filter = { ...given };
  const parts = { tags: [] as string[], runs: null as string[] | null };
  if (filter.tags && 'all' in filter.tags) {
    parts.tags = filter.tags.all ?? [];
    delete filter.tags;
  }
  if (filter.handles) {
    parts.runs = filter.handles;
    delete filter.handles;
  }
  return { ...parts, filter: Object.keys(filter).length > 0 ? filter : null };
}

export function withoutRanges(axes: PlotDocument['axes']): PlotDocument['axes'] {
  return byPlace((place) => ({ ...axes[place], range: null }));
}

/** Puts a choice into one layer; another series lets go of what was bound to the fields of the one before. */
export function changeLayer(document: PlotDocument, index: number, change: Partial<LayerSpec>): PlotDocument {
  const before = document.layers[index]!;
  const loose = change.series !== undefined && change.series !== before.series
    ? { x: null, y: null, color: null, colorAs: null, group: [], order: null, size: null, label: null, tooltip: [], rows: [] }
    : {};
  const layers = document.layers.map((layer, i) => (i === index ? { ...layer, ...loose, ...change } : layer));
  return { ...document, layers };
}
