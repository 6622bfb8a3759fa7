/** The worker: holds every row exactly, keeps up with the server, and composes what the page draws. */

import { boundColumns } from '../model/bindings';
import { nearestRow } from '../model/nearest';
import { byPlace, fitSpans, type ByPlace } from '../model/places';
import { NeedsOrigin, type AxisSpace } from './axis-values';
import { Composer, extentsOf } from './composer';
import { Datasets } from './dataset';
import { postFrames, type Access } from './http';
import { Lines, type GroupLine, type RunLines } from './lines';
import { layerView, type FromWorker, type Hit, type HoverRequest, type PlotRequest, type ToWorker, type ViewRequest } from './protocol';
import { valueOf } from './row-values';
import { LiveSocket, type SocketLike } from './socket';

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
  private readonly datasets: Datasets;
  private readonly socket: LiveSocket;
  private readonly composer = new Composer();
  private request: PlotRequest | null = null;
  private spaces: ByPlace<AxisSpace> | null = null;
  private layers: Lines[] = [];
  private view: ViewRequest | null = null;
  private subscribed = '';
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt = Infinity;
  private composedAt = 0;

  constructor(access: Access, live: string) {
    this.datasets = new Datasets({
      fetchFrames: (body, signal) => postFrames(access, 'data/', body, signal),
      onRows: () => this.schedule(Math.max(0, this.composedAt + COMPOSE_EVERY_MS - performance.now())),
      onState: (state, problem) => say({ type: 'state', state, problem }),
      onRuns: () => say({ type: 'runs' }),
    });
    const scheme = self.location.protocol === 'https:' ? 'wss' : 'ws';
    this.socket = new LiveSocket(() => new WebSocket(`${scheme}://${self.location.host}${live}`) as unknown as SocketLike, {
      onHello: () => this.datasets.syncAll(),
      onHints: (hints) => this.datasets.hints(hints),
      onState: (state) => this.datasets.socketChanged(state),
    });
    scope.addEventListener('online', () => this.retry());
  }

  plot(request: PlotRequest): void {
    const stores = this.datasets.configure(request.layers);
    const spaces = byPlace((place): AxisSpace => ({ scale: request.scales[place], origin: 0n }));
    this.request = request;
    this.spaces = spaces;
    this.layers = request.layers.map((layer, i) => new Lines(stores[i]!, layer, spaces, request.hide, i));
    const series = this.datasets.series;
    if (series.join() !== this.subscribed) {
      const again = this.subscribed !== '';
      this.subscribed = series.join();
      this.socket.subscribe(series);
      // What changed before the new subscription took effect was not hinted.
      if (again) this.datasets.syncAll();
    }
    this.schedule(0);
  }

  setView(view: ViewRequest): void {
    this.view = view;
    this.schedule(0);
  }

  retry(): void {
    this.socket.reconnectNow();
    this.datasets.retryNow();
  }

  hover(request: HoverRequest): void {
    say({ type: 'hit', id: request.id, hit: this.nearest(request) });
  }

  private nearest(request: HoverRequest): Hit | null {
    let best: { layer: number; run: RunLines; group: GroupLine; position: number; distance: number } | null = null;
    this.layers.forEach((lines, layer) => {
      const view = layerView(lines.request, request);
      for (const { run, group } of lines.shown()) {
        const found = nearestRow(group.line, view, request.px, request.py, best?.distance ?? request.radius);
        if (found && (!best || found.distance < best.distance)) best = { layer, run, group, ...found };
      }
    });
    return best && this.hit(best);
  }

  private hit({ layer, run, group, position }: { layer: number; run: RunLines; group: GroupLine; position: number }): Hit {
    const { line } = group;
    const lines = this.layers[layer]!;
    const row = line.rowAt(position);
    const values = boundColumns(lines.request).map((column) => ({
      name: column.name, unit: column.unit, value: valueOf(lines.store, run.stored, column, row),
    }));
    const { run: handle, generation } = run.stored.head;
    return { layer, line: group.id, run: handle, generation, row, x: line.x[position]!, y: line.y[position]!, values };
  }

  /** The soonest wish counts. */
  private schedule(afterMs: number): void {
    const due = performance.now() + afterMs;
    if (due >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = due;
    this.timer = setTimeout(() => this.compose(), afterMs);
  }

  /** An axis that gets an origin begins anew, with all layers on it. */
  private update(): void {
    for (let again = true; again; ) {
      again = false;
      try {
        for (const lines of this.layers) lines.update();
      } catch (error) {
        if (!(error instanceof NeedsOrigin)) throw error;
        for (const lines of this.layers) lines.byRun.clear();
        again = true;
      }
    }
  }

  private compose(): void {
    this.dueAt = Infinity;
    const { request, spaces, view } = this;
    if (!request || !spaces || !view) return;
    const began = performance.now();
    this.update();
    const extents = extentsOf(this.layers);
    const { width, height } = view;
    const whole = fitSpans(extents);
    const spans = byPlace((place) => view.spans[place] ?? whole[place]);
    const { patches, layers } = this.composer.compose(this.layers, { spans, width, height });
    const transfer = patches.flatMap((patch) => (patch.op === 'put' ? [patch.part.data.buffer] : patch.op === 'append' ? [patch.data.buffer] : []));
    this.composedAt = performance.now();
    say({
      type: 'scene',
      patches,
      info: {
        plotId: request.id, viewId: view.id, spans, width, height, extents, layers, composeMs: this.composedAt - began,
        fitted: byPlace((place) => view.spans[place] === null),
        origins: byPlace((place) => spaces[place].origin),
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
