/** A plot's text in the address bar: readable parameters, those of the n-th layer with `n.` before them. */

import {
  emptyDocument, emptyLayer, MARKS, MOST_LAYERS, RADII, splitFilter, WIDTHS,
  type AxisSpec, type LayerSpec, type PlotDocument, type RangeText, type RowCondition, type Smoothing, type Source,
} from './document';
import type { Place } from './places';
import type { ScaleName } from './scale';
import type { RunFilter } from './types';

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const COLOUR_AS = ['continuous', 'categorical'] as const;
const SCALE_TEXT: Record<ScaleName, string> = { linear: 'lin', log: 'log', symlog: 'symlog', time: 'time' };
const SCALE_PARAMETERS: [Place, string][] = [['bottom', 'xscale'], ['left', 'yscale'], ['top', 'x2scale'], ['right', 'y2scale']];
const VIEW_PARAMETERS: [string, Place, Place][] = [['view', 'bottom', 'left'], ['view2', 'top', 'right']];

export function sourceToText(source: Source): string {
  if (source.kind === 'attr') return `attr:${source.name}`;
  return /^(attr:|field:|run$)/.test(source.name) ? `field:${source.name}` : source.name;
}

export function sourceFromText(text: string): Source {
  if (text.startsWith('attr:')) return { kind: 'attr', name: text.slice(5) };
  return { kind: 'field', name: text.startsWith('field:') ? text.slice(6) : text };
}

function optionalSource(text: string | null): Source | null {
  return text ? sourceFromText(text) : null;
}

function oneOf<T extends string>(text: string | null, allowed: readonly T[], otherwise: T): T {
  return allowed.find((item) => item === text) ?? otherwise;
}

function object(text: string | null): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function rowsFromText(texts: string[]): RowCondition[] {
  return texts.map(object).filter((item): item is Record<string, unknown> => typeof item?.['field'] === 'string') as unknown as RowCondition[];
}

function smoothingFromText(text: string | null): Smoothing | null {
  const [kind, amount] = (text ?? '').split(':');
  const value = Number(amount);
  if (kind === 'ema' && value > 0 && Number.isFinite(value)) return { kind, distance: value };
  return kind === 'mean' && Number.isInteger(value) && value >= 2 ? { kind, rows: value } : null;
}

function length(text: string | null, [least, most]: readonly [number, number]): number | null {
  const value = Number(text);
  return text && value >= least && value <= most ? value : null;
}

function layerFrom(params: URLSearchParams): LayerSpec {
  const runs = params.get('runs');
  const split = splitFilter((object(params.get('filter')) ?? {}) as RunFilter);
  const color = params.get('color');
  const all = (key: string): Source[] => params.getAll(key).filter(Boolean).map(sourceFromText);
  return {
    series: params.get('series') || null,
    x: optionalSource(params.get('x')),
    y: optionalSource(params.get('y')),
    color: color === 'run' ? null : optionalSource(color),
    colorAs: COLOUR_AS.find((each) => each === params.get('coloras')) ?? null,
    group: all('group'),
    order: optionalSource(params.get('order')),
    size: optionalSource(params.get('size')),
    label: optionalSource(params.get('label')),
    tooltip: all('tooltip'),
    mark: oneOf(params.get('mark'), MARKS, 'line'),
    xAxis: oneOf(params.get('xaxis'), ['bottom', 'top'], 'bottom'),
    yAxis: oneOf(params.get('yaxis'), ['left', 'right'], 'left'),
    tags: [...split.tags, ...params.getAll('tags').filter(Boolean)],
    runs: runs === null ? split.runs : runs.split(',').filter(Boolean),
    filter: split.filter,
    rows: rowsFromText(params.getAll('rows')),
    smoothing: smoothingFromText(params.get('smooth')),
    width: length(params.get('width'), WIDTHS),
    radius: length(params.get('radius'), RADII),
  };
}

