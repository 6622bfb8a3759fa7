/** The page's state: the document in the address bar, what the server told, and what the plot said last. */

import { axisTitle, bind, boundAttributes, boundFields, findSeries, type Binding, type Bound } from '../model/bindings';
import type { Ground } from '../model/colour';
import { documentFromQuery, documentToQuery, type PlotDocument } from '../model/document';
import { Painter, type Painting } from '../model/paint';
import type { Patch } from '../model/scene';
import { isNumeric, type AttributeCoverage, type Run, type RunFilter, type Series, type TagCount } from '../model/types';
import type { Catalogue } from '../wire/catalogue';
import type { LiveState } from '../wire/feed';
import type { PlotRequest, SceneInfo } from '../wire/protocol';
import type { PlotElement } from './plot-element';

export interface PlotService {
  plot(request: Omit<PlotRequest, 'id'>): void;
  retry(): void;
}

export type CatalogueState = 'loading' | 'ready' | 'failed';

const VIEW_TO_ADDRESS_MS = 250;
const RUNS_DEBOUNCE_MS = 400;
const REFRESH_MS = 15_000;
/** While there is nothing to subscribe to, the page asks. */
const WAIT_MS = 2_000;

export class Page {
  document = $state.raw<PlotDocument>(documentFromQuery(location.search));
  series = $state.raw<Series[]>([]);
  current = $state.raw<Series | null>(null);
  attributes = $state.raw<AttributeCoverage[]>([]);
  attributeRuns = $state(0);
  tags = $state.raw<TagCount[]>([]);
  runs = $state.raw<Run[]>([]);
  runCount = $state(0);
  catalogueState = $state<CatalogueState>('loading');
  catalogueProblem = $state('');
  live = $state<LiveState>('loading');
  problem = $state('');
  info = $state.raw<SceneInfo | null>(null);
  painting = $state.raw<Painting | null>(null);
  rendererNotice = $state('');
  rendererKind = $state('');
  highlight = $state<string | null>(null);
  touched = $state(false);
  now = $state(Date.now());
  readonly binding: Binding = $derived.by(() => this.bindNow());
  readonly bound: Bound | null = $derived('bound' in this.binding ? this.binding.bound : null);

  readonly warning: string = $derived('warning' in this.binding ? this.binding.warning : '');

  private readonly painter = new Painter();
  private readonly dark = matchMedia('(prefers-color-scheme: dark)');
  private plot: PlotElement | null = null;
  private viewTimer: ReturnType<typeof setTimeout> | undefined;
  private runsTimer: ReturnType<typeof setTimeout> | undefined;
  private shownBinding = '';
  private shownBound = '';

  constructor(
    private readonly catalogue: Catalogue,
    private readonly service: PlotService,
  ) {
    this.dark.addEventListener('change', () => this.repaint());
    window.addEventListener('popstate', () => this.fromAddress());
    setInterval(() => { this.now = Date.now(); }, 1000);
    setInterval(() => { if (this.current) void this.refresh(); }, REFRESH_MS);
    setInterval(() => this.wait(), WAIT_MS);
  }

  get ground(): Ground {
    return this.dark.matches ? 'dark' : 'light';
  }

  /** The element mounts once; from then on the page tells it what to show. */
  attach(plot: PlotElement): void {
    this.plot = plot;
    plot.onView = (view) => this.viewChanged(view);
    plot.onRenderer = () => {
      this.rendererKind = plot.renderer.kind;
      this.rendererNotice = plot.renderer.notice;
    };
    this.repaint();
    this.show();
  }

  async load(): Promise<void> {
    if (this.catalogueState === 'failed') this.catalogueState = 'loading';
    try {
      this.series = await this.catalogue.series();
      await this.chooseSeries();
      this.catalogueState = 'ready';
    } catch (error) {
      this.catalogueState = 'failed';
      this.catalogueProblem = error instanceof Error ? error.message : String(error);
    }
  }

  retry(): void {
    if (this.catalogueState === 'failed') void this.load();
    this.service.retry();
  }

  /** A choice of the user: goes into the history. */
  choose(change: Partial<PlotDocument>): void {
    this.flushView();
    const axes = ['series', 'x', 'y', 'xScale', 'yScale'] as const;
    const otherAxes = axes.some((key) => key in change);
    const seriesChanged = change.series !== undefined && change.series !== this.current?.name;
    this.document = { ...this.document, ...(otherAxes && { view: null }), ...change };
    if (seriesChanged) this.document = { ...this.document, x: null, y: null, color: { kind: 'run' }, hide: [] };
    history.pushState(null, '', location.pathname + documentToQuery(this.document));
    void this.follow(seriesChanged || 'tags' in change);
  }

  toggleHidden(key: string): void {
    const { hide } = this.document;
    this.choose({ hide: hide.includes(key) ? hide.filter((other) => other !== key) : [...hide, key] });
  }

  /** Ticks or unticks a run, among the chosen ones if some are chosen, else among all. */
  toggleRun(run: string): void {
    const { runs, hide } = this.document;
    if (runs === null) this.toggleHidden(run);
    else if (runs.includes(run)) this.choose({ runs: runs.filter((other) => other !== run) });
    else this.choose({ runs: [...runs, run], hide: hide.filter((other) => other !== run) });
  }

