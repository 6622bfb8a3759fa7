/** What the page and its worker say to each other. */

import type { Bound } from '../model/bindings';
import type { Mark, Smoothing } from '../model/document';
import type { NotDrawn } from '../model/line';
import type { ByPlace, Span, Spans, XPlace, YPlace } from '../model/places';
import type { Scale } from '../model/scale';
import type { Patch } from '../model/scene';
import type { RunFilter, RunState, Scalar } from '../model/types';
import type { PixelView, Range } from '../model/viewport';
import type { LiveState } from './feed';
import type { Access } from './http';

/** A layer with handles in place of names. */
export interface LayerRequest extends Omit<Bound, 'series'> {
  series: string;
  filter: RunFilter;
  /** `null`: every run that passes the filter. */
  handles: string[] | null;
  mark: Mark;
  xAxis: XPlace;
  yAxis: YPlace;
  smoothing: Smoothing | null;
}

export interface PlotRequest {
  id: number;
  layers: LayerRequest[];
  scales: ByPlace<Scale>;
  hide: string[];
}

export interface ViewRequest {
  id: number;
  /** `null`: fit to the data. */
  spans: ByPlace<Span | null>;
  width: number;
  height: number;
}

export interface LineInfo {
  /** Unique in the plot. */
  id: string;
  run: string;
  generation: number;
  startedAt: string;
  state: RunState;
  /** Rows of the line, drawable or not. */
  rows: number;
  drawn: number;
  hidden: boolean;
  /** The bound colour attribute's value; `undefined` when the colour is not an attribute. */
  value: Scalar | null | undefined;
  groups: (Scalar | null)[];
}

/** Whether each row is drawn, or per line an envelope, or what reaches out of its pixel columns, or one point for each pixel. */
export interface Detail {
  rows: number;
  envelopes: number;
  paths: number;
  pixels: number;
  /** Rows are counted, cell by cell. */
  cells: number;
}

export interface LayerInfo {
  lines: LineInfo[];
  rowsBehind: number;
  rowsDrawn: number;
  rowsOutside: number;
  notDrawn: NotDrawn;
  detail: Detail;
  /** Ranges of the colour field and of the size over what is shown; categories in the order of their numbers. */
  colourRange: Range | null;
  sizeRange: Range | null;
  categories: string[];
  /** Of a density that is drawn as such: the greatest count of a cell. */
  most: number | null;
  /** Newest drawn row of each line with a label. */
  labels: { id: string; x: number; y: number; text: string }[];
}

export interface SceneInfo {
  plotId: number;
  viewId: number;
  spans: Spans;
  width: number;
  height: number;
  /** Which axes were fitted to the data here. */
  fitted: ByPlace<boolean>;
  extents: ByPlace<Range | null>;
  origins: ByPlace<bigint>;
  layers: LayerInfo[];
  composeMs: number;
}

export interface HoverRequest {
  id: number;
  px: number;
  py: number;
  radius: number;
  spans: Spans;
  width: number;
  height: number;
}

export interface HitValue {
  name: string;
  unit: string | null;
  value: Scalar | null;
}

export interface Hit {
  layer: number;
  line: string;
  run: string;
  generation: number;
  row: number;
  /** In axis space. */
  x: number;
  y: number;
  values: HitValue[];
}

export type ToWorker =
  | { type: 'start'; access: Access; live: string }
  | { type: 'plot'; request: PlotRequest }
  | { type: 'view'; request: ViewRequest }
  | { type: 'hover'; request: HoverRequest }
  | { type: 'retry' };

export type FromWorker =
  | { type: 'scene'; patches: Patch[]; info: SceneInfo }
  | { type: 'state'; state: LiveState; problem: string }
  | { type: 'runs' }
  | { type: 'hit'; id: number; hit: Hit | null };

/** The window of one layer. */
export function layerView(layer: Pick<LayerRequest, 'xAxis' | 'yAxis'>, { spans, width, height }: Pick<SceneInfo, 'spans' | 'width' | 'height'>): PixelView {
  const [x0, x1] = spans[layer.xAxis];
  const [y0, y1] = spans[layer.yAxis];
  return { x0, x1, y0, y1, width, height };
}
