/** Decides what of each line goes to the screen at a view, and sends only what the page does not have yet. */

import { union, type PixelView, type Range } from '../model/viewport';
import {
  chunkPositions, encodeAnchored, encodeColumns, encodeRows, picked, stepped, unitFor, viewFrame, type Form, type Polyline,
} from '../model/encode';
import { countCells, LEAST_ROWS } from '../model/density';
import { envelope } from '../model/envelope';
import { CHUNK_ROWS, type Line } from '../model/line';
import { byPlace, type ByPlace, type Spans } from '../model/places';
import { onePerPixel, planLine, rowsAcross, rowsInside, thinned, type Plan } from '../model/plan';
import { type Frame32, type PartKind, type Patch } from '../model/scene';
import { labelsOf } from './labels';
import type { GroupLine, Lines, RunLines } from './lines';
import { layerView, type Detail, type LayerInfo } from './protocol';

interface Sent {
  line: Line;
  version: number;
  to: number;
  frame: Frame32;
  /** For parts made for one view: what they were made for. */
  made: string;
}

/** One line to be drawn, and how. */
interface Wish {
  id: string;
  line: Line;
  layer: number;
  view: PixelView;
  lines: Lines;
  faint: boolean;
}

type ViewPlan = Exclude<Plan, { kind: 'nothing' | 'chunks' }>;

function formOf({ line, lines }: Wish): Form {
  return { sized: line.s !== null, step: lines.request.mark === 'step' };
}

function kindOf(form: Form): PartKind {
  return form.sized ? 'sized' : 'rows';
}

export class Composer {
  private sent = new Map<string, Sent>();
  private wanted = new Set<string>();
  private patches: Patch[] = [];

  compose(layers: Lines[], window: { spans: Spans; width: number; height: number }): { patches: Patch[]; layers: LayerInfo[] } {
    this.patches = [];
    this.wanted = new Set();
    const infos = layers.map((lines, layer) => this.composeLayer(lines, layer, layerView(lines.request, window)));
    for (const key of this.sent.keys()) if (!this.wanted.has(key)) this.drop(key);
    return { patches: this.patches, layers: infos };
  }

  private composeLayer(lines: Lines, layer: number, view: PixelView): LayerInfo {
    const shown = [...lines.shown()];
    const detail: Detail = { rows: 0, envelopes: 0, paths: 0, pixels: 0, cells: 0 };
    let rowsInView = 0;
    for (const { group } of shown) rowsInView += rowsAcross(group.line, view);
    if (lines.request.mark === 'density' && rowsInView > LEAST_ROWS) {
      detail.cells = shown.length;
      const most = this.wantCells(shown, layer, view);
      return { ...account(lines, shown, view), detail, most, labels: labelsOf(lines, shown) };
    }
    for (const { group } of shown) {
      const smooth = group.smooth?.update();
      this.draw({ id: group.id, line: group.line, layer, view, lines, faint: smooth !== undefined }, rowsInView, detail);
      if (smooth) this.draw({ id: group.id, line: smooth, layer, view, lines, faint: false }, rowsInView, null);
    }
    return { ...account(lines, shown, view), detail, most: null, labels: labelsOf(lines, shown) };
  }

  private draw(wish: Wish, rowsInView: number, detail: Detail | null): void {
    const plan = planLine(wish.line, wish.view, wish.lines.request.mark, rowsInView);
    if (plan.kind === 'nothing') return;
    if (detail) {
      const kind = ({ envelope: 'envelopes', pixels: 'pixels', path: 'paths', chunks: 'rows', anchored: 'rows' } as const)[plan.kind];
      detail[kind] += 1;
    }
    const key = wish.faint ? `${wish.id}~` : wish.id;
    if (plan.kind !== 'chunks') this.wantView(key, wish, plan);
    else for (let chunk = plan.first; chunk <= plan.last; chunk += 1) this.wantChunk(`${key}#${chunk}`, wish, chunk);
  }

  private wantView(id: string, wish: Wish, plan: ViewPlan): void {
    const { line, view, lines } = wish;
    const key = `${id}@view`;
    this.wanted.add(key);
    const { x0, x1, y0, y1, width, height } = view;
    const made = [plan.kind, x0, x1, y0, y1, width, height, line.version, line.n].join();
    const sent = this.sent.get(key);
    if (sent && sent.line === line && sent.made === made) return;
    const frame = viewFrame(view, lines.categorical || !line.c ? 0 : (line.rangeC?.min ?? 0), line.rangeS?.min ?? 0);
    const data = encodePlan(wish, plan, frame);
    this.sent.set(key, { line, version: line.version, to: 0, frame, made });
    const kind = plan.kind === 'envelope' ? 'columns' : kindOf(formOf(wish));
    this.put(key, wish, kind, plan.kind !== 'path', frame, data);
  }

