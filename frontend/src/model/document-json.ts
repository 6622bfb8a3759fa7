/** The plot document as JSON, as docs/formats/plot.md has it: what the server checks, and programs exchange. */

import {
  emptyDocument, emptyLayer, runFilter, splitFilter, type AxisSpec, type LayerSpec, type PlotDocument, type Source,
} from './document';
import { byPlace, PLACES } from './places';
import type { RunFilter } from './types';

type Json = Record<string, unknown>;
type SourceJson = { field: string } | { attribute: string };

const SINGLE = ['x', 'y', 'color', 'order', 'size', 'label'] as const;
const SEVERAL = ['group', 'tooltip'] as const;

function sourceTo(source: Source): SourceJson {
  return source.kind === 'attr' ? { attribute: source.name } : { field: source.name };
}

function sourceFrom(json: SourceJson): Source {
  return 'attribute' in json ? { kind: 'attr', name: json.attribute } : { kind: 'field', name: json.field };
}

function layerTo(layer: LayerSpec): Json {
  const json: Json = { series: layer.series };
  const filter = runFilter(layer);
  if (Object.keys(filter).length > 0) json['filter'] = filter;
  if (layer.rows.length > 0) json['rows'] = layer.rows;
  for (const key of SINGLE) if (layer[key]) json[key] = sourceTo(layer[key]);
  for (const key of SEVERAL) if (layer[key].length > 0) json[key] = layer[key].map(sourceTo);
  if (layer.colorAs) json['color_as'] = layer.colorAs;
  if (layer.mark !== 'line') json['mark'] = layer.mark;
  if (layer.xAxis !== 'bottom') json['x_axis'] = layer.xAxis;
  if (layer.yAxis !== 'left') json['y_axis'] = layer.yAxis;
  if (layer.smoothing) json['smoothing'] = layer.smoothing;
  const style = { ...(layer.width !== null && { width: layer.width }), ...(layer.radius !== null && { radius: layer.radius }) };
  if (Object.keys(style).length > 0) json['style'] = style;
  return json;
}

function axisTo(axis: AxisSpec): Json {
  return {
    ...(axis.scale !== 'linear' && { scale: axis.scale }),
    ...(axis.constant !== 1 && { constant: axis.constant }),
    ...(axis.range && { range: axis.range }),
  };
}

export function documentToJson(document: PlotDocument): Json {
  const axes = Object.fromEntries(PLACES.map((place) => [place, axisTo(document.axes[place])]).filter(([, axis]) => Object.keys(axis!).length > 0));
  return {
    version: 1,
    layers: document.layers.map(layerTo),
    ...(Object.keys(axes).length > 0 && { axes }),
    ...(document.hide.length > 0 && { hide: document.hide }),
  };
}

function layerFrom(json: Json): LayerSpec {
  const layer = emptyLayer();
  const style = (json['style'] ?? {}) as { width?: number; radius?: number };
  for (const key of SINGLE) if (json[key]) layer[key] = sourceFrom(json[key] as SourceJson);
  for (const key of SEVERAL) layer[key] = ((json[key] ?? []) as SourceJson[]).map(sourceFrom);
  return {
    ...layer,
    series: json['series'] as string,
    ...splitFilter((json['filter'] ?? {}) as RunFilter),
    rows: (json['rows'] ?? []) as LayerSpec['rows'],
    colorAs: (json['color_as'] ?? null) as LayerSpec['colorAs'],
    mark: (json['mark'] ?? 'line') as LayerSpec['mark'],
    xAxis: (json['x_axis'] ?? 'bottom') as LayerSpec['xAxis'],
    yAxis: (json['y_axis'] ?? 'left') as LayerSpec['yAxis'],
    smoothing: (json['smoothing'] ?? null) as LayerSpec['smoothing'],
    width: style.width ?? null,
    radius: style.radius ?? null,
  };
}

/** Of a document that the server has checked. */
export function documentFromJson(json: Json): PlotDocument {
  const axes = (json['axes'] ?? {}) as Record<string, Partial<AxisSpec> | undefined>;
  return {
    ...emptyDocument(),
    layers: (json['layers'] as Json[]).map(layerFrom),
    axes: byPlace((place) => ({ scale: 'linear', constant: 1, range: null, ...axes[place] })),
    hide: (json['hide'] ?? []) as string[],
  };
}
