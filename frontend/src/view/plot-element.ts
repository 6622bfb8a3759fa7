/** <streamvis-plot>: canvas, axes, pointer and tooltip of one plot. No framework; who makes it hands in feed and renderer. */

import { GROUND, type Ground } from '../model/colour';
import { edgeText, relativeFromText } from '../model/numbers';
import { drawItems, type Painting } from '../model/paint';
import type { Mark, PlotDocument } from '../model/document';
import type { Picture, Pixels, RendererFactory } from '../model/renderer';
import { Scene, type Patch } from '../model/scene';
import { panView, sameView, zoomView, type PixelView, type View } from '../model/viewport';
import type { Hit, HoverRequest, SceneInfo, ViewRequest } from '../wire/protocol';
import { AxesLayer, type AxisLook, type Box } from './axes';
import { FrameLoop } from './frame-loop';
import { Gestures } from './gestures';
import { Tooltip } from './tooltip';

export interface ViewFeed {
  setView(request: Omit<ViewRequest, 'id'>): void;
  hover(request: Omit<HoverRequest, 'id'>): void;
  leave(): void;
}

export interface PlotLook {
  x: AxisLook;
  y: AxisLook;
  mark: Mark;
}

type ViewText = PlotDocument['view'];

const HOVER_RADIUS_PX = 36;

export class PlotElement extends HTMLElement {
  /** The user moved or zoomed, or asked to fit (`null`). */
  onView: (view: ViewText) => void = () => undefined;
  onRenderer: () => void = () => undefined;
  private feed: ViewFeed | null = null;
  private frames: FrameLoop | null = null;
  private readonly scene = new Scene();
  private readonly axes = new AxesLayer();
  private readonly tip = new Tooltip();
  private readonly area = document.createElement('div');
  private info: SceneInfo | null = null;
  private painting: Painting | null = null;
  private ground: Ground = 'light';
  private mark: Mark = 'line';
  private view: View = { x0: 0, x1: 1, y0: 0, y1: 1 };
  /** A view that the user chose stays until the user lets it go. */
  private touched = false;
  /** A view from the address, until the origins are known. */
  private waiting: ViewText = null;
  private pointer: { x: number; y: number } | null = null;
  private size = { width: 0, height: 0 };
  private box: Box = { left: 60, top: 14, width: 100, height: 100 };
  private ratio = 1;
  /** Frames that had been drawn when rows first came; more of them show rows. */
  private framesBefore: number | null = null;

  connect(feed: ViewFeed, makeRenderer: RendererFactory): void {
    this.feed = feed;
    this.area.className = 'sv-area';
    this.tabIndex = 0;
    this.setAttribute('role', 'application');
    this.setAttribute('aria-roledescription', 'plot');
    this.frames = new FrameLoop(makeRenderer, () => this.picture(), () => this.onRenderer(), () => this.drawAxes());
    this.area.append(this.frames.canvas, this.tip.marker);
    this.replaceChildren(this.axes.element, this.area, this.tip.element);
    new Gestures(this, () => this.box, {
      onPan: (dx, dy) => this.move(panView(this.view, dx * this.spanX(), -dy * this.spanY())),
      onZoom: (ax, ay, factor, axes) =>
        this.move(zoomView(this.view, this.view.x0 + ax * this.spanX(), this.view.y1 - ay * this.spanY(), factor, axes)),
      onFit: () => this.fit(),
      onPoint: (at) => this.point(at),
    });
    new ResizeObserver(([entry]) => {
      this.size = { width: Math.round(entry!.contentRect.width), height: Math.round(entry!.contentRect.height) };
      this.layOut();
      this.askView();
    }).observe(this);
  }

  setLook(look: PlotLook): void {
    this.axes.x = look.x;
    this.axes.y = look.y;
    this.mark = look.mark;
    this.setAttribute('aria-label', `${look.y.title} over ${look.x.title}. Arrows pan, plus and minus zoom, F fits.`);
    this.frames?.ask();
  }

  setPainting(painting: Painting, ground: Ground): void {
    this.painting = painting;
    this.ground = ground;
    this.frames?.ask();
  }

  /** `null` fits to the data and follows it. */
  setView(text: ViewText): void {
    this.waiting = text;
    this.touched = false;
    if (this.info && text) this.takeWaiting(this.info);
    this.askView();
  }

  /** Another binding: what was chosen on other axes means nothing on these. */
  forget(): void {
    this.scene.clear();
    this.info = null;
    this.framesBefore = null;
    this.setView(null);
    this.tip.show(null, null);
  }

  fit(): void {
    this.setView(null);
    this.onView(null);
  }

  receive(patches: Patch[], info: SceneInfo | null): void {
    this.scene.apply(patches);
    if (!info) return;
    const before = this.info;
    this.info = info;
    this.framesBefore ??= this.frames!.frames + (this.frames!.busy ? 1 : 0);
    if (before && this.touched) this.shiftOrigins(before.origins, info.origins);
    if (this.waiting && info.extents.x) this.takeWaiting(info);
    else if (!this.touched && info.fitted) {
      const { x0, x1, y0, y1 } = info.view;
      this.view = { x0, x1, y0, y1 };
      this.layOut();
      // The area may have changed its size with the labels: then this was composed for another width.
      if (info.view.width !== this.pixelView().width) this.askView();
    }
    if (this.pointer) this.askHover();
    this.frames?.ask();
  }

