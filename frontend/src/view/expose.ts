/** `window.__streamvis`: what the page would say of itself, for tests and for the curious. */

import type { Page } from './page.svelte';
import type { PlotElement } from './plot-element';

function base64(bytes: Uint8ClampedArray): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 32_768) text += String.fromCharCode(...bytes.subarray(i, i + 32_768));
  return btoa(text);
}

export function exposeForTests(page: Page, plot: PlotElement): void {
  const exposed = {
    /** Rows are on the screen, or it is known that there are none. */
    get ready(): boolean {
      if (page.catalogueState === 'ready' && !page.bound) return true;
      return page.info !== null && plot.shown && page.live !== 'loading';
    },
    stats() {
      const { info } = page;
      return {
        rowsBehind: info?.rowsBehind ?? 0,
        rowsDrawn: info?.rowsDrawn ?? 0,
        rowsOutside: info?.rowsOutside ?? 0,
        notDrawn: info?.notDrawn ?? {},
        detail: info?.detail ?? {},
        lines: info?.lines.filter((line) => line.drawn > 0).length ?? 0,
        renderer: plot.renderer.kind,
        notice: plot.renderer.notice,
        live: page.live,
        problem: page.problem,
        view: plot.currentView,
        plotBox: plot.plotBox,
        lastFrameMs: plot.renderer.lastFrameMs,
        frames: plot.renderer.frames,
        composeMs: info?.composeMs ?? 0,
        runs: info?.lines.map(({ run, generation, rows, drawn, hidden, state }) => ({
          run, generation, rows, drawn, hidden, state,
          colour: page.painting?.colours.get(run) ?? null,
        })) ?? [],
      };
    },
    /** The plot area as it is drawn: RGBA, rows from the top, base64. */
    async readPixels() {
      const pixels = await plot.readPixels();
      return pixels && { width: pixels.width, height: pixels.height, data: base64(pixels.data) };
    },
  };
  Object.defineProperty(window, '__streamvis', { value: exposed });
}
