/** Decides what of each line goes to the screen at a view, and sends only what the page does not have yet. */

import type { Range } from '../model/viewport';
import { union, type Extents, type PixelView } from '../model/viewport';
import { chunkPositions, encodeAnchored, encodeColumns, encodeRows, unitFor, viewFrame } from '../model/encode';
import { envelope } from '../model/envelope';
import { CHUNK_ROWS, lowerBound, upperBound, type Line } from '../model/line';
import { onePerPixel, planLine, rowsInside, type Plan } from '../model/plan';
import { BREAK, type Frame32, type Patch } from '../model/scene';
import type { Lines, RunLine } from './lines';
import type { SceneInfo } from './protocol';

interface Sent {
  line: Line;
  version: number;
  to: number;
  frame: Frame32;
  /** For parts made for one view: what they were made for. */
  made: string;
}

type Composition = Pick<SceneInfo, 'rowsBehind' | 'rowsDrawn' | 'rowsOutside' | 'notDrawn' | 'detail' | 'colourRange'>;

export class Composer {
  private sent = new Map<string, Sent>();
  private wanted = new Set<string>();
  private patches: Patch[] = [];

  compose(lines: Lines, view: PixelView): { patches: Patch[]; composition: Composition } {
    this.patches = [];
    this.wanted = new Set();
    const shown = [...lines.byRun.values()].filter((entry) => !entry.hidden && !entry.missing);
    const detail = { rows: 0, envelopes: 0, pixels: 0 };
    let rowsInView = 0;
    for (const { line } of shown) rowsInView += upperBound(line.x, view.x1, 0, line.n) - lowerBound(line.x, view.x0, 0, line.n);
    for (const entry of shown) {
      const plan = planLine(entry.line, view, lines.request.mark, rowsInView);
      if (plan.kind === 'envelope') detail.envelopes += 1;
      else if (plan.kind === 'pixels') detail.pixels += 1;
      else if (plan.kind !== 'nothing') detail.rows += 1;
      this.want(entry, plan, view, lines);
    }
    for (const key of this.sent.keys()) if (!this.wanted.has(key)) this.drop(key);
    return { patches: this.patches, composition: this.account(lines, shown, view, detail) };
  }

  forget(): void {
    this.sent.clear();
  }

  private account(lines: Lines, shown: RunLine[], view: PixelView, detail: Composition['detail']): Composition {
    let rowsBehind = 0;
    for (const { stored } of lines.byRun.values()) rowsBehind += stored.rows;
    let rowsDrawn = 0;
    let drawable = 0;
    let colourRange: Range | null = null;
    for (const { line } of shown) {
      rowsDrawn += rowsInside(line, view);
      drawable += line.drawable;
      colourRange = union(colourRange, line.rangeC);
    }
    return { rowsBehind, rowsDrawn, rowsOutside: drawable - rowsDrawn, notDrawn: lines.notDrawn(), detail, colourRange };
  }

  private want({ line, stored }: RunLine, plan: Plan, view: PixelView, lines: Lines): void {
    const run = stored.head.run;
    if (plan.kind === 'nothing') return;
    if (plan.kind === 'chunks') {
      for (let chunk = plan.first; chunk <= plan.last; chunk += 1) this.wantChunk(run, line, chunk, lines.categorical);
      return;
    }
    const key = `${run}@view`;
    this.wanted.add(key);
    const made = [plan.kind, view.x0, view.x1, view.y0, view.y1, view.width, view.height, line.version, line.n].join();
    const sent = this.sent.get(key);
    if (sent && sent.line === line && sent.made === made) return;
    const joined = lines.request.mark === 'line';
    const frame = viewFrame(view, lines.categorical || !line.c ? 0 : (line.rangeC?.min ?? 0));
    const data = this.encode(line, plan, view, frame, joined);
    this.sent.set(key, { line, version: line.version, to: 0, frame, made });
    this.patches.push({ op: 'put', part: { key, line: run, kind: plan.kind === 'envelope' ? 'columns' : 'rows', ...frame, data } });
  }

  private encode(line: Line, plan: Exclude<Plan, { kind: 'nothing' | 'chunks' }>, view: PixelView, frame: Frame32, joined: boolean): Float32Array<ArrayBuffer> {
    if (plan.kind === 'envelope') return encodeColumns(envelope(line, plan.grid), frame);
    if (plan.kind === 'anchored') return encodeAnchored(line, plan.from, plan.to, frame, joined);
    const kept = onePerPixel(line, view, plan.from, plan.to);
    const out = new Float32Array(kept.length * 3);
    for (let k = 0; k < kept.length; k += 1) {
      const i = kept[k]!;
      out[3 * k] = (line.x[i]! - frame.bx) / frame.ux;
      out[3 * k + 1] = line.y[i] === line.y[i] ? (line.y[i]! - frame.by) / frame.uy : BREAK;
      out[3 * k + 2] = line.c ? line.c[i]! - frame.bc : 0;
    }
    return out;
  }

  private wantChunk(run: string, line: Line, chunk: number, categorical: boolean): void {
    const key = `${run}#${chunk}`;
    this.wanted.add(key);
    const [from, to] = chunkPositions(line, chunk);
    const y = line.chunkRangeY(Math.min(chunk, Math.floor((line.n - 1) / CHUNK_ROWS)));
    const ux = unitFor(line.x[to - 1]! - line.x[from]!);
    const uy = unitFor(y ? y.max - y.min : 0);
    const sent = this.sent.get(key);
    if (sent && sent.line === line && sent.version === line.version && sent.frame.ux === ux && sent.frame.uy === uy) {
      if (sent.to < to) this.patches.push({ op: 'append', key, data: encodeRows(line, sent.to, to, sent.frame) });
      sent.to = to;
      return;
    }
    const frame: Frame32 = {
      bx: line.x[from]!,
      by: y ? y.min : 0,
      bc: line.c && !categorical ? (line.rangeC?.min ?? 0) : 0,
      ux, uy,
    };
    this.sent.set(key, { line, version: line.version, to, frame, made: '' });
    this.patches.push({ op: 'put', part: { key, line: run, kind: 'rows', ...frame, data: encodeRows(line, from, to, frame) } });
  }

  private drop(key: string): void {
    this.sent.delete(key);
    this.patches.push({ op: 'drop', key });
  }
}

export function extentsOf(lines: Lines): Extents {
  const extents: Extents = { x: null, y: null };
  for (const { line, hidden, missing } of lines.byRun.values()) {
    if (hidden || missing) continue;
    extents.x = union(extents.x, line.rangeX);
    extents.y = union(extents.y, line.rangeY);
  }
  return extents;
}
