/** The page's state: the filter, what the server found for it, and what is chosen. */

import { ApiError } from '../../wire/http';
import { fromQuery, NEWEST_FIRST, toQuery, type Shown } from '../model/address';
import { BLOCK, Blocks } from '../model/blocks';
import { chosenColumns, defaultColumns, fieldsOf, sameSort, type Column } from '../model/columns';
import { plotAddress } from '../model/filter';
import { chooseAll, extend, NONE, rangeTo, toggle, type Selection } from '../model/selection';
import type { Facets, FilterJson, FilterLike, FoundPage, FoundRun, SortJson } from '../model/types';
import type { Runs } from '../wire/runs';

export interface Problem {
  message: string;
  hint: string;
  /** Of the fault in the line, in Unicode characters; `null`: not about the line. */
  position: number | null;
  length: number;
}

export type Row = FoundRun & { gone?: boolean };

const TYPING_MS = 140;
const LIVE_MS = 1_000;
const RECONCILE_MS = 30_000;
const RANGE_MOST = 1_000;

export class SearchPage {
  shown = $state.raw<Shown>(fromQuery(location.search));
  /** What stands in the line, also while it is no filter. */
  draft = $state(this.shown.text);
  filter = $state.raw<FilterJson>({});
  facets = $state.raw<Facets | null>(null);
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  loaded = $state(false);
  /** Rows of the table; `version` grows with each change of them. */
  count = $state(0);
  version = $state(0);
  selection = $state.raw<Selection>(NONE);
  cursor = $state(0);
  now = $state(Date.now());
  /** Chosen at the first search, and then left: columns that come and go would jump. */
  private defaults = $state.raw<string[]>([]);
  readonly columns: Column[] = $derived(chosenColumns(this.shown.columns ?? this.defaults, this.facets));
  readonly chosen: number = $derived(this.selection.all ? (this.facets?.runs ?? 0) : this.selection.handles.size);
  /** How many runs the filter finds more, or fewer, than the table shows. */
  readonly news: number = $derived((this.facets?.runs ?? 0) - this.count);

  private blocks = new Blocks<Row>();
  private first: string | null = null;
  private asking = new AbortController();
  private fetching = new Set<number>();
  private typing: ReturnType<typeof setTimeout> | undefined;
  private session = false;
  private liveTimer: ReturnType<typeof setTimeout> | undefined;
  private fetchedFields = '';
  private unsearched = false;
  /** The table says which rows it shows, and whether they may move. */
  view = { first: 0, last: 0, atTop: true, held: false };

  constructor(readonly runs: Runs) {
    window.addEventListener('popstate', () => this.fromAddress());
    setInterval(() => { this.now = Date.now(); }, 1000);
    setInterval(() => { if (!document.hidden) this.changed(); }, RECONCILE_MS);
  }

  /** Of the chosen runs, or of all that are found. */
  get target(): FilterJson {
    return this.selection.all || this.selection.handles.size === 0 ? this.filter : { handles: [...this.selection.handles], with_rows: null };
  }

  get plotAddress(): string {
    return plotAddress(this.target);
  }

  at(place: number): Row | undefined {
    void this.version;
    return this.blocks.at(place);
  }

  /** `unfinished`: a word that is still being typed; it is searched for once it stands. */
  type(text: string, unfinished = false): void {
    this.draft = text;
    clearTimeout(this.typing);
    if (unfinished) this.unsearched = true;
    else this.typing = setTimeout(() => void this.apply(text, this.session ? 'replace' : 'push'), TYPING_MS);
  }

  /** Enter: at once, and what is typed later is another step in the history. */
  submit(): void {
    clearTimeout(this.typing);
    void this.apply(this.draft, this.session ? 'replace' : 'push').then(() => { this.session = false; });
  }

  leaveLine(): void {
    if (this.unsearched) this.submit();
    this.session = false;
  }

  /** A change that a facet made. */
  choose(filter: FilterJson): void {
    this.session = false;
    void this.apply(filter, 'push');
  }

  sortBy(sort: SortJson): void {
    const now = this.shown.sort;
    const down = sameSort(sort, now) ? !now.descending : sort.by !== 'owner' && sort.by !== 'state';
    this.move({ sort: { ...sort, ...(down && { descending: true }) } });
    void this.apply(this.filter, null);
  }

  setColumns(columns: string[] | null): void {
    this.move({ columns });
    if (fieldsOf(this.columns).join() !== this.fetchedFields) void this.apply(this.filter, null);
  }

  open(handle: string | null): void {
    if (handle !== this.shown.open) this.move({ open: handle });
  }

  load(): void {
    void this.apply(this.shown.text, null);
  }

  /** New rows and runs were told: counts move at once, the table when nobody minds. */
  changed(): void {
    this.liveTimer ??= setTimeout(() => {
      this.liveTimer = undefined;
      void this.refresh();
    }, LIVE_MS);
  }

  showNews(): void {
    void this.apply(this.filter, null);
  }

  /** The table shows these places: what of them is not there is fetched. */
  ensure(first: number, last: number): void {
    this.view = { ...this.view, first, last };
    for (const block of this.blocks.missing(first, last)) void this.fetch(block);
  }

  toggle(place: number): void {
    const run = this.at(place);
    if (run) this.selection = toggle(this.selection, run.handle, place, this.blocks.all().map(({ handle }) => handle));
  }

  async extendTo(place: number): Promise<void> {
    const [first, last] = rangeTo(this.selection, place);
    const range = await this.handlesOf(first, Math.min(last, first + RANGE_MOST - 1));
    this.selection = extend(this.selection, range, place);
  }