function layerTo(layer: LayerSpec, set: (key: string, value: string) => void): void {
  const source = (key: string, bound: Source | null): void => { if (bound) set(key, sourceToText(bound)); };
  if (layer.series) set('series', layer.series);
  for (const key of ['x', 'y', 'color', 'order', 'size', 'label'] as const) source(key, layer[key]);
  if (layer.colorAs) set('coloras', layer.colorAs);
  for (const key of ['group', 'tooltip'] as const) for (const bound of layer[key]) source(key, bound);
  if (layer.mark !== 'line') set('mark', layer.mark);
  if (layer.xAxis !== 'bottom') set('xaxis', layer.xAxis);
  if (layer.yAxis !== 'left') set('yaxis', layer.yAxis);
  for (const tag of layer.tags) set('tags', tag);
  if (layer.runs) set('runs', layer.runs.join(','));
  if (layer.filter) set('filter', JSON.stringify(layer.filter));
  for (const condition of layer.rows) set('rows', JSON.stringify(condition));
  if (layer.width !== null) set('width', String(layer.width));
  if (layer.radius !== null) set('radius', String(layer.radius));
  const { smoothing } = layer;
  if (smoothing) set('smooth', smoothing.kind === 'ema' ? `ema:${smoothing.distance}` : `mean:${smoothing.rows}`);
}

function rangeFrom(low: string | undefined, high: string | undefined): RangeText | null {
  return low && high && NUMBER.test(low) && NUMBER.test(high) ? [low, high] : null;
}

function axesFrom(params: URLSearchParams): PlotDocument['axes'] {
  const { axes } = emptyDocument();
  for (const [place, key] of SCALE_PARAMETERS) {
    const [name, constant] = (params.get(key) ?? '').split(':');
    const scale = (Object.keys(SCALE_TEXT) as ScaleName[]).find((each) => SCALE_TEXT[each] === name) ?? 'linear';
    const value = Number(constant);
    axes[place] = { scale, constant: scale === 'symlog' && value > 0 && Number.isFinite(value) ? value : 1, range: null };
  }
  for (const [key, x, y] of VIEW_PARAMETERS) {
    const parts = params.get(key)?.split(',') ?? [];
    if (parts.length !== 4) continue;
    axes[x] = { ...axes[x], range: rangeFrom(parts[0], parts[1]) };
    axes[y] = { ...axes[y], range: rangeFrom(parts[2], parts[3]) };
  }
  return axes;
}

function scaleText({ scale, constant }: AxisSpec): string {
  return scale === 'symlog' && constant !== 1 ? `symlog:${constant}` : SCALE_TEXT[scale];
}

export function documentFromQuery(query: string): PlotDocument {
  const whole = new URLSearchParams(query);
  const layers = new Map<number, URLSearchParams>([[1, whole]]);
  for (const [key, value] of whole) {
    const [, number, name] = /^(\d{1,2})\.(.+)$/.exec(key) ?? [];
    if (!number || !name || Number(number) < 2 || Number(number) > MOST_LAYERS) continue;
    if (!layers.has(Number(number))) layers.set(Number(number), new URLSearchParams());
    layers.get(Number(number))!.append(name, value);
  }
  const ordered = [...layers].sort(([a], [b]) => a - b).map(([, params]) => layerFrom(params));
  return {
    layers: ordered.length > 0 ? ordered : [emptyLayer()],
    axes: axesFrom(whole),
    hide: whole.getAll('hide').filter(Boolean),
    renderer: oneOf(whole.get('renderer'), ['auto', 'webgpu', 'canvas'], 'auto'),
  };
}

export function documentToQuery(document: PlotDocument): string {
  const params = new URLSearchParams();
  document.layers.forEach((layer, i) => layerTo(layer, (key, value) => params.append(i === 0 ? key : `${i + 1}.${key}`, value)));
  for (const [place, key] of SCALE_PARAMETERS) {
    if (document.axes[place].scale !== 'linear') params.set(key, scaleText(document.axes[place]));
  }
  for (const key of document.hide) params.append('hide', key);
  for (const [key, x, y] of VIEW_PARAMETERS) {
    const ends = [...(document.axes[x].range ?? ['', '']), ...(document.axes[y].range ?? ['', ''])];
    if (ends.some(Boolean)) params.set(key, ends.join());
  }
  if (document.renderer !== 'auto') params.set('renderer', document.renderer);
  // Commas, colons and the like are legal in a query and read better plain.
  const text = params.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return text ? `?${text}` : '';
}
