import { beforeEach, expect, test } from 'vitest';
import { BREAK, Scene, placement, type Patch } from '../src/model/scene';
import type { PixelView } from '../src/model/viewport';
import { Composer, extentsOf } from '../src/wire/composer';
import { FrameReader } from '../src/wire/frames';
import { Lines } from '../src/wire/lines';
import { byPlace } from '../src/model/places';
import { LINEAR, type Scale } from '../src/model/scale';
import { NeedsOrigin, type AxisSpace } from '../src/wire/axis-values';
import type { LayerInfo, LayerRequest } from '../src/wire/protocol';
import { Store } from '../src/wire/store';
import { dataFrame, rowsFrame, type Values } from './encode-frames';

const column = (handle: string, type: 'int' | 'float' | 'text', kind: 'field' | 'attr' = 'field') => ({ kind, handle, name: handle, type, unit: null });

const request: LayerRequest = {
  series: 's', filter: {}, handles: null, x: column('x', 'int'), y: column('y', 'float'), color: null, categorical: false,
  group: [], order: null, size: null, label: null, tooltip: [], rows: [], mark: 'line', xAxis: 'bottom', yAxis: 'left', smoothing: null,
};

function spaces(left: Scale = LINEAR): Record<'bottom' | 'top' | 'left' | 'right', AxisSpace> {
  return byPlace((place) => ({ scale: place === 'left' ? left : LINEAR, origin: 0n }));
}

function linesOf(more: Partial<LayerRequest> = {}, hide: string[] = [], axes = spaces()): Lines {
  return new Lines(store, { ...request, ...more }, axes, hide, 0);
}

let store: Store;
let composer: Composer;
let scene: Scene;

function feed(...frames: Uint8Array[]): void {
  const reader = new FrameReader();
  for (const bytes of frames) for (const one of reader.push(bytes)) store.apply(one);
}

function rows(from: number, count: number, more: Record<string, Values> = {}): Record<string, Values> {
  return {
    x: BigInt64Array.from({ length: count }, (_, i) => BigInt(from + i)),
    y: Float64Array.from({ length: count }, (_, i) => Math.sin(from + i)),
    ...more,
  };
}

const view = (x1: number, width = 1000): PixelView => ({ x0: 0, x1, y0: -1, y1: 1, width, height: 500 });

function compose(lines: Lines, at: PixelView): { patches: Patch[]; composition: LayerInfo } {
  for (let again = true; again; ) {
    again = false;
    try {
      lines.update();
    } catch (error) {
      if (!(error instanceof NeedsOrigin)) throw error;
      lines.byRun.clear();
      again = true;
    }
  }
  const spans = { ...byPlace(() => [0, 1] as const), bottom: [at.x0, at.x1] as const, left: [at.y0, at.y1] as const };
  const { patches, layers } = composer.compose([lines], { spans, width: at.width, height: at.height });
  scene.apply(patches);
  return { patches, composition: layers[0]! };
}

/** x of each record in the scene, as it is drawn. */
function drawnX(): number[] {
  return [...scene.parts.values()].flatMap((part) => Array.from({ length: part.count }, (_, i) => {
    const { sx, ox } = placement(part.frame, view(1000));
    return part.data[i * (part.kind === 'rows' ? 3 : 8)]! * sx + ox;
  }));
}

beforeEach(() => {
  store = new Store();
  composer = new Composer();
  scene = new Scene();
});

test('new rows are appended to the part that is there', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 10 }]), rowsFrame('a', 1, 0, rows(0, 10)));
  const lines = linesOf();
  compose(lines, view(1000));
  const part = [...scene.parts.values()][0]!;
  feed(rowsFrame('a', 1, 10, rows(10, 5)));
  const { patches } = compose(lines, view(1000));
  expect(patches.map(({ op }) => op)).toEqual(['append']);
  expect([...scene.parts.values()]).toEqual([part]);
  expect(drawnX()).toEqual(Array.from({ length: 15 }, (_, i) => i));
});

test('nothing new, nothing sent', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 10 }]), rowsFrame('a', 1, 0, rows(0, 10)));
  const lines = linesOf();
  compose(lines, view(1000));
  expect(compose(lines, view(900)).patches).toEqual([]);
});

