/** What one plot is, and its text in the address bar. */

export type Source = { kind: 'field' | 'attr'; name: string };
export type ColourSource = Source | { kind: 'run' };
export type Mark = 'line' | 'points';
export type ScaleName = 'lin' | 'log';
export type RendererChoice = 'auto' | 'webgpu' | 'canvas';

export interface PlotDocument {
  series: string | null;
  x: Source | null;
  y: Source | null;
  color: ColourSource;
  mark: Mark;
  xScale: ScaleName;
  yScale: ScaleName;
  tags: string[];
  /** `null`: every run that passes the filter, also those still to come. */
  runs: string[] | null;
  /** Handles of runs, or `is:` and a category. */
  hide: string[];
  /** x0, x1, y0, y1 as decimal texts of the values themselves: exact also beyond 2^53. */
  view: [string, string, string, string] | null;
  renderer: RendererChoice;
}

export function emptyDocument(): PlotDocument {
  return {
    series: null, x: null, y: null, color: { kind: 'run' }, mark: 'line', xScale: 'lin', yScale: 'lin',
    tags: [], runs: null, hide: [], view: null, renderer: 'auto',
  };
}

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

export function sourceToText(source: ColourSource): string {
  if (source.kind === 'run') return 'run';
  if (source.kind === 'attr') return `attr:${source.name}`;
  return /^(attr:|field:|run$)/.test(source.name) ? `field:${source.name}` : source.name;
}

export function sourceFromText(text: string): ColourSource {
  if (text === 'run') return { kind: 'run' };
  if (text.startsWith('attr:')) return { kind: 'attr', name: text.slice(5) };
  return { kind: 'field', name: text.startsWith('field:') ? text.slice(6) : text };
}

function axisSource(text: string | null): Source | null {
  if (!text) return null;
  const source = sourceFromText(text);
  return source.kind === 'run' ? { kind: 'field', name: 'run' } : source;
}

function oneOf<T extends string>(text: string | null, allowed: readonly T[], otherwise: T): T {
  return allowed.find((item) => item === text) ?? otherwise;
}

function viewFromText(text: string | null): PlotDocument['view'] {
  const parts = text?.split(',') ?? [];
  if (parts.length !== 4 || !parts.every((part) => NUMBER.test(part))) return null;
  return parts as [string, string, string, string];
}

export function documentFromQuery(query: string): PlotDocument {
  const params = new URLSearchParams(query);
  const runs = params.get('runs');
  return {
    series: params.get('series') || null,
    x: axisSource(params.get('x')),
    y: axisSource(params.get('y')),
    color: sourceFromText(params.get('color') || 'run'),
    mark: oneOf(params.get('mark'), ['line', 'points'], 'line'),
    xScale: oneOf(params.get('xscale'), ['lin', 'log'], 'lin'),
    yScale: oneOf(params.get('yscale'), ['lin', 'log'], 'lin'),
    tags: params.getAll('tags').filter(Boolean),
    runs: runs ? runs.split(',').filter(Boolean) : null,
    hide: params.getAll('hide').filter(Boolean),
    view: viewFromText(params.get('view')),
    renderer: oneOf(params.get('renderer'), ['auto', 'webgpu', 'canvas'], 'auto'),
  };
}

export function documentToQuery(document: PlotDocument): string {
  const params = new URLSearchParams();
  if (document.series) params.set('series', document.series);
  if (document.x) params.set('x', sourceToText(document.x));
  if (document.y) params.set('y', sourceToText(document.y));
  if (document.color.kind !== 'run') params.set('color', sourceToText(document.color));
  if (document.mark !== 'line') params.set('mark', document.mark);
  if (document.xScale !== 'lin') params.set('xscale', document.xScale);
  if (document.yScale !== 'lin') params.set('yscale', document.yScale);
  for (const tag of document.tags) params.append('tags', tag);
  if (document.runs) params.set('runs', document.runs.join(','));
  for (const key of document.hide) params.append('hide', key);
  if (document.view) params.set('view', document.view.join(','));
  if (document.renderer !== 'auto') params.set('renderer', document.renderer);
  // Commas and colons are legal in a query and read better plain.
  const text = params.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return text ? `?${text}` : '';
}
