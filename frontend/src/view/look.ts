/** How a plot's axes look, from what stands on them. */

import { sharedTitle, type BoundColumn } from '../model/bindings';
import type { AxisSpec, LayerSpec } from '../model/document';
import { byPlace, isX, type ByPlace, type Place } from '../model/places';
import type { LayerRequest } from '../wire/protocol';
import type { AxisLook } from './axes';
import type { PlotLook } from './plot-element';

function columnsOn(place: Place, layers: LayerRequest[]): BoundColumn[] {
  const on = layers.filter((layer) => (isX(place) ? layer.xAxis : layer.yAxis) === place);
  return on.map((layer) => (isX(place) ? layer.x : layer.y));
}

function axisLook(place: Place, layers: LayerRequest[], { scale, constant }: AxisSpec): AxisLook | null {
  const columns = columnsOn(place, layers);
  if (columns.length === 0) return null;
  const units = new Set(columns.map(({ unit }) => unit));
  return {
    // On a calendar the unit of the numbers says nothing.
    title: sharedTitle(scale === 'time' ? columns.map((column) => ({ ...column, unit: null })) : columns),
    integer: columns.every(({ type }) => type === 'int'),
    scale: { name: scale, constant },
    unit: units.size === 1 ? [...units][0]! : null,
  };
}

/** “loss and accuracy over step”. */
export function titleOf(layers: { x: BoundColumn; y: BoundColumn }[]): string {
  const names = (columns: BoundColumn[]): string => {
    const all = [...new Set(columns.map(({ name }) => name))];
    return all.length < 2 ? all.join() : `${all.slice(0, -1).join(', ')} and ${all.at(-1)!}`;
  };
  return `${names(layers.map(({ y }) => y))} over ${names(layers.map(({ x }) => x))}`;
}

export function lookOf(layers: LayerRequest[], styles: Pick<LayerSpec, 'width' | 'radius'>[], axes: ByPlace<AxisSpec>): PlotLook & { title: string } {
  const title = titleOf(layers);
  return {
    axes: byPlace((place) => axisLook(place, layers, axes[place])),
    layers: layers.map(({ mark, xAxis, yAxis }, i) => ({ mark, xAxis, yAxis, width: styles[i]!.width, radius: styles[i]!.radius })),
    title,
    description: `${title}.`,
  };
}
