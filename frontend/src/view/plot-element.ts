/** <streamvis-plot>: canvas, axes, pointer and tooltip of one plot. No framework; who makes it hands in feed and renderer. */

import { GROUND, type Ground, type Rgb } from '../model/colour';
import { drawItems, type DrawnLayer } from '../model/draw-items';
import type { Mark } from '../model/document';
import type { Painting } from '../model/paint';
import { byPlace, pan, viewOf, Y_PLACES, X_PLACES, zoom, zoomTo, type Spans, type XPlace, type YPlace } from '../model/places';
import type { Picture, Pixels, RendererFactory } from '../model/renderer';
import { LINEAR } from '../model/scale';
import { Scene, type Patch } from '../model/scene';
import type { PixelView } from '../model/viewport';
import type { Hit, HoverRequest, SceneInfo, ViewRequest } from '../wire/protocol';
import { AxesLayer, type AxisLooks, type Box } from './axes';
import { FrameLoop } from './frame-loop';
import { Gestures } from './gestures';
import { LabelsLayer } from './labels-layer';
import { Tooltip } from './tooltip';
import { ViewState, type Ranges } from './view-state';

export interface ViewFeed {
  setView(request: Omit<ViewRequest, 'id'>): void;
  hover(request: Omit<HoverRequest, 'id'>): void;
  leave(): void;
}

export interface LayerLook {
  mark: Mark;
  width: number | null;
  radius: number | null;
  xAxis: XPlace;
  yAxis: YPlace;
}

export interface PlotLook {
  axes: AxisLooks;
  layers: LayerLook[];
  /** In words, for those who cannot see it. */
  description: string;
}

const HOVER_RADIUS_PX = 36;
const NO_ORIGINS = byPlace(() => 0n);

export class PlotElement extends HTMLElement {
  /** The user moved or zoomed, or let go of the view: `null` where an axis follows the data. */
  onView: (ranges: Ranges) => void = () => undefined;
  onRenderer: () => void = () => undefined;
  /** The user clicked on a row, or beside all of them. */
  onPick: (hit: Hit | null) => void = () => undefined;
  private feed: ViewFeed | null = null;
  private frames: FrameLoop | null = null;
  private gestures: Gestures | null = null;
  private readonly scene = new Scene();
  private readonly axes = new AxesLayer();
  private readonly labels = new LabelsLayer();
  private readonly tip = new Tooltip();
  private readonly area = document.createElement('div');
  private readonly zoomBox = document.createElement('div');
  private readonly view = new ViewState();
  private info: SceneInfo | null = null;
  private painting: Painting | null = null;
  private ground: Ground = 'light';
  private layers: LayerLook[] = [];
  /** Shown when the first picture of it comes: till then the old one stands with its own axes. */
  private nextLook: PlotLook | null = null;
  /** The next hit is a click's. */
  private picking = false;
  private pointer: { x: number; y: number } | null = null;
  private size = { width: 0, height: 0 };
  private box: Box = { left: 60, top: 14, width: 100, height: 100 };
  private ratio = 1;
  /** Frames that had been drawn when rows first came; more of them show rows. */
  private framesBefore: number | null = null;

  connect(feed: ViewFeed, makeRenderer: RendererFactory): void {
    this.feed = feed;
    this.area.className = 'sv-area';
    this.zoomBox.className = 'sv-box';
    this.zoomBox.hidden = true;
    this.tabIndex = 0;
    this.setAttribute('role', 'application');
    this.setAttribute('aria-roledescription', 'plot');
    this.frames = new FrameLoop(makeRenderer, () => this.picture(), () => this.onRenderer(), () => this.drawAround());
    this.area.append(this.frames.canvas, this.labels.element, this.tip.marker, this.zoomBox);
    this.replaceChildren(this.axes.element, this.area, this.tip.element);
    this.gestures = new Gestures(this, () => this.box, {
      onPan: (dx, dy, target) => this.move(pan(this.view.spans, dx, -dy, target)),
      onZoom: (x, y, factor, target) => this.move(zoom(this.view.spans, x, 1 - y, factor, target)),
      onBox: (box, done) => this.drawBox(box, done),
      onFit: () => this.fit(),
      onPoint: (at) => this.point(at),
      onClick: (at) => this.choosePoint(at),
    });
    new ResizeObserver(([entry]) => {
      this.size = { width: Math.round(entry!.contentRect.width), height: Math.round(entry!.contentRect.height) };
      this.layOut();
      this.askView();
    }).observe(this);
  }