  chooseAll(): void {
    this.selection = chooseAll();
  }

  chooseNone(): void {
    this.selection = NONE;
  }

  /** Something was changed by this page: everything is asked again. */
  async reload(): Promise<void> {
    await this.apply(this.filter, null);
  }

  private move(change: Partial<Shown>, how: 'push' | 'replace' = 'push'): void {
    this.shown = { ...this.shown, ...change };
    const address = location.pathname + toQuery(this.shown);
    if (how === 'push') history.pushState(null, '', address);
    else history.replaceState(null, '', address);
  }

  private fromAddress(): void {
    const before = this.shown;
    this.shown = fromQuery(location.search);
    this.draft = this.shown.text;
    this.session = false;
    if (toQuery({ ...before, open: null }) !== toQuery({ ...this.shown, open: null })) void this.apply(this.shown.text, null);
  }

  private async apply(filter: FilterLike, history: 'push' | 'replace' | null): Promise<void> {
    this.unsearched = false;
    this.asking.abort();
    const asking = (this.asking = new AbortController());
    this.busy = true;
    try {
      const [facets, page] = await this.ask(filter, asking.signal);
      if (asking.signal.aborted) return;
      this.take(facets, page, filter, history);
    } catch (error) {
      if (!asking.signal.aborted) this.problem = problemOf(error);
    } finally {
      if (this.asking === asking) this.busy = false;
    }
  }

  /** The first time the columns follow from the facets, so one waits for the other. */
  private async ask(filter: FilterLike, signal: AbortSignal): Promise<[Facets, FoundPage]> {
    const facets = this.runs.facets(filter, {}, signal);
    if (!this.facets) {
      this.facets = await facets;
      this.defaults = defaultColumns(this.facets);
    }
    return Promise.all([facets, this.page({ filter, offset: 0 }, signal)]);
  }

  private page(request: { filter: FilterLike; offset: number; from?: string }, signal?: AbortSignal): Promise<FoundPage> {
    const attributes = fieldsOf(this.columns);
    this.fetchedFields = attributes.join();
    return this.runs.search({ sort: this.shown.sort, limit: BLOCK, attributes, ...request }, signal);
  }

  private take(facets: Facets, page: FoundPage, asked: FilterLike, history: 'push' | 'replace' | null): void {
    const before = JSON.stringify(this.filter);
    const other = before !== JSON.stringify(facets.filter);
    this.filter = facets.filter;
    this.facets = facets;
    this.problem = null;
    const text = typeof asked === 'string' ? asked : facets.text;
    if (typeof asked !== 'string') this.draft = text;
    if (history && text.trim() !== this.shown.text.trim()) this.move({ text }, history);
    if (typeof asked === 'string' && history) this.session = true;
    this.blocks = new Blocks();
    this.blocks.put(0, page.results);
    this.fetching.clear();
    this.first = page.first ?? null;
    this.count = page.count ?? 0;
    if (other && this.loaded) {
      this.cursor = 0;
      this.selection = NONE;
    }
    this.loaded = true;
    this.version += 1;
  }

  private async fetch(block: number): Promise<void> {
    if (this.fetching.has(block)) return;
    this.fetching.add(block);
    const { blocks } = this;
    try {
      const page = await this.page({ filter: this.filter, offset: block * BLOCK, ...(this.first && { from: this.first }) });
      if (blocks !== this.blocks) return;
      blocks.put(block, page.results);
      this.version += 1;
    } catch (error) {
      this.problem = problemOf(error);
    } finally {
      this.fetching.delete(block);
    }
  }

  private async handlesOf(first: number, last: number): Promise<string[]> {
    const places = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    const known = places.map((place) => this.at(place)?.handle);
    if (known.every((handle) => handle !== undefined)) return known;
    const request = { filter: this.filter, sort: this.shown.sort, limit: places.length, offset: first, attributes: [], ...(this.first && { from: this.first }) };
    return (await this.runs.search(request)).results.map(({ handle }) => handle);
  }

  private async refresh(): Promise<void> {
    if (!this.facets || this.busy) return;
    const { filter, blocks } = this;
    const { first, last, atTop, held } = this.view;
    const handles = [];
    for (let place = first; place <= last; place += 1) {
      const run = blocks.at(place);
      if (run) handles.push(run.handle);
    }
    const asked = this.page({ filter: { handles, with_rows: null }, offset: 0 });
    try {
      const [facets, page] = await Promise.all([this.runs.facets(filter), asked]);
      if (blocks !== this.blocks) return;
      this.facets = facets;
      const news = new Map(page.results.map((run) => [run.handle, run]));
      const seen = new Set(handles);
      blocks.change((run) => news.get(run.handle) ?? (seen.has(run.handle) ? { ...run, gone: true } : run));
      this.version += 1;
      if (this.news !== 0 && atTop && !held && this.selection === NONE) this.showNews();
    } catch (error) {
      if (error instanceof ApiError && error.ended) this.problem = problemOf(error);
    }
  }
}

export function problemOf(error: unknown): Problem {
  if (!(error instanceof ApiError)) {
    return { message: 'The server cannot be reached; trying again helps once it is back.', hint: '', position: null, length: 0 };
  }
  if (error.ended) return { message: 'You are logged out. Reload the page to log in again.', hint: '', position: null, length: 0 };
  const { position, length, hint } = error.body;
  return {
    message: error.body.message ?? error.message,
    hint: hint ?? '',
    position: position ?? null,
    length: length ?? 1,
  };
}

export { NEWEST_FIRST };
