/** The page's state: the document in the address bar, what the server told, and what the plot said last. */

import { documentFromQuery, documentToQuery } from '../model/address';
import { nextLayer, type Bound } from '../model/bindings';
import type { Ground } from '../model/colour';
import { changeLayer, filterOfAllRuns, type LayerSpec, type PlotDocument } from '../model/document';
import { documentFromJson, documentToJson } from '../model/document-json';
import { Painter, type Painting } from '../model/paint';
import { byPlace, type Place } from '../model/places';
import type { ScaleName } from '../model/scale';
import type { Patch } from '../model/scene';
import type { Series, TagCount } from '../model/types';
import type { Catalogue, WholeRow } from '../wire/catalogue';
import type { LiveState } from '../wire/feed';
import type { Download } from '../wire/http';
import type { Hit, LayerInfo, LayerRequest, PlotRequest, SceneInfo } from '../wire/protocol';
import { Steps } from './history.svelte';
import { LayerContext } from './layer-context.svelte';
import { lookOf } from './look';
import type { PlotElement } from './plot-element';
import type { Ranges } from './view-state';

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

export interface PickedRow extends Hit {
  state: 'loading' | 'here' | 'gone';
  whole: WholeRow;
}

export class Page {
  document = $state.raw<PlotDocument>(documentFromQuery(location.search));
  contexts = $state.raw<LayerContext[]>([]);
  active = $state(0);
  series = $state.raw<Series[]>([]);
  tags = $state.raw<TagCount[]>([]);
  catalogueState = $state<CatalogueState>('loading');
  catalogueProblem = $state('');
  live = $state<LiveState>('loading');
  problem = $state('');
  info = $state.raw<SceneInfo | null>(null);
  painting = $state.raw<Painting | null>(null);
  picked = $state.raw<PickedRow | null>(null);
  rendererNotice = $state('');
  rendererKind = $state('');
  highlight = $state<string | null>(null);
  touched = $state(false);
  now = $state(Date.now());
  readonly steps = new Steps();
  readonly context: LayerContext = $derived(this.contexts[this.active] ?? this.contexts[0]!);
  /** Layers that can be drawn, by their numbers in the document. */
  readonly drawn: number[] = $derived(this.contexts.flatMap(({ bound }, i) => (bound ? [i] : [])));
  readonly bound: Bound | null = $derived(this.contexts[this.drawn[0] ?? 0]?.bound ?? null);
  readonly warning: string = $derived(this.warnings().join('; '));

  private readonly painter = new Painter();
  private readonly dark = matchMedia('(prefers-color-scheme: dark)');
  private plot: PlotElement | null = null;
  private viewTimer: ReturnType<typeof setTimeout> | undefined;
  private runsTimer: ReturnType<typeof setTimeout> | undefined;
  private shownBound = '';
  private shownColours = '';
  /** Which layer of the document each layer of `info` is. */
  private shownLayers: number[] = [];

  constructor(
    private readonly catalogue: Catalogue,
    private readonly service: PlotService,
  ) {
    this.contexts = this.document.layers.map((layer) => new LayerContext(layer));
    this.dark.addEventListener('change', () => this.repaint());
    window.addEventListener('popstate', () => this.fromAddress());
    setInterval(() => { this.now = Date.now(); }, 1000);
    setInterval(() => { if (this.current) void this.refresh(); }, REFRESH_MS);
    setInterval(() => this.wait(), WAIT_MS);
  }

  get ground(): Ground {
    return this.dark.matches ? 'dark' : 'light';
  }

  /** Of the chosen layer. */
  get current(): Series | null {
    return this.context.current;
  }

  get layer(): LayerSpec {
    return this.document.layers[this.active] ?? this.document.layers[0]!;
  }

