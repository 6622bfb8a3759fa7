/**
 * Keeps the store equal to the server: one fetch at a time, from cursors, for the runs that were hinted or for all;
 * all again after every (re)connection and every 15 s, so that a lost hint is never a wrong picture.
 */

import { backoffMs } from '../model/retry';
import type { RunFilter } from '../model/types';
import { FrameReader, MalformedFrame } from './frames';
import { ApiError } from './http';
import type { Hint, SocketState } from './socket';
import { NotContinuous, type Store } from './store';

export interface FeedRequest {
  series: string;
  fields: string[];
  attributes: string[];
  filter: RunFilter;
  handles: string[] | null;
}

export type LiveState = 'loading' | 'catching-up' | 'live' | 'offline' | 'ended' | 'failed';

export interface FeedDeps {
  fetchFrames(body: unknown, signal: AbortSignal): AsyncIterable<Uint8Array>;
  onRows(): void;
  onState(state: LiveState, problem: string): void;
  /** Runs came, went or changed in other than their rows. */
  onRuns(): void;
  random?: () => number;
}

export const RECONCILE_MS = 15_000;
/** A request's body is at most 1 MiB; beyond this many hinted runs all are asked for. */
const MOST_HINTED = 2000;

export class Feed {
  private request: FeedRequest | null = null;
  private wantAll = false;
  private readonly wanted = new Set<string>();
  private readonly metaSeen = new Map<string, number>();
  /** Runs that were asked for and do not pass the filter, until their metadata changes. */
  private readonly outside = new Set<string>();
  private running = false;
  private synced = false;
  private loaded = false;
  private problem = '';
  private failed = false;
  private socketState: SocketState = 'connecting';
  private attempt = 0;
  private abort = new AbortController();
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private reconcileTimer: ReturnType<typeof setInterval> | undefined;
  private told = '';

  constructor(
    public store: Store,
    private readonly deps: FeedDeps,
  ) {}