  set dragMode(mode: 'pan' | 'box') {
    this.gestures!.mode = mode;
  }

  /** Another plot, or another look of this one, at these ranges. */
  begin(look: PlotLook, ranges: Ranges): void {
    const now = this.nextLook?.axes ?? this.axes.looks;
    this.view.ask(ranges, byPlace((place) => JSON.stringify(now[place]) === JSON.stringify(look.axes[place])));
    this.nextLook = look;
    this.setAttribute('aria-label', `${look.description} Arrows pan, plus and minus zoom, F fits.`);
    this.framesBefore = null;
    this.askView();
  }

  setPainting(painting: Painting, ground: Ground): void {
    this.painting = painting;
    this.ground = ground;
    this.axes.colours = this.axisColours(painting);
    this.frames?.ask();
  }

  fit(): void {
    this.view.release();
    this.askView();
    this.onView(this.view.ranges);
  }

  /** `info` is `null` when it speaks of a plot that is no longer asked for. */
  receive(patches: Patch[], info: SceneInfo | null): void {
    this.scene.apply(patches);
    if (!info) return;
    this.info = info;
    if (this.nextLook) {
      this.axes.looks = this.nextLook.axes;
      this.layers = this.nextLook.layers;
      this.nextLook = null;
      this.tip.show(null, null);
    }
    this.framesBefore ??= this.frames!.frames + (this.frames!.busy ? 1 : 0);
    const scales = byPlace((place) => this.axes.looks[place]?.scale ?? LINEAR);
    const ready = Object.values(info.extents).some(Boolean);
    const again = this.view.take(info.spans, info.fitted, scales, info.origins, ready);
    this.layOut();
    // The area may have changed its size with the labels: then this was composed for another width.
    if (again || info.width !== this.pixels().width || info.height !== this.pixels().height) this.askView();
    if (this.pointer) this.askHover();
    this.frames?.ask();
  }

  receiveHit(hit: Hit | null): void {
    if (this.picking) this.onPick(hit);
    this.picking = false;
    this.tip.show(this.pointer ? hit : null, (hit && this.painting?.colours.get(hit.line)) ?? null);
    this.placeTip();
  }

  get renderer(): { kind: string; notice: string; lastFrameMs: number; frames: number } {
    const { kind, notice, lastFrameMs, frames } = this.frames!;
    return { kind, notice, lastFrameMs, frames };
  }

  get touched(): boolean {
    return this.view.touched;
  }

  /** x and y of the first layer, and all axes in use, as decimal texts. */
  get currentView(): { x: readonly [string, string]; y: readonly [string, string]; axes: Record<string, readonly [string, string]>; touched: boolean } {
    const { xAxis, yAxis } = this.layers[0] ?? { xAxis: 'bottom', yAxis: 'left' };
    const used = [...X_PLACES, ...Y_PLACES].filter((place) => this.axes.looks[place]);
    const axes = Object.fromEntries(used.map((place) => [place, this.view.textOf(place)]));
    return { x: this.view.textOf(xAxis), y: this.view.textOf(yAxis), axes, touched: this.view.touched };
  }

  /** In CSS pixels relative to this element. */
  get plotBox(): Box {
    return this.box;
  }

  /** Whether a picture made of what the worker sent has been drawn. */
  get shown(): boolean {
    return this.framesBefore !== null && this.frames!.frames > this.framesBefore;
  }

  readPixels(): Promise<Pixels | null> {
    return this.frames!.readPixels();
  }

  private pixels(): { width: number; height: number } {
    return { width: Math.max(1, Math.round(this.box.width * this.ratio)), height: Math.max(1, Math.round(this.box.height * this.ratio)) };
  }

  private move(spans: Spans): void {
    if (!this.info || !Object.values(this.info.extents).some(Boolean) || !this.view.move(spans)) return;
    this.layOut();
    this.askView();
    this.onView(this.view.ranges);
    this.frames?.ask();
  }

  private drawBox(box: { x: readonly [number, number]; y: readonly [number, number] } | null, done: boolean): void {
    this.zoomBox.hidden = box === null || done;
    if (!box) return;
    if (done) {
      this.move(zoomTo(this.view.spans, box.x, [1 - box.y[1], 1 - box.y[0]]));
      return;
    }
    const { style } = this.zoomBox;
    style.left = `${box.x[0] * 100}%`;
    style.width = `${(box.x[1] - box.x[0]) * 100}%`;
    style.top = `${box.y[0] * 100}%`;
    style.height = `${(box.y[1] - box.y[0]) * 100}%`;
  }

