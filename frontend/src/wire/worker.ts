/** The worker: holds every row exactly, keeps up with the server, and composes what the page draws. */

import { nearestRow } from '../model/nearest';
import { fitView, type PixelView } from '../model/viewport';
import { parseScalar } from '../model/types';
import { Composer, extentsOf } from './composer';
import { Feed } from './feed';
import { postFrames, type Access } from './http';
import { Lines } from './lines';
import type { FromWorker, Hit, HoverRequest, PlotRequest, ToWorker, ViewRequest } from './protocol';
import { LiveSocket, type SocketLike } from './socket';
import { Store } from './store';

/** While much arrives at once, the picture is renewed this often. */
const COMPOSE_EVERY_MS = 80;

interface WorkerScope {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  addEventListener(type: 'online', listener: () => void): void;
}

const scope = self as unknown as WorkerScope;
const say = (message: FromWorker, transfer?: Transferable[]): void => scope.postMessage(message, transfer);

class PlotWorker {
  private readonly feed: Feed;
  private readonly socket: LiveSocket;
  private readonly composer = new Composer();
  private lines: Lines | null = null;
  private view: ViewRequest | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt = Infinity;
  private composedAt = 0;

  constructor(access: Access, live: string) {
    this.feed = new Feed(new Store(), {
      fetchFrames: (body, signal) => postFrames(access, 'data/', body, signal),
      onRows: () => this.schedule(Math.max(0, this.composedAt + COMPOSE_EVERY_MS - performance.now())),
      onState: (state, problem) => say({ type: 'state', state, problem }),
      onRuns: () => say({ type: 'runs' }),
    });
    const scheme = self.location.protocol === 'https:' ? 'wss' : 'ws';
    this.socket = new LiveSocket(() => new WebSocket(`${scheme}://${self.location.host}${live}`) as unknown as SocketLike, {
      onHello: () => this.feed.syncAll(),
      onHints: (hints) => this.feed.hints(hints),
      onState: (state) => this.feed.socketChanged(state),
    });
    scope.addEventListener('online', () => this.retry());
  }

  plot(request: PlotRequest): void {
    const before = this.lines?.request;
    const fresh = !before || before.series !== request.series || !request.fields.every((field) => before.fields.includes(field));
    const same = !fresh && JSON.stringify([before.attributes, before.filter, before.handles]) === JSON.stringify([request.attributes, request.filter, request.handles]);
    const fields = fresh ? request.fields : before.fields;
    if (fresh) this.feed.store = new Store();
    this.lines = new Lines(this.feed.store, { ...request, fields });
    if (!same) {
      const { series, attributes, filter, handles } = request;
      this.feed.configure({ series, fields, attributes, filter, handles }, fresh);
      if (before?.series !== series) this.socket.subscribe([series]);
    }
    this.schedule(0);
  }

  setView(view: ViewRequest): void {
    this.view = view;
    this.schedule(0);
  }

  retry(): void {
    this.socket.reconnectNow();
    this.feed.retryNow();
  }

  hover(request: HoverRequest): void {
    say({ type: 'hit', id: request.id, hit: this.lines ? this.nearest(this.lines, request) : null });
  }

  private nearest(lines: Lines, { px, py, radius, view }: HoverRequest): Hit | null {
    let best: { run: string; position: number; distance: number } | null = null;
    for (const [run, { line, hidden, missing }] of lines.byRun) {
      if (hidden || missing) continue;
      const found = nearestRow(line, view, px, py, best?.distance ?? radius);
      if (found && (!best || found.distance < best.distance)) best = { run, ...found };
    }
    return best && this.hit(lines, best.run, best.position);
  }

  private hit(lines: Lines, run: string, position: number): Hit {
    const { line, stored } = lines.byRun.get(run)!;
    const row = line.rowAt(position);
    const { x, y, color } = lines.request;
    const columns = [x, y, color].filter((column, i, all) => column && all.findIndex((other) => other?.handle === column.handle) === i);
    const values = columns.map((column) => {
      const { handle, type, name, unit, kind } = column!;
      const raw = stored.head.attributes[handle];
      const attribute = raw === undefined ? null : parseScalar(raw, type);
      return { name, unit, value: kind === 'attr' ? attribute : this.feed.store.valueAt(stored, handle, type, row) };
    });
    return { run, row, x: line.x[position]!, y: line.y[position]!, values };
  }

  /** The soonest wish counts. */
  private schedule(afterMs: number): void {
    const due = performance.now() + afterMs;
    if (due >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = due;
    this.timer = setTimeout(() => this.compose(), afterMs);
  }

  private compose(): void {
    this.dueAt = Infinity;
    const { lines, view: request } = this;
    if (!lines || !request) return;
    const began = performance.now();
    lines.update();
    const extents = extentsOf(lines);
    const view: PixelView = request.view ?? { ...fitView(extents), width: request.width, height: request.height };
    const { patches, composition } = this.composer.compose(lines, view);
    const transfer = patches.flatMap((patch) => (patch.op === 'put' ? [patch.part.data.buffer] : patch.op === 'append' ? [patch.data.buffer] : []));
    this.composedAt = performance.now();
    say({
      type: 'scene',
      patches,
      info: {
        plotId: lines.request.id,
        viewId: request.id,
        view,
        fitted: request.view === null,
        extents,
        origins: { x: lines.spaces.x.origin, y: lines.spaces.y.origin },
        lines: [...lines.byRun.values()].map(({ stored, line, hidden, missing, value }) => ({
          run: stored.head.run,
          generation: stored.head.generation,
          startedAt: stored.head.started_at,
          state: stored.head.state,
          rows: stored.rows,
          drawn: hidden || missing ? 0 : line.drawable,
          hidden,
          value,
        })),
        ...composition,
        categories: lines.categories(),
        composeMs: this.composedAt - began,
      },
    }, transfer);
  }
}

let worker: PlotWorker | null = null;

scope.onmessage = ({ data }) => {
  if (data.type === 'start') worker = new PlotWorker(data.access, data.live);
  else if (data.type === 'plot') worker?.plot(data.request);
  else if (data.type === 'view') worker?.setView(data.request);
  else if (data.type === 'hover') worker?.hover(data.request);
  else worker?.retry();
};
