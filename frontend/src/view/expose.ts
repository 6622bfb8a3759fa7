/** `window.__streamvis`: what the page would say of itself, for tests and for the curious. */

import { showScalar } from '../model/numbers';
import type { LayerInfo } from '../wire/protocol';
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
      const layers = page.info?.layers ?? [];
      const sum = (of: (layer: LayerInfo) => number): number => layers.reduce((total, layer) => total + of(layer), 0);
      const lines = layers.flatMap((layer) => layer.lines);
      return {
        rowsBehind: sum((layer) => layer.rowsBehind),
        rowsDrawn: sum((layer) => layer.rowsDrawn),
        rowsOutside: sum((layer) => layer.rowsOutside),
        notDrawn: layers.map((layer) => layer.notDrawn).reduce<Record<string, number>>((all, one) => {
          for (const [reason, rows] of Object.entries(one)) all[reason] = (all[reason] ?? 0) + rows;
          return all;
        }, {}),
        detail: layers[0]?.detail ?? {},
        layers: layers.map(({ rowsBehind, rowsDrawn, notDrawn, detail }) => ({ rowsBehind, rowsDrawn, notDrawn, detail })),
        lines: lines.filter((line) => line.drawn > 0).length,
        renderer: plot.renderer.kind,
        notice: plot.renderer.notice,
        live: page.live,
        problem: page.problem,
        warning: page.warning,
        view: plot.currentView,
        plotBox: plot.plotBox,
        lastFrameMs: plot.renderer.lastFrameMs,
        frames: plot.renderer.frames,
        composeMs: page.info?.composeMs ?? 0,
        runs: lines.map(({ id, run, generation, rows, drawn, hidden, state, groups }) => ({
          id, run, generation, rows, drawn, hidden, state, groups: groups.map(showScalar),
          colour: page.painting?.colours.get(id) ?? null,
        })),
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
