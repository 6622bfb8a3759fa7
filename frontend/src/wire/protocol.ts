/** What the page and its worker say to each other. */

import type { BoundColumn } from '../model/bindings';
import type { Mark } from '../model/document';
import type { NotDrawn } from '../model/line';
import type { Patch } from '../model/scene';
import type { RunFilter, RunState, Scalar } from '../model/types';
import type { Extents, PixelView, Range } from '../model/viewport';
import type { LiveState } from './feed';
import type { Access } from './http';

export interface PlotRequest {
  id: number;
  series: string;
  /** Fields to fetch; once fetched they stay until the series changes. */
  fields: string[];
  attributes: string[];
  filter: RunFilter;
  handles: string[] | null;
  x: BoundColumn;
  y: BoundColumn;
  color: BoundColumn | null;
  xLog: boolean;
  yLog: boolean;
  mark: Mark;
  hide: string[];
}

export interface ViewRequest {
  id: number;
  /** `null`: fit to the data. */
  view: PixelView | null;
  width: number;
  height: number;
}

export interface LineInfo {
  run: string;
  generation: number;
  startedAt: string;
  state: RunState;
  rows: number;
  drawn: number;
  hidden: boolean;
  /** The bound colour attribute's value; `undefined` when the colour is not an attribute. */
  value: Scalar | null | undefined;
}

export interface SceneInfo {
  plotId: number;
  viewId: number;
  view: PixelView;
  /** Whether the view was fitted to the data here. */
  fitted: boolean;
  extents: Extents;
  origins: { x: bigint; y: bigint };
  lines: LineInfo[];
  rowsBehind: number;
  rowsDrawn: number;
  rowsOutside: number;
  notDrawn: NotDrawn;
  /** Whether each row is drawn, or per line an envelope, or one point for each pixel. */
  detail: { rows: number; envelopes: number; pixels: number };
  /** Range of the colour field over what is shown; categories in the order of their numbers. */
  colourRange: Range | null;
  categories: string[];
  composeMs: number;
}

export interface HoverRequest {
  id: number;
  px: number;
  py: number;
  radius: number;
  view: PixelView;
}

export interface Hit {
  run: string;
  row: number;
  /** In axis space. */
  x: number;
  y: number;
  values: { name: string; unit: string | null; value: Scalar | null }[];
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
