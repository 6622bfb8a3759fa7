/** Owns the renderer and its canvas: draws on demand, one frame at a time, and comes back after a lost device. */

import type { Picture, Pixels, Renderer, RendererFactory } from '../model/renderer';

export class FrameLoop {
  canvas = document.createElement('canvas');
  notice = '';
  lastFrameMs = 0;
  frames = 0;
  private renderer: Renderer | null = null;
  private making = false;
  private losses = 0;
  private asked = false;
  private drawing = false;

  constructor(
    private readonly makeRenderer: RendererFactory,
    private readonly picture: () => Picture | null,
    private readonly onRenderer: () => void,
    private readonly onFrame: () => void,
  ) {
    void this.make();
  }

  get busy(): boolean {
    return this.drawing;
  }

  get kind(): string {
    return this.renderer?.kind ?? 'none';
  }

  /** Draws at the next display refresh; asking often is free. */
  ask(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => void this.draw());
  }

  async readPixels(): Promise<Pixels | null> {
    const picture = this.picture();
    return picture && this.renderer ? this.renderer.readPixels(picture) : null;
  }

  private async make(): Promise<void> {
    if (this.making) return;
    this.making = true;
    // A canvas keeps the kind of its first context for ever.
    const fresh = document.createElement('canvas');
    const { renderer, notice } = await this.makeRenderer(fresh, this.losses, () => {
      if (this.renderer === renderer) this.lost();
    });
    this.making = false;
    this.canvas.replaceWith(fresh);
    this.canvas = fresh;
    this.renderer = renderer;
    this.notice = notice;
    this.onRenderer();
    this.ask();
  }

  private lost(): void {
    this.losses += 1;
    this.renderer = null;
    this.drawing = false;
    void this.make();
  }

  private async draw(): Promise<void> {
    this.asked = false;
    const picture = this.picture();
    if (!picture || !this.renderer) return;
    if (this.drawing) {
      this.ask();
      return;
    }
    this.drawing = true;
    const began = performance.now();
    this.onFrame();
    const { renderer } = this;
    try {
      await renderer.draw(picture);
      this.lastFrameMs = performance.now() - began;
      this.frames += 1;
    } catch {
      // A device can go before its loss is told; whatever it was, another renderer is the answer.
      if (this.renderer === renderer) this.lost();
    } finally {
      this.drawing = false;
    }
  }
}