  setHighlight(key: string | null): void {
    if (this.highlight === key) return;
    this.highlight = key;
    this.repaint();
  }

  fit(): void {
    this.plot?.fit();
  }

  receive(patches: Patch[], info: SceneInfo | null): void {
    if (info) {
      this.info = info;
      this.repaint();
    }
    this.plot?.receive(patches, info);
    if (this.plot) this.touched = this.plot.currentView.touched;
  }

  setLive(state: LiveState, problem: string): void {
    this.live = state;
    this.problem = problem;
  }

  runsChanged(): void {
    clearTimeout(this.runsTimer);
    this.runsTimer = setTimeout(() => void this.refresh(), RUNS_DEBOUNCE_MS);
  }

  filter(): RunFilter {
    const { tags } = this.document;
    return { series: [this.current!.handle], ...(tags.length > 0 && { tags: { all: tags } }) };
  }

  /** The series or the attribute on an axis may still come. */
  private wait(): void {
    if (this.catalogueState !== 'ready' || this.bound) return;
    if (this.current) void this.refresh();
    else void this.load();
  }

  private async follow(anew: boolean): Promise<void> {
    if (anew) await this.chooseSeries();
    else this.show();
  }

  private fromAddress(): void {
    clearTimeout(this.viewTimer);
    const before = this.document;
    this.document = documentFromQuery(location.search);
    const anew = before.series !== this.document.series || before.tags.join() !== this.document.tags.join();
    void this.follow(anew).then(() => this.plot?.setView(this.document.view));
  }

  private async chooseSeries(): Promise<void> {
    let withRows = new Set<string>();
    if (!this.document.series && this.series.length > 1) {
      const { series } = await this.catalogue.common({});
      withRows = new Set(series.map((entry) => (typeof entry.series === 'string' ? entry.series : entry.series.handle)));
    }
    this.current = findSeries(this.document.series, this.series, ({ handle, name }) => withRows.has(handle) || withRows.has(name)) ?? null;
    if (!this.current) return;
    await this.refresh();
    this.show();
  }

  /** What the panels tell; the picture does not wait for it after the first time. */
  private async refresh(): Promise<void> {
    const filter = this.filter();
    const asked = JSON.stringify(filter);
    const [common, tags, found] = await Promise.allSettled([this.catalogue.common(filter), this.catalogue.tags(), this.catalogue.runs(filter)]);
    if (!this.current || JSON.stringify(this.filter()) !== asked) return;
    if (common.status === 'fulfilled') {
      this.attributes = common.value.attributes;
      this.attributeRuns = common.value.runs;
    }
    if (tags.status === 'fulfilled') this.tags = tags.value;
    if (found.status === 'fulfilled') {
      this.runs = found.value.runs;
      this.painter.know(this.runs.map(({ handle }) => handle));
      this.runCount = found.value.count;
    }
    if (this.shownBinding && JSON.stringify(this.bound) !== this.shownBound) this.show();
    else if (!this.shownBinding && this.catalogueState === 'ready') this.show();
  }

  private bindNow(): Binding {
    if (!this.current) return { problem: '' };
    return bind(this.document, this.current, this.attributes.map(({ field }) => field));
  }

  private show(): void {
    const { bound, document, plot } = this;
    if (!bound || !plot) return;
    const { x, y, color, series } = bound;
    this.shownBound = JSON.stringify(bound);
    const key = JSON.stringify([series.handle, x.handle, x.kind, y.handle, y.kind, document.xScale, document.yScale]);
    plot.setLook({
      x: { title: axisTitle(x), integer: x.type === 'int', log: document.xScale === 'log' },
      y: { title: axisTitle(y), integer: y.type === 'int', log: document.yScale === 'log' },
      mark: document.mark,
    });
    this.service.plot({
      series: series.handle, fields: boundFields(bound), attributes: boundAttributes(bound),
      filter: this.filter(), handles: document.runs,
      x, y, color, xLog: document.xScale === 'log', yLog: document.yScale === 'log', mark: document.mark, hide: document.hide,
    });
    if (key !== this.shownBinding) {
      this.shownBinding = key;
      this.info = null;
      this.painter.reset();
      plot.forget();
      if (document.view) plot.setView(document.view);
      this.touched = document.view !== null;
    }
    window.document.title = `${y.name} over ${x.name} · Streamvis`;
  }

  private repaint(): void {
    const { info, bound } = this;
    this.painting = this.painter.paint({
      lines: info?.lines ?? [],
      color: bound?.color ?? null,
      colourRange: info?.colourRange ?? null,
      categories: info?.categories ?? [],
      hide: this.document.hide,
      ground: this.ground,
      highlight: this.highlight,
    });
    this.plot?.setPainting(this.painting, this.ground);
  }

  private viewChanged(view: PlotDocument['view']): void {
    this.touched = view !== null;
    this.document = { ...this.document, view };
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.flushView(), VIEW_TO_ADDRESS_MS);
  }

  /** Moving about is one state of the page, not a thousand steps back. */
  private flushView(): void {
    clearTimeout(this.viewTimer);
    history.replaceState(null, '', location.pathname + documentToQuery(this.document));
  }
}

/** Fields and attributes that can be bound to an axis. */
export function numericFields(series: Series): Series['fields'] {
  return series.fields.filter((field) => isNumeric(field.data_type));
}