  /** One part for the whole layer; returns the greatest count. */
  private wantCells(shown: Shown, layer: number, view: PixelView): number {
    const key = `${layer}/cells`;
    this.wanted.add(key);
    const all = shown.map(({ group }) => group.line);
    const made = [...Object.values(view), ...all.flatMap((line) => [line.version, line.n])].join();
    const sent = this.sent.get(key);
    if (sent && sent.line === all[0] && sent.made === made) return sent.to;
    const { x, y, counts, most } = countCells(all, view);
    const frame = viewFrame(view, 0);
    const data = encodeRows({ x, y, c: counts.map(Math.log10), s: null, n: x.length }, 0, x.length, frame, { sized: false, step: false });
    this.sent.set(key, { line: all[0]!, version: 0, to: most, frame, made });
    this.patches.push({ op: 'put', part: { key, layer, line: key, kind: 'cells', rising: false, ...frame, data } });
    return most;
  }

  private wantChunk(key: string, wish: Wish, chunk: number): void {
    const { line, lines } = wish;
    this.wanted.add(key);
    const form = formOf(wish);
    const [from, to] = chunkPositions(line, chunk);
    const y = line.chunkRangeY(Math.min(chunk, Math.floor((line.n - 1) / CHUNK_ROWS)));
    const ux = unitFor(line.spanX(from, to));
    const uy = unitFor(y ? y.max - y.min : 0);
    const sent = this.sent.get(key);
    if (sent && sent.line === line && sent.version === line.version && sent.frame.ux === ux && sent.frame.uy === uy && sent.made === `${line.rising}`) {
      if (sent.to < to) this.patches.push({ op: 'append', key, data: encodeRows(line, sent.to, to, sent.frame, form, true) });
      sent.to = to;
      return;
    }
    const frame: Frame32 = {
      bx: line.rising ? line.x[from]! : (line.rangeX?.min ?? 0),
      by: y ? y.min : 0,
      bc: line.c && !lines.categorical ? (line.rangeC?.min ?? 0) : 0,
      bs: line.rangeS?.min ?? 0,
      ux, uy,
    };
    this.sent.set(key, { line, version: line.version, to, frame, made: `${line.rising}` });
    this.put(key, wish, kindOf(form), line.rising, frame, encodeRows(line, from, to, frame, form));
  }

  private put(key: string, { id, layer, faint }: Wish, kind: PartKind, rising: boolean, frame: Frame32, data: Float32Array<ArrayBuffer>): void {
    this.patches.push({ op: 'put', part: { key, layer, line: id, kind, rising, faint, ...frame, data } });
  }

  private drop(key: string): void {
    this.sent.delete(key);
    this.patches.push({ op: 'drop', key });
  }
}

function encodePlan(wish: Wish, plan: ViewPlan, frame: Frame32): Float32Array<ArrayBuffer> {
  const { line, view, lines } = wish;
  const form = formOf(wish);
  if (plan.kind === 'envelope') return encodeColumns(envelope(line, plan.grid, form.step), frame);
  if (plan.kind === 'pixels') {
    const kept = picked(line, onePerPixel(line, view, plan.from, plan.to));
    return encodeRows(kept, 0, kept.n, frame, form);
  }
  let rows: Polyline = line;
  let [from, to] = plan.kind === 'anchored' ? [plan.from, plan.to] : [0, line.n];
  if (form.step) {
    rows = stepped(rows, from, to);
    [from, to] = [0, rows.n];
  }
  if (plan.kind === 'path') {
    rows = picked(rows, thinned(rows, view));
    [from, to] = [0, rows.n];
  }
  return encodeAnchored(rows, from, to, frame, lines.request.mark !== 'points' && lines.request.mark !== 'density', form.sized);
}

type Shown = { run: RunLines; group: GroupLine }[];

function account(lines: Lines, shown: Shown, view: PixelView): Omit<LayerInfo, 'detail' | 'labels' | 'most'> {
  let rowsBehind = 0;
  for (const { stored } of lines.byRun.values()) rowsBehind += stored.rows;
  let rowsDrawn = 0;
  let drawable = 0;
  let colourRange: Range | null = null;
  let sizeRange: Range | null = null;
  for (const { group: { line } } of shown) {
    rowsDrawn += rowsInside(line, view);
    drawable += line.drawable;
    colourRange = union(colourRange, line.rangeC);
    sizeRange = union(sizeRange, line.rangeS);
  }
  const drawnNow = new Set(shown.map(({ group }) => group));
  return {
    rowsBehind, rowsDrawn, rowsOutside: drawable - rowsDrawn, notDrawn: lines.notDrawn(), colourRange, sizeRange,
    categories: lines.categories(),
    lines: [...lines.all()].map(({ run, group }) => ({
      id: group.id,
      run: run.stored.head.run,
      generation: run.stored.head.generation,
      startedAt: run.stored.head.started_at,
      state: run.stored.head.state,
      rows: group.line.rows,
      drawn: drawnNow.has(group) ? group.line.drawable : 0,
      hidden: run.hidden || group.hidden,
      value: run.value,
      groups: group.groups,
    })),
  };
}

/** What each axis has to show, over all layers on it. */
export function extentsOf(layers: Lines[]): ByPlace<Range | null> {
  const extents: ByPlace<Range | null> = byPlace(() => null);
  for (const lines of layers) {
    const { xAxis, yAxis } = lines.request;
    for (const { group: { line } } of lines.shown()) {
      extents[xAxis] = union(extents[xAxis], line.rangeX);
      extents[yAxis] = union(extents[yAxis], line.rangeY);
    }
  }
  return extents;
}