  receiveHit(hit: Hit | null): void {
    this.tip.show(this.pointer ? hit : null, (hit && this.painting?.colours.get(hit.run)) ?? null);
    this.tip.place(this.box, this.view);
  }

  get renderer(): { kind: string; notice: string; lastFrameMs: number; frames: number } {
    const { kind, notice, lastFrameMs, frames } = this.frames!;
    return { kind, notice, lastFrameMs, frames };
  }

  get currentView(): { x: [string, string]; y: [string, string]; touched: boolean } {
    const [x0, x1, y0, y1] = this.viewText();
    return { x: [x0, x1], y: [y0, y1], touched: this.touched };
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

  private spanX(): number {
    return this.view.x1 - this.view.x0;
  }

  private spanY(): number {
    return this.view.y1 - this.view.y0;
  }

  private pixelView(): PixelView {
    return { ...this.view, width: Math.max(1, Math.round(this.box.width * this.ratio)), height: Math.max(1, Math.round(this.box.height * this.ratio)) };
  }

  private move(view: View): void {
    if (!this.info?.extents.x || sameView(view, this.view)) return;
    this.view = view;
    this.touched = true;
    this.waiting = null;
    this.layOut();
    this.askView();
    this.onView(this.viewText());
    this.frames?.ask();
  }

  private askView(): void {
    if (this.size.width === 0) return;
    const view = this.pixelView();
    this.feed?.setView({ view: this.touched ? view : null, width: view.width, height: view.height });
  }

  private viewText(): [string, string, string, string] {
    const { x, y } = this.info?.origins ?? { x: 0n, y: 0n };
    const pair = (low: number, high: number, log: boolean, origin: bigint): [string, string] => {
      const [a, b] = log ? [10 ** low, 10 ** high] : [low, high];
      // On a log axis the lower edge needs its own digits.
      return [edgeText(origin, a, log ? Math.min(a, b - a) : b - a), edgeText(origin, b, b - a)];
    };
    return [
      ...pair(this.view.x0, this.view.x1, this.axes.x.log, x),
      ...pair(this.view.y0, this.view.y1, this.axes.y.log, y),
    ];
  }

  private takeWaiting(info: SceneInfo): void {
    const value = (text: string, log: boolean, origin: bigint): number => {
      const relative = relativeFromText(text, origin);
      return log ? Math.log10(relative) : relative;
    };
    const [x0, x1, y0, y1] = this.waiting!;
    const view = {
      x0: value(x0, this.axes.x.log, info.origins.x), x1: value(x1, this.axes.x.log, info.origins.x),
      y0: value(y0, this.axes.y.log, info.origins.y), y1: value(y1, this.axes.y.log, info.origins.y),
    };
    this.waiting = null;
    // An address that says nothing sensible is passed over.
    if (!(view.x1 > view.x0 && view.y1 > view.y0) || !Object.values(view).every(Number.isFinite)) return;
    this.view = view;
    this.touched = true;
    this.layOut();
    this.askView();
  }

  private shiftOrigins(from: SceneInfo['origins'], to: SceneInfo['origins']): void {
    if (from.x === to.x && from.y === to.y) return;
    this.view = panView(this.view, Number(from.x - to.x), Number(from.y - to.y));
    this.askView();
  }

  private layOut(): void {
    const { width, height } = this.size;
    if (width === 0) return;
    this.ratio = window.devicePixelRatio || 1;
    this.box = this.axes.box(width, height, this.view, this.info?.origins ?? { y: 0n });
    const { style } = this.area;
    style.left = `${this.box.left}px`;
    style.top = `${this.box.top}px`;
    style.width = `${this.box.width}px`;
    style.height = `${this.box.height}px`;
    this.axes.element.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.frames?.ask();
  }

  private drawAxes(): void {
    this.axes.draw(this.box, this.view, this.info?.origins ?? { x: 0n, y: 0n }, !this.info?.extents.x);
    this.tip.place(this.box, this.view);
  }

  private picture(): Picture | null {
    if (this.size.width === 0 || !this.painting) return null;
    const order = this.info?.lines.map((line) => line.run) ?? [];
    return {
      view: this.pixelView(),
      items: drawItems(this.scene.parts.values(), order, this.painting, this.ground),
      table: this.painting.table,
      ground: GROUND[this.ground],
      mark: this.mark,
      ratio: this.ratio,
    };
  }

  private point(at: { x: number; y: number } | null): void {
    this.pointer = at;
    if (at) this.askHover();
    else this.feed?.leave();
  }

  private askHover(): void {
    const at = this.pointer!;
    this.feed?.hover({ px: at.x * this.ratio, py: at.y * this.ratio, radius: HOVER_RADIUS_PX * this.ratio, view: this.pixelView() });
  }
}