test('a long line comes as an envelope, and as rows when one looks closely', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 200_000 }]), rowsFrame('a', 1, 0, rows(0, 200_000)));
  const lines = linesOf();
  const whole = compose(lines, view(200_000));
  expect([...scene.parts.keys()]).toEqual(['0/a@view']);
  expect(whole.composition).toMatchObject({ rowsBehind: 200_000, rowsDrawn: 200_000, detail: { envelopes: 1 } });
  const close = compose(lines, { ...view(0), x0: 65_500, x1: 65_600 });
  expect([...scene.parts.keys()].sort()).toEqual(['0/a#0', '0/a#1']);
  expect(close.composition).toMatchObject({ rowsDrawn: 101, rowsOutside: 199_899 });
  expect(scene.parts.get('0/a#1')!.count).toBe(65_537);
});

test('deleted runs leave the scene, replaced ones start anew', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }, { run: 'bb', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 3)), rowsFrame('bb', 1, 0, rows(0, 3)));
  const lines = linesOf();
  compose(lines, view(1000));
  feed(dataFrame([{ run: 'bb', generation: 2, rows: 1 }], [{ run: 'a', reason: 'deleted' }, { run: 'bb', reason: 'replaced' }]), rowsFrame('bb', 2, 0, rows(7, 1)));
  compose(lines, view(1000));
  expect([...scene.parts.keys()]).toEqual(['0/bb#0']);
  expect(drawnX()).toEqual([7]);
});

test('a run without the attribute on an axis is counted, one with it stands at its value', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 2, attributes: { lr: 0.5 } }, { run: 'bb', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 2)), rowsFrame('bb', 1, 0, rows(0, 3)));
  const lines = linesOf({ y: column('lr', 'float', 'attr') });
  const { composition } = compose(lines, view(1000));
  expect(composition.notDrawn.noAttribute).toBe(3);
  expect(composition.rowsBehind).toBe(5);
  expect(extentsOf([lines]).left).toEqual({ min: 0.5, max: 0.5 });
  feed(dataFrame([{ run: 'a', generation: 1, rows: 2, attributes: { lr: 0.7 } }, { run: 'bb', generation: 1, rows: 3, attributes: { lr: 1 } }]));
  compose(lines, view(1000));
  expect(extentsOf([lines]).left).toEqual({ min: 0.7, max: 1 });
});

test('on a log axis what is not above 0 is counted', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, { ...rows(0, 4), y: Float64Array.of(1, 0, 100, NaN) }));
  const lines = linesOf({}, [], spaces({ name: 'log', constant: 1 }));
  const { composition } = compose(lines, view(1000));
  expect(composition.notDrawn).toMatchObject({ log: 1, nonFinite: 1 });
  expect(extentsOf([lines]).left).toEqual({ min: 0, max: 2 });
});

test('ints beyond 2^53 get an origin and stay apart', () => {
  const big = BigInt64Array.from({ length: 4 }, (_, i) => 2n ** 60n + BigInt(i));
  feed(dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, { ...rows(0, 4), x: big }));
  const axes = spaces();
  compose(linesOf({}, [], axes), view(1000));
  expect(axes.bottom.origin).toBe(2n ** 60n);
  expect(drawnX()).toEqual([0, 1, 2, 3]);
});

test('hidden runs and hidden categories are not drawn, and counted', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }, { run: 'bb', generation: 1, rows: 3 }]),
    rowsFrame('a', 1, 0, rows(0, 3, { t: ['p', 'q', 'p'] })), rowsFrame('bb', 1, 0, rows(0, 3, { t: ['q', 'q', 'q'] })));
  const base = { color: column('t', 'text'), categorical: true };
  const categories = compose(linesOf(base, ['is:p']), view(1000));
  expect(categories.composition.notDrawn.hidden).toBe(2);
  const runs = compose(linesOf(base, ['bb']), view(1000));
  expect(runs.composition).toMatchObject({ rowsBehind: 6, rowsDrawn: 3, notDrawn: { hidden: 3 } });
});

test('groups of a run are lines of their own, with their values and row numbers', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 6, attributes: { opt: 'adam' } }]),
    rowsFrame('a', 1, 0, rows(0, 4, { t: ['p', 'q', 'p', 'q'] })), rowsFrame('a', 1, 4, rows(4, 2, { t: ['q', 'r'] })));
  const lines = linesOf({ group: [column('opt', 'text', 'attr'), column('t', 'text')] });
  const { composition } = compose(lines, view(1000));
  expect(composition.lines.map(({ groups, rows: count }) => [groups, count])).toEqual([[['adam', 'p'], 2], [['adam', 'q'], 3], [['adam', 'r'], 1]]);
  const q = [...lines.all()][1]!.group.line;
  expect(Array.from({ length: q.n }, (_, i) => q.rowAt(i))).toEqual([1, 3, 4]);
  expect(composition.rowsBehind).toBe(6);
});