  configure(request: FeedRequest, fresh: boolean): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.request = request;
    this.running = false;
    this.synced = false;
    this.loaded = this.loaded && !fresh;
    this.failed = false;
    this.attempt = 0;
    this.wanted.clear();
    this.outside.clear();
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    clearInterval(this.reconcileTimer);
    this.reconcileTimer = setInterval(() => this.syncAll(), RECONCILE_MS);
    this.syncAll();
  }

  syncAll(): void {
    this.wantAll = true;
    this.tell();
    void this.pump();
  }

  retryNow(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    this.failed = false;
    this.attempt = 0;
    this.syncAll();
  }

  socketChanged(state: SocketState): void {
    this.socketState = state;
    if (state !== 'open') this.synced = false;
    this.tell();
  }

  hints(hints: Hint[]): void {
    let runsChanged = false;
    for (const hint of hints) {
      const known = this.store.runs.get(hint.run);
      const metaChanged = this.metaSeen.get(hint.run) !== hint.meta;
      this.metaSeen.set(hint.run, hint.meta);
      if (metaChanged) this.outside.delete(hint.run);
      else if (!known && this.outside.has(hint.run)) continue;
      if (!known || metaChanged || hint.gone) runsChanged = true;
      const rows = this.request ? hint.rows[this.request.series] : undefined;
      // Rows of another series of the plot.
      if (!rows && !metaChanged && !hint.gone && Object.keys(hint.rows).length > 0) continue;
      if (!known && rows) this.outside.add(hint.run);
      const news = !known || hint.gone || metaChanged || hint.generation !== known.head.generation || (rows ?? 0) > known.rows;
      if (news) this.wanted.add(hint.run);
    }
    for (const run of this.wanted) if (this.store.runs.has(run)) this.outside.delete(run);
    if (runsChanged) this.deps.onRuns();
    void this.pump();
  }

  stop(): void {
    this.abort.abort();
    clearTimeout(this.retryTimer);
    clearInterval(this.reconcileTimer);
    this.request = null;
  }

  private async pump(): Promise<void> {
    if (this.running || this.retryTimer !== undefined || !this.request) return;
    if (!this.wantAll && this.wanted.size === 0) return;
    const { signal } = this.abort;
    const all = this.wantAll || this.wanted.size > MOST_HINTED;
    const hinted = all ? null : [...this.wanted];
    this.wantAll = false;
    this.wanted.clear();
    this.running = true;
    try {
      await this.fetchLacking(signal);
      while (!signal.aborted && (await this.fetchOnce(hinted, signal)));
      if (signal.aborted) return;
      this.succeeded(all);
    } catch (error) {
      if (signal.aborted) return;
      if (all) this.wantAll = true;
      for (const run of hinted ?? []) this.wanted.add(run);
      this.stumbled(error);
    }
    this.running = false;
    this.tell();
    void this.pump();
  }

  /** Columns that were not asked for before, of the rows that are here; runs that they do not reach are fetched anew. */
  private async fetchLacking(signal: AbortSignal): Promise<void> {
    const { series, fields, filter } = this.request!;
    const lacking = this.store.lacking(fields);
    if (lacking.runs.length === 0) return;
    const { store } = this;
    const beside = store.beside();
    for (let at = 0; at < lacking.runs.length; at += MOST_HINTED) {
      const handles = lacking.runs.slice(at, at + MOST_HINTED);
      const reader = new FrameReader();
      const body = { filter: { ...filter, handles }, series, fields: lacking.fields, attributes: [] };
      for await (const bytes of this.deps.fetchFrames(body, signal)) {
        if (signal.aborted) return;
        for (const frame of reader.push(bytes)) {
          beside.apply(frame);
          if (frame.head.kind === 'rows') store.graft(frame.head.run, beside);
        }
        this.deps.onRows();
      }
      reader.finish();
    }
    for (const run of store.lacking(fields).runs) store.drop(run);
  }

  /** Returns whether the server has more. */
  private async fetchOnce(hinted: string[] | null, signal: AbortSignal): Promise<boolean> {
    const { series, fields, attributes, filter, handles } = this.request!;
    const named = hinted && handles ? hinted.filter((run) => handles.includes(run)) : (hinted ?? handles);
    // A run outside the chosen ones still has to be told gone if it is held.
    const body = {
      filter: named ? { ...filter, handles: named } : filter,
      series, fields, attributes,
      cursor: this.store.cursor(hinted ?? undefined),
    };
    const reader = new FrameReader();
    let more: boolean | null = null;
    for await (const bytes of this.deps.fetchFrames(body, signal)) {
      if (signal.aborted) return false;
      for (const frame of reader.push(bytes)) {
        const before = this.store.runs.size;
        more = this.store.apply(frame);
        if (frame.head.kind === 'data' && (frame.head.gone.length > 0 || this.store.runs.size !== before)) this.deps.onRuns();
        if (frame.head.kind === 'reset') this.wanted.add(frame.head.run);
      }
      this.deps.onRows();
    }
    reader.finish();
    if (more === null) throw new MalformedFrame('the answer ends without its end frame');
    return more;
  }

  private succeeded(all: boolean): void {
    this.attempt = 0;
    this.problem = '';
    if (!all) return;
    this.loaded = true;
    if (this.socketState === 'open') this.synced = true;
    this.deps.onRows();
  }

  private stumbled(error: unknown): void {
    this.problem = error instanceof Error ? error.message : String(error);
    if (error instanceof ApiError && !error.passing) {
      this.failed = true;
      if (error.ended) this.socketState = 'ended';
      this.wantAll = false;
      this.wanted.clear();
      return;
    }
    const asked = error instanceof ApiError ? error.retryAfterMs : null;
    const wait = error instanceof NotContinuous ? 0 : (asked ?? backoffMs(this.attempt, this.deps.random ?? Math.random));
    this.attempt += 1;
    this.retryTimer = setTimeout(() => {
      this.retryTimer = undefined;
      void this.pump();
    }, wait);
  }

  private state(): LiveState {
    if (this.socketState === 'ended') return 'ended';
    if (this.failed) return 'failed';
    if (this.attempt > 1 || (this.socketState === 'offline' && this.loaded)) return 'offline';
    if (!this.loaded) return 'loading';
    return this.synced ? 'live' : 'catching-up';
  }

  private tell(): void {
    const state = this.state();
    const said = `${state} ${this.problem}`;
    if (said === this.told) return;
    this.told = said;
    this.deps.onState(state, this.problem);
  }
}