  private askView(): void {
    if (this.size.width === 0) return;
    this.feed?.setView({ spans: this.view.wish, ...this.pixels() });
  }

  private layOut(): void {
    const { width, height } = this.size;
    if (width === 0) return;
    this.ratio = window.devicePixelRatio || 1;
    this.box = this.axes.box(width, height, this.view.spans, this.info?.origins ?? NO_ORIGINS);
    const { style } = this.area;
    style.left = `${this.box.left}px`;
    style.top = `${this.box.top}px`;
    style.width = `${this.box.width}px`;
    style.height = `${this.box.height}px`;
    this.axes.element.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.frames?.ask();
  }

  /** What stands around and over the canvas. */
  private drawAround(): void {
    const { info } = this;
    this.axes.draw(this.box, this.view.spans, info?.origins ?? NO_ORIGINS, !info || !Object.values(info.extents).some(Boolean));
    const labels = (info?.layers ?? []).flatMap((layer, i) => layer.labels.map(({ id, x, y, text }) => {
      const at = this.toCss(i, x, y);
      const coloured = !this.painting?.layers[i]?.rowRamp;
      return { px: at.x, py: at.y, text, colour: (coloured && this.painting?.colours.get(id)) || null };
    }));
    this.labels.draw(labels, this.box.width, this.box.height);
    this.placeTip();
  }

  /** A place in a layer's axis space, in CSS pixels of the plot area. */
  private toCss(layer: number, x: number, y: number): { x: number; y: number } {
    const { x0, x1, y0, y1 } = this.layerView(this.layers[layer]);
    return { x: ((x - x0) / (x1 - x0)) * this.box.width, y: ((y1 - y) / (y1 - y0)) * this.box.height };
  }

  private placeTip(): void {
    const hit = this.tip.shown;
    this.tip.place(this.box, hit && this.toCss(hit.layer, hit.x, hit.y));
  }

  private layerView(look: LayerLook | undefined): PixelView {
    const { width, height } = this.pixels();
    return viewOf(this.view.spans, look?.xAxis ?? 'bottom', look?.yAxis ?? 'left', width, height);
  }

  private picture(): Picture | null {
    if (this.size.width === 0 || !this.painting) return null;
    const order = this.info?.layers.flatMap(({ lines }) => lines.map(({ id }) => id)) ?? [];
    const layers = this.layers.map((look): DrawnLayer => ({ mark: look.mark, width: look.width, radius: look.radius, view: this.layerView(look) }));
    return {
      ...this.pixels(),
      items: drawItems(this.scene.parts.values(), order, layers, this.painting, this.ground),
      tables: this.painting.tables,
      ground: GROUND[this.ground],
      ratio: this.ratio,
    };
  }

  /** With two y axes (or x axes) a title has its lines' colour, where they have one. */
  private axisColours(painting: Painting): AxesLayer['colours'] {
    const looks = this.axes.looks;
    return byPlace((place) => {
      const paired = place === 'left' || place === 'right' ? looks.left && looks.right : looks.top && looks.bottom;
      if (!paired) return null;
      const colours = new Map<string, Rgb>();
      this.info?.layers.forEach(({ lines }, i) => {
        if (this.layers[i]?.xAxis !== place && this.layers[i]?.yAxis !== place) return;
        if (painting.layers[i]?.rowRamp) colours.set('', [0, 0, 0]);
        for (const { id } of lines) colours.set(String(painting.colours.get(id)), painting.colours.get(id)!);
      });
      return colours.size === 1 && !colours.has('') ? [...colours.values()][0]! : null;
    });
  }

  private point(at: { x: number; y: number } | null): void {
    this.pointer = at;
    if (at) this.askHover();
    else this.feed?.leave();
  }

  private choosePoint(at: { x: number; y: number }): void {
    this.focus();
    this.pointer = at;
    if (this.tip.shown) {
      this.onPick(this.tip.shown);
      return;
    }
    // A finger has not hovered before it taps.
    this.picking = true;
    this.askHover();
  }

  private askHover(): void {
    const at = this.pointer!;
    this.feed?.hover({
      px: at.x * this.ratio, py: at.y * this.ratio, radius: HOVER_RADIUS_PX * this.ratio, spans: this.view.spans, ...this.pixels(),
    });
  }
}