test('a hidden group is not drawn, and counted', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 3, { t: ['p', 'q', 'p'] })));
  const { composition } = compose(linesOf({ group: [column('t', 'text')] }, ['is:p']), view(1000));
  expect(composition).toMatchObject({ rowsDrawn: 1, notDrawn: { hidden: 2 } });
});

test('rows are chosen by exact ranges and values', () => {
  const big = BigInt64Array.from([2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n, 5n]);
  feed(dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, rows(0, 4, { n: big, t: ['p', 'p', 'q', 'p'] })));
  const kept = (conditions: LayerRequest['rows']): number => compose(linesOf({ rows: conditions }), view(1000)).composition.rowsDrawn;
  const n = column('n', 'int');
  expect(kept([{ field: 'n', column: n, min_open: '9007199254740992' }])).toBe(2);
  expect(kept([{ field: 'n', column: n, max: 5 }])).toBe(1);
  expect(kept([{ field: 't', column: column('t', 'text'), values: ['p', 'never'] }, { field: 'n', column: n, min: 6 }])).toBe(2);
  expect(kept([{ field: 't', column: column('t', 'text'), values: [] }])).toBe(0);
  expect(kept([{ field: 'n', column: n, min: 5.5, max: 'Infinity' }])).toBe(3);
});

test('a step goes along first, then up', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, { ...rows(0, 3), y: Float64Array.of(0, 1, 0.5) }));
  const lines = linesOf({ mark: 'step' });
  const corners = (): [number, number][] => [...scene.parts.values()].flatMap((part) => Array.from({ length: part.count }, (_, i): [number, number] => [
    part.data[3 * i]! + part.frame.bx, part.data[3 * i + 1]! + part.frame.by]));
  compose(lines, view(1000));
  expect(corners()).toEqual([[0, BREAK], [0, 0], [1, 0], [1, 1], [2, 1], [2, 0.5]]);
  feed(rowsFrame('a', 1, 3, { x: BigInt64Array.of(3n), y: Float64Array.of(0.75) }));
  expect(compose(lines, view(1000)).patches.map(({ op }) => op)).toEqual(['append']);
  expect(corners().slice(6)).toEqual([[3, 0.5], [3, 0.75]]);
});

test('layers on one axis share its origin: a float beside big ints stands where it belongs', () => {
  const big = BigInt64Array.from({ length: 3 }, (_, i) => 2n ** 60n + BigInt(i * 512));
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, { ...rows(0, 3, { f: Float64Array.of(2 ** 60, 2 ** 60 + 512, 2 ** 60 + 1024) }), x: big }));
  const axes = spaces();
  const [ints, floats] = [linesOf({}, [], axes), linesOf({ x: column('f', 'float') }, [], axes)];
  compose(ints, view(1000));
  floats.update();
  const x = (lines: Lines): number[] => [...lines.all()].flatMap(({ group: { line } }) => [...line.x.subarray(0, line.n)]);
  expect(x(floats)).toEqual(x(ints));
});

test('a smoothed line is drawn over its raw one, and grows with it', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 50 }]), rowsFrame('a', 1, 0, rows(0, 50)));
  const lines = linesOf({ smoothing: { kind: 'ema', distance: 5 } });
  const { composition } = compose(lines, view(1000));
  expect([...scene.parts.values()].map(({ key, faint }) => [key, faint])).toEqual([['0/a~#0', true], ['0/a#0', false]]);
  expect(composition.rowsDrawn).toBe(50);
  feed(rowsFrame('a', 1, 50, rows(50, 10)));
  compose(lines, view(1000));
  const { smooth, line } = [...lines.all()][0]!.group;
  let [sum, weight] = [0, 0];
  for (let i = 0; i < 60; i += 1) {
    const decay = i === 0 ? 0 : Math.exp(-1 / 5);
    [sum, weight] = [sum * decay + line.y[i]!, weight * decay + 1];
    expect(smooth!.line.y[i]).toBeCloseTo(sum / weight, 12);
  }
});

test('columns that are not here yet are waited for', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 3)));
  const lines = linesOf({ y: column('later', 'float') });
  expect(compose(lines, view(1000)).composition.rowsDrawn).toBe(0);
  const beside = store.beside();
  for (const frame of [dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, { later: Float64Array.of(0.1, 0.2, 0.3, 0.4) })]) {
    for (const one of new FrameReader().push(frame)) beside.apply(one);
  }
  expect(store.lacking(['x', 'later'])).toEqual({ runs: ['a'], fields: ['later'] });
  expect(store.graft('a', beside)).toBe(true);
  expect(store.lacking(['x', 'later'])).toEqual({ runs: [], fields: [] });
  expect(compose(lines, view(1000)).composition.rowsDrawn).toBe(3);
});
