import { expect, test } from 'vitest';
import { categoryColour, GROUND, rampColour, rampFor, rampPosition, type Ground, type Rgb } from '../src/model/colour';
import type { BoundColumn } from '../src/model/bindings';
import { Painter, type PaintedLine, type PaintInput, type PaintLayer } from '../src/model/paint';
import type { DataType } from '../src/model/types';

const grounds: Ground[] = ['light', 'dark'];

function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

test.each(grounds)('no colour vanishes on the %s ground', (ground) => {
  for (let i = 0; i < 60; i += 1) expect(contrast(categoryColour(i, ground), GROUND[ground])).toBeGreaterThan(1.9);
  for (let t = 0; t <= 1; t += 0.05) expect(contrast(rampColour(t, ground), GROUND[ground])).toBeGreaterThan(1.7);
});

test.each(grounds)('the first forty colours are all different on the %s ground', (ground) => {
  const colours = Array.from({ length: 40 }, (_, i) => categoryColour(i, ground).join());
  expect(new Set(colours).size).toBe(40);
});

test('positive values over decades are spread by their logarithm', () => {
  const ramp = rampFor([1e-4, 1e-2, 1])!;
  expect(ramp.log).toBe(true);
  expect(rampPosition(1e-2, ramp)).toBeCloseTo(0.5);
  expect(rampFor([0, 1, 100])!.log).toBe(false);
  expect(rampPosition(5, rampFor([5])!)).toBe(0.5);
});

const layer = (more: Partial<PaintLayer>): PaintLayer => ({
  lines: [], color: null, categorical: false, colourRange: null, sizeRange: null, categories: [], ...more,
});
const input = (layers: PaintLayer[], more: Partial<PaintInput> = {}): PaintInput => ({ layers, hide: [], ground: 'light', highlight: null, ...more });
const line = (run: string, more: Partial<PaintedLine> = {}): PaintedLine => ({ id: run, run, value: undefined, groups: [], ...more });
const column = (name: string, type: DataType, kind: 'field' | 'attr'): BoundColumn => ({ kind, handle: name, name, type, unit: null });

test('runs keep their colours while others come and go', () => {
  const painter = new Painter();
  const before = painter.paint(input([layer({ lines: [line('a'), line('b'), line('c')] })])).colours.get('c');
  const after = painter.paint(input([layer({ lines: [line('c'), line('d')] })])).colours;
  expect(after.get('c')).toEqual(before);
  expect(after.get('d')).not.toEqual(before);
});

test('highlighting fades the others, by run, by group and by layer', () => {
  const lines = [line('a', { groups: ['p'] }), line('b', { groups: ['q'] })];
  const faded = (highlight: string): string[] => [...new Painter().paint(input([layer({ lines }), layer({ lines: [line('c')] })], { highlight })).faded];
  expect(faded('a')).toEqual(['b', 'c']);
  expect(faded('is:q')).toEqual(['a', 'c']);
  expect(faded('layer:1')).toEqual(['a', 'b']);
});

test('an attribute colours categories by value, and none has its own', () => {
  const { colours, layers: [painted] } = new Painter().paint(input([layer({
    color: column('optimizer', 'text', 'attr'), categorical: true,
    lines: [line('a', { value: 'adam' }), line('b', { value: 'sgd' }), line('c', { value: 'adam' }), line('d', { value: null })],
  })], { hide: ['is:adam'] }));
  expect(colours.get('a')).toEqual(colours.get('c'));
  expect(colours.get('a')).not.toEqual(colours.get('b'));
  expect(painted!.legend).toMatchObject({ categories: [{ label: 'adam', hidden: true }, { label: 'sgd', hidden: false }, { label: '(none)' }] });
});

test('an int attribute takes a scale, or by choice categories', () => {
  const lines = [line('a', { value: 1 }), line('b', { value: 2 })];
  const kinds = [false, true].map((categorical) => new Painter().paint(input([layer({ color: column('seed', 'int', 'attr'), categorical, lines })])).layers[0]!.legend.kind);
  expect(kinds).toEqual(['ramp', 'categories']);
});

test('the main group gives the hue, the sub-group its shade', () => {
  const lines = ['adam', 'sgd'].flatMap((main) => [0, 1, 2].map((sub) => line(`${main}${sub}`, { groups: [main, sub] })));
  const { colours, layers: [painted] } = new Painter().paint(input([layer({ lines })]));
  const hue = (id: string): number => {
    const [r, g, b] = colours.get(id)!;
    return Math.atan2(Math.sqrt(3) * (g - b), 2 * r - g - b);
  };
  for (const sub of [1, 2]) {
    expect(colours.get(`adam${sub}`)).not.toEqual(colours.get('adam0'));
    expect(Math.abs(hue(`adam${sub}`) - hue('adam0'))).toBeLessThan(0.25);
  }
  expect(Math.abs(hue('adam0') - hue('sgd0'))).toBeGreaterThan(0.5);
  expect(painted!.legend).toMatchObject({ categories: [{ label: 'adam', within: [{ label: '0' }, { label: '1' }, { label: '2' }] }, { label: 'sgd' }] });
});

test('layers of one run have hues, layers of many runs shades', () => {
  const one = new Painter().paint(input([layer({ lines: [line('a', { id: '0/a' })] }), layer({ lines: [line('a', { id: '1/a' })] })]));
  expect(one.layers[0]!.legend.kind).toBe('layer');
  expect(one.colours.get('0/a')).not.toEqual(one.colours.get('1/a'));
  const lines = (i: number): PaintedLine[] => [line('a', { id: `${i}/a` }), line('b', { id: `${i}/b` })];
  const many = new Painter().paint(input([layer({ lines: lines(0) }), layer({ lines: lines(1) })]));
  expect(many.layers[0]!.legend.kind).toBe('runs');
  expect(new Set([...many.colours.values()].map(String)).size).toBe(4);
});

test('a series field colours rows through the table, each layer its own', () => {
  const { layers, tables } = new Painter().paint(input([
    layer({ color: column('grad', 'float', 'field'), colourRange: { min: 10, max: 20 } }),
    layer({ color: column('kind', 'text', 'field'), categorical: true, categories: ['p', 'q'] }),
  ]));
  const { scale, offset } = layers[0]!.rowRamp!(12);
  expect(0 * scale + offset).toBeCloseTo(51);
  expect(8 * scale + offset).toBeCloseTo(255);
  expect([...tables.subarray(1024 + 4, 1024 + 7)]).toEqual([...categoryColour(1, 'light')]);
  expect([...tables.subarray(0, 3)]).toEqual([...rampColour(0, 'light')]);
});

test('a thousand categories are counted where they are not listed', () => {
  const lines = Array.from({ length: 1000 }, (_, i) => line(`r${i}`, { groups: [i] }));
  const { layers: [painted] } = new Painter().paint(input([layer({ lines })]));
  expect(painted!.legend).toMatchObject({ more: 900 });
});