  /** The element mounts once; from then on the page tells it what to show. */
  attach(plot: PlotElement): void {
    this.plot = plot;
    plot.onView = (ranges) => this.viewChanged(ranges);
    plot.onPick = (hit) => void this.pick(hit);
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

  /** A choice about the chosen layer; an axis with something else on it is fitted anew. */
  choose(change: Partial<LayerSpec>): void {
    const { layer, active } = this;
    const next = changeLayer(this.document, active, change);
    const freed = new Set<Place>();
    if ('series' in change || 'x' in change || 'xAxis' in change) freed.add(layer.xAxis).add(next.layers[active]!.xAxis);
    if ('series' in change || 'y' in change || 'yAxis' in change) freed.add(layer.yAxis).add(next.layers[active]!.yAxis);
    this.commit({ ...next, axes: byPlace((place) => (freed.has(place) ? { ...next.axes[place], range: null } : next.axes[place])) });
  }

  setScale(place: Place, scale: ScaleName): void {
    const axes = { ...this.document.axes, [place]: { ...this.document.axes[place], scale, constant: 1 } };
    this.commit({ ...this.document, axes });
  }

  setHide(hide: string[]): void {
    this.commit({ ...this.document, hide });
  }

  showAllRuns(): void {
    this.commit({ ...changeLayer(this.document, this.active, { runs: null }), hide: [] });
  }

  onlyRun(run: string): void {
    this.commit({ ...changeLayer(this.document, this.active, { runs: [run] }), hide: [] });
  }

  addLayer(): void {
    const added = nextLayer(this.layer, this.context.bound, this.contexts.map(({ bound }) => bound));
    this.commit({ ...this.document, layers: [...this.document.layers, added] });
    this.active = this.document.layers.length - 1;
  }

  removeLayer(index: number): void {
    this.active = Math.max(0, this.active - (index <= this.active ? 1 : 0));
    this.commit({ ...this.document, layers: this.document.layers.filter((_, i) => i !== index) });
  }

  toggleHidden(key: string): void {
    const { hide } = this.document;
    this.setHide(hide.includes(key) ? hide.filter((other) => other !== key) : [...hide, key]);
  }

  /** Only this of these; again: all of them. */
  isolate(key: string, all: string[]): void {
    const others = all.filter((other) => other !== key);
    const rest = this.document.hide.filter((other) => !all.includes(other));
    const isolated = others.every((other) => this.document.hide.includes(other)) && !this.document.hide.includes(key);
    this.setHide(isolated ? rest : [...rest, ...others]);
  }

  /** Ticks or unticks a run, among the chosen ones if some are chosen, else among all. */
  toggleRun(run: string): void {
    const { runs } = this.layer;
    if (runs === null) this.toggleHidden(run);
    else if (runs.includes(run)) this.choose({ runs: runs.filter((other) => other !== run) });
    else this.commit({ ...changeLayer(this.document, this.active, { runs: [...runs, run] }), hide: this.document.hide.filter((other) => other !== run) });
  }

  setHighlight(key: string | null): void {
    if (this.highlight === key) return;
    this.highlight = key;
    this.repaint();
  }

  fit(): void {
    this.plot?.fit();
  }

  setDragMode(mode: 'pan' | 'box'): void {
    if (this.plot) this.plot.dragMode = mode;
  }

  /** The plot's address with handles in place of names: it survives renaming. Throws what the server refuses. */
  async permanentLink(): Promise<string> {
    const bound = this.document.layers.map((layer, i) => this.spelled(layer, i));
    const { plot } = await this.catalogue.validate(documentToJson({ ...this.document, layers: bound }));
    const held = { ...documentFromJson(plot), renderer: this.document.renderer };
    return `${location.origin}${location.pathname}${documentToQuery(held)}`;
  }

  /** The chosen layer's run filter as text, tags included. Throws what the server refuses. */
  filterText(): Promise<string> {
    return this.catalogue.filterText(filterOfAllRuns(this.layer));
  }

  /** All rows behind the chosen layer, whatever of them is in view. Throws what the server refuses. */
  async exportRows(accept: string): Promise<Download> {
    const { context, layer } = this;
    const filter = { ...context.filter(), ...(layer.runs && { handles: layer.runs }) };
    return this.catalogue.rowsAsFile(context.current!, filter, layer.rows, context.attributes.map(({ field }) => field), accept);
  }

  receive(patches: Patch[], info: SceneInfo | null): void {
    if (info) this.info = info;
    this.plot?.receive(patches, info);
    if (info) this.repaint();
    if (this.plot) this.touched = this.plot.touched;
  }

  setLive(state: LiveState, problem: string): void {
    this.live = state;
    this.problem = problem;
  }

  runsChanged(): void {
    clearTimeout(this.runsTimer);
    this.runsTimer = setTimeout(() => void this.refresh(), RUNS_DEBOUNCE_MS);
  }

  /** What the plot said of a layer of the document. */
  infoOf(layer: number): LayerInfo | null {
    return this.info?.layers[this.shownLayers.indexOf(layer)] ?? null;
  }

  paintOf(layer: number): Painting['layers'][number] | null {
    return this.painting?.layers[this.shownLayers.indexOf(layer)] ?? null;
  }

  closeRow(): void {
    this.picked = null;
  }

  /** The series or the attribute on an axis may still come. */
  private wait(): void {
    if (this.catalogueState !== 'ready' || this.drawn.length === this.contexts.length) return;
    if (this.contexts.every(({ current }) => current)) void this.refresh();
    else void this.load();
  }

  /** Goes into the history. */
  private commit(document: PlotDocument): void {
    this.flushView();
    this.take(document);
    this.steps.push(location.pathname + documentToQuery(this.document));
    void this.follow();
  }

  private take(document: PlotDocument): void {
    this.document = document;
    this.contexts = document.layers.map((layer, i) => this.contexts[i] ?? new LayerContext(layer));
    document.layers.forEach((layer, i) => { this.contexts[i]!.spec = layer; });
    this.active = Math.min(this.active, document.layers.length - 1);
  }

  private fromAddress(): void {
    clearTimeout(this.viewTimer);
    this.steps.read();
    this.take(documentFromQuery(location.search));
    void this.follow();
  }

  private async follow(): Promise<void> {
    const moved = this.contexts.some(({ current, spec }) => !current || (spec.series !== null && spec.series !== current.name && spec.series !== current.handle));
    if (moved) await this.chooseSeries();
    else {
      if (this.contexts.some(({ stale }) => stale)) void this.refresh();
      this.show();
    }
  }

  private async chooseSeries(): Promise<void> {
    let withRows = new Set<string>();
    if (this.document.layers.some(({ series }) => !series) && this.series.length > 1) {
      const { series } = await this.catalogue.common({});
      withRows = new Set(series.map((entry) => (typeof entry.series === 'string' ? entry.series : entry.series.handle)));
    }
    for (const context of this.contexts) context.chooseSeries(this.series, withRows);
    await this.refresh();
    this.show();
  }

  /** What the panels tell; the picture does not wait for it after the first time. */
  private async refresh(): Promise<void> {
    const [tags] = await Promise.allSettled([this.catalogue.tags(), ...this.contexts.map((context) => context.refresh(this.catalogue))]);
    if (tags.status === 'fulfilled') this.tags = tags.value;
    for (const { runs } of this.contexts) this.painter.know(runs.map(({ handle }) => handle));
    if (this.boundText() !== this.shownBound && this.catalogueState === 'ready') this.show();
  }

  private boundText(): string {
    return JSON.stringify(this.contexts.map(({ bound }) => bound));
  }

  private show(): void {
    const { plot, document } = this;
    const layers = this.drawn.map((i) => this.request(i));
    if (layers.length === 0 || !plot) return;
    const before = this.shownLayers.join();
    this.shownBound = this.boundText();
    this.shownLayers = this.drawn;
    if (before !== this.shownLayers.join()) this.info = null;
    const colours = JSON.stringify(this.contexts.map(({ bound }) => [bound?.color, bound?.categorical, bound?.group]));
    if (colours !== this.shownColours) this.painter.reset();
    this.shownColours = colours;
    const look = lookOf(layers, this.drawn.map((i) => document.layers[i]!), document.axes);
    this.service.plot({ layers, scales: byPlace((place) => ({ name: document.axes[place].scale, constant: document.axes[place].constant })), hide: document.hide });
    plot.begin(look, byPlace((place) => document.axes[place].range));
    this.touched = plot.touched;
    window.document.title = `${look.title} · Streamvis`;
  }

  private request(index: number): LayerRequest {
    const spec = this.document.layers[index]!;
    const { series, ...bound } = this.contexts[index]!.bound!;
    return {
      ...bound, series: series.handle, filter: this.contexts[index]!.filter(), handles: spec.runs,
      mark: spec.mark, xAxis: spec.xAxis, yAxis: spec.yAxis, smoothing: spec.smoothing,
    };
  }

  /** What the page chose by itself, written out. */
  private spelled(layer: LayerSpec, index: number): LayerSpec {
    const { bound, current } = this.contexts[index]!;
    const source = (column: { kind: 'field' | 'attr'; handle: string } | undefined): LayerSpec['x'] => (column ? { kind: column.kind, name: column.handle } : null);
    return { ...layer, series: current?.handle ?? layer.series, x: layer.x ?? source(bound?.x), y: layer.y ?? source(bound?.y) };
  }

  private warnings(): string[] {
    return this.contexts.flatMap(({ warning, problem, current }, i) => {
      const words = warning || (this.drawn.length > 0 ? problem || (current ? '' : `there is no series “${this.document.layers[i]?.series}”`) : '');
      return words ? [this.contexts.length > 1 ? `layer ${i + 1}: ${words}` : words] : [];
    });
  }

  private repaint(): void {
    const { info } = this;
    this.painting = this.painter.paint({
      layers: this.shownLayers.map((index, i) => {
        const bound = this.contexts[index]?.bound;
        const layer = info?.layers[i];
        return {
          lines: layer?.lines ?? [], color: bound?.color ?? null, categorical: bound?.categorical ?? false,
          colourRange: layer?.colourRange ?? null, sizeRange: layer?.sizeRange ?? null, categories: layer?.categories ?? [], most: layer?.most ?? null,
        };
      }),
      hide: this.document.hide,
      ground: this.ground,
      highlight: this.highlight,
    });
    this.plot?.setPainting(this.painting, this.ground);
  }

  /** All fields of the row that was clicked, fetched: the page holds only what is bound. */
  private async pick(hit: Hit | null): Promise<void> {
    const context = hit && this.contexts[this.shownLayers[hit.layer]!];
    if (!hit || !context?.current) {
      this.picked = null;
      return;
    }
    this.picked = { ...hit, state: 'loading', whole: { fields: hit.values, attributes: [] } };
    const attributes = context.attributes.map(({ field }) => field);
    const whole = await this.catalogue.row(context.current, attributes, hit.run, hit.generation, hit.row).catch(() => null);
    if (this.picked?.run !== hit.run || this.picked.row !== hit.row) return;
    this.picked = { ...this.picked, state: whole ? 'here' : 'gone', ...(whole && { whole }) };
  }

  private viewChanged(ranges: Ranges): void {
    this.touched = Object.values(ranges).some(Boolean);
    this.document = { ...this.document, axes: byPlace((place) => ({ ...this.document.axes[place], range: ranges[place] })) };
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.flushView(), VIEW_TO_ADDRESS_MS);
  }

  /** Moving about is one state of the page, not a thousand steps back. */
  private flushView(): void {
    clearTimeout(this.viewTimer);
    this.steps.replace(location.pathname + documentToQuery(this.document));
  }
}
