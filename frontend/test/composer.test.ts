import { beforeEach, expect, test } from 'vitest';
import { Scene, placement } from '../src/model/scene';
import type { PixelView } from '../src/model/viewport';
import { Composer, extentsOf } from '../src/wire/composer';
import { FrameReader } from '../src/wire/frames';
import { Lines } from '../src/wire/lines';
import type { PlotRequest } from '../src/wire/protocol';
import { Store } from '../src/wire/store';
import { dataFrame, rowsFrame, type Values } from './encode-frames';

const column = (handle: string, type: 'int' | 'float' | 'text', kind: 'field' | 'attr' = 'field') => ({ kind, handle, name: handle, type, unit: null });

const request: PlotRequest = {
  id: 1, series: 's', fields: ['x', 'y'], attributes: [], filter: {}, handles: null,
  x: column('x', 'int'), y: column('y', 'float'), color: null, xLog: false, yLog: false, mark: 'line', hide: [],
};

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

function compose(lines: Lines, at: PixelView): ReturnType<Composer['compose']> {
  lines.update();
  const result = composer.compose(lines, at);
  scene.apply(result.patches);
  return result;
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
  const lines = new Lines(store, request);
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
  const lines = new Lines(store, request);
  compose(lines, view(1000));
  expect(compose(lines, view(900)).patches).toEqual([]);
});

test('a long line comes as an envelope, and as rows when one looks closely', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 200_000 }]), rowsFrame('a', 1, 0, rows(0, 200_000)));
  const lines = new Lines(store, request);
  const whole = compose(lines, view(200_000));
  expect([...scene.parts.keys()]).toEqual(['a@view']);
  expect(whole.composition).toMatchObject({ rowsBehind: 200_000, rowsDrawn: 200_000, detail: { envelopes: 1 } });
  const close = compose(lines, { ...view(0), x0: 65_500, x1: 65_600 });
  expect([...scene.parts.keys()].sort()).toEqual(['a#0', 'a#1']);
  expect(close.composition).toMatchObject({ rowsDrawn: 101, rowsOutside: 199_899 });
  expect(scene.parts.get('a#1')!.count).toBe(65_537);
});

test('deleted runs leave the scene, replaced ones start anew', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }, { run: 'bb', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 3)), rowsFrame('bb', 1, 0, rows(0, 3)));
  const lines = new Lines(store, request);
  compose(lines, view(1000));
  feed(dataFrame([{ run: 'bb', generation: 2, rows: 1 }], [{ run: 'a', reason: 'deleted' }, { run: 'bb', reason: 'replaced' }]), rowsFrame('bb', 2, 0, rows(7, 1)));
  compose(lines, view(1000));
  expect([...scene.parts.keys()]).toEqual(['bb#0']);
  expect(drawnX()).toEqual([7]);
});

test('a run without the attribute on an axis is counted, one with it stands at its value', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 2, attributes: { lr: 0.5 } }, { run: 'bb', generation: 1, rows: 3 }]), rowsFrame('a', 1, 0, rows(0, 2)), rowsFrame('bb', 1, 0, rows(0, 3)));
  const lines = new Lines(store, { ...request, y: column('lr', 'float', 'attr'), attributes: ['lr'] });
  const { composition } = compose(lines, view(1000));
  expect(composition.notDrawn.noAttribute).toBe(3);
  expect(composition.rowsBehind).toBe(5);
  expect(extentsOf(lines).y).toEqual({ min: 0.5, max: 0.5 });
  feed(dataFrame([{ run: 'a', generation: 1, rows: 2, attributes: { lr: 0.7 } }, { run: 'bb', generation: 1, rows: 3, attributes: { lr: 1 } }]));
  compose(lines, view(1000));
  expect(extentsOf(lines).y).toEqual({ min: 0.7, max: 1 });
});

test('on a log axis what is not above 0 is counted', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, { ...rows(0, 4), y: Float64Array.of(1, 0, 100, NaN) }));
  const lines = new Lines(store, { ...request, yLog: true });
  const { composition } = compose(lines, view(1000));
  expect(composition.notDrawn).toMatchObject({ log: 1, nonFinite: 1 });
  expect(extentsOf(lines).y).toEqual({ min: 0, max: 2 });
});

test('ints beyond 2^53 get an origin and stay apart', () => {
  const big = BigInt64Array.from({ length: 4 }, (_, i) => 2n ** 60n + BigInt(i));
  feed(dataFrame([{ run: 'a', generation: 1, rows: 4 }]), rowsFrame('a', 1, 0, { ...rows(0, 4), x: big }));
  const lines = new Lines(store, request);
  compose(lines, view(1000));
  expect(lines.spaces.x.origin).toBe(2n ** 60n);
  expect(drawnX()).toEqual([0, 1, 2, 3]);
});

test('hidden runs and hidden categories are not drawn, and counted', () => {
  feed(dataFrame([{ run: 'a', generation: 1, rows: 3 }, { run: 'bb', generation: 1, rows: 3 }]),
    rowsFrame('a', 1, 0, rows(0, 3, { t: ['p', 'q', 'p'] })), rowsFrame('bb', 1, 0, rows(0, 3, { t: ['q', 'q', 'q'] })));
  const base = { ...request, fields: ['x', 'y', 't'], color: column('t', 'text') };
  const categories = compose(new Lines(store, { ...base, hide: ['is:p'] }), view(1000));
  expect(categories.composition.notDrawn.hidden).toBe(2);
  const runs = compose(new Lines(store, { ...base, hide: ['bb'] }), view(1000));
  expect(runs.composition).toMatchObject({ rowsBehind: 6, rowsDrawn: 3, notDrawn: { hidden: 3 } });
});
