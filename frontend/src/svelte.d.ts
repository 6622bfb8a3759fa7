import type { PlotElement } from './view/plot-element';

declare global {
  interface HTMLElementTagNameMap {
    'streamvis-plot': PlotElement;
  }
}
