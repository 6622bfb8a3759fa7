import { expect, test } from 'vitest';
import { categoryColour, GROUND, rampColour, rampFor, rampPosition, type Ground, type Rgb } from '../src/model/colour';
import { Painter, type PaintInput } from '../src/model/paint';

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

const input = (more: Partial<PaintInput>): PaintInput => ({
  lines: [], color: null, colourRange: null, categories: [], hide: [], ground: 'light', highlight: null, ...more,
});

test('runs keep their colours while others come and go', () => {
  const painter = new Painter();
  const line = (run: string) => ({ run, value: undefined });
  const before = painter.paint(input({ lines: [line('a'), line('b'), line('c')] })).colours.get('c');
  const after = painter.paint(input({ lines: [line('c'), line('d')] })).colours;
  expect(after.get('c')).toEqual(before);
  expect(after.get('d')).not.toEqual(before);
});

test('highlighting fades the others', () => {
  const lines = ['a', 'b'].map((run) => ({ run, value: undefined }));
  expect([...new Painter().paint(input({ lines, highlight: 'a' })).faded]).toEqual(['b']);
});

test('an attribute colours categories by value, and none has its own', () => {
  const color = { kind: 'attr' as const, handle: 'o', name: 'optimizer', type: 'text' as const, unit: null };
  const { colours, legend } = new Painter().paint(input({
    color, hide: ['is:adam'],
    lines: [{ run: 'a', value: 'adam' }, { run: 'b', value: 'sgd' }, { run: 'c', value: 'adam' }, { run: 'd', value: null }],
  }));
  expect(colours.get('a')).toEqual(colours.get('c'));
  expect(colours.get('a')).not.toEqual(colours.get('b'));
  expect(legend).toMatchObject({ categories: [{ label: 'adam', hidden: true }, { label: 'sgd', hidden: false }, { label: '(none)' }] });
});

test('a series field colours rows through the table', () => {
  const color = { kind: 'field' as const, handle: 'g', name: 'grad', type: 'float' as const, unit: null };
  const { rowRamp } = new Painter().paint(input({ color, colourRange: { min: 10, max: 20 } }));
  const { scale, offset } = rowRamp!(12);
  expect(0 * scale + offset).toBeCloseTo(51);
  expect(8 * scale + offset).toBeCloseTo(255);
});
