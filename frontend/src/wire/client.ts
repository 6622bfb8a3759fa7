/** The page's side of the worker: at most one view and one hover question under way, the newest next. */

import type { Patch } from '../model/scene';
import type { LiveState } from './feed';
import type { Access } from './http';
import type { FromWorker, Hit, HoverRequest, PlotRequest, SceneInfo, ToWorker, ViewRequest } from './protocol';

export interface FeedEvents {
  /** `info` is `null` when it speaks of a plot that is no longer asked for. */
  onScene(patches: Patch[], info: SceneInfo | null): void;
  onState(state: LiveState, problem: string): void;
  onRuns(): void;
  onHit(hit: Hit | null): void;
}

export class PlotFeed {
  private readonly worker: Worker;
  private plotId = 0;
  private viewId = 0;
  private viewInFlight = false;
  private nextView: Omit<ViewRequest, 'id'> | null = null;
  private hoverInFlight = false;
  private nextHover: Omit<HoverRequest, 'id'> | null = null;
  private hoverId = 0;
  private forgotten = 0;

  constructor(access: Access, live: string, private readonly events: FeedEvents) {
    this.worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.receive(data);
    this.worker.onerror = (event) => events.onState('failed', `The page's worker stopped: ${event.message || 'it could not be loaded'}. Reload the page.`);
    this.send({ type: 'start', access, live });
  }

  plot(request: Omit<PlotRequest, 'id'>): void {
    this.plotId += 1;
    this.send({ type: 'plot', request: { id: this.plotId, ...request } });
  }

  setView(request: Omit<ViewRequest, 'id'>): void {
    if (this.viewInFlight) {
      this.nextView = request;
      return;
    }
    this.viewInFlight = true;
    this.viewId += 1;
    this.send({ type: 'view', request: { id: this.viewId, ...request } });
  }

  hover(request: Omit<HoverRequest, 'id'>): void {
    if (this.hoverInFlight) {
      this.nextHover = request;
      return;
    }
    this.hoverInFlight = true;
    this.hoverId += 1;
    this.send({ type: 'hover', request: { id: this.hoverId, ...request } });
  }

  /** The pointer left: answers still to come say nothing any more. */
  leave(): void {
    this.nextHover = null;
    this.forgotten = this.hoverId;
    this.events.onHit(null);
  }

  retry(): void {
    this.send({ type: 'retry' });
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private receive(message: FromWorker): void {
    if (message.type === 'scene') this.scene(message.patches, message.info);
    else if (message.type === 'state') this.events.onState(message.state, message.problem);
    else if (message.type === 'runs') this.events.onRuns();
    else this.hit(message.id, message.hit);
  }

  private scene(patches: Patch[], info: SceneInfo): void {
    if (info.viewId === this.viewId) {
      this.viewInFlight = false;
      const next = this.nextView;
      this.nextView = null;
      if (next) this.setView(next);
    }
    this.events.onScene(patches, info.plotId === this.plotId ? info : null);
  }

  private hit(id: number, hit: Hit | null): void {
    this.hoverInFlight = false;
    const next = this.nextHover;
    this.nextHover = null;
    if (next) this.hover(next);
    if (id > this.forgotten) this.events.onHit(hit);
  }
}
