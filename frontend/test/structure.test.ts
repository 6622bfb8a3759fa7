import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PARAMS_FLOATS, PARAMS_STRIDE, PARAMS_WGSL, paramOffset, writeParams } from '../src/gpu/uniforms';
import { byPlace, fitSpans, NOWHERE, pan, zoom, zoomTo } from '../src/model/places';

const source = new URL('../src/', import.meta.url);
const FORBIDDEN: Record<string, string[]> = { model: ['wire', 'gpu', 'view'], wire: ['gpu', 'view'], gpu: ['view', 'wire'], view: ['gpu'] };

// The linter sees .ts only.
test.each(Object.entries(FORBIDDEN))('%s imports nothing from %j', (folder, forbidden) => {
  for (const file of readdirSync(new URL(`${folder}/`, source), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|svelte)$/.test(file)) continue;
    const text = readFileSync(new URL(`${folder}/${file}`, source), 'utf8');
    for (const [, from] of text.matchAll(/from '(\.[^']+)'/g)) {
      expect(forbidden.some((other) => from!.includes(`/${other}/`)), `${folder}/${file} imports ${from}`).toBe(false);
    }
  }
});

test('each shader opens with what it does and its records', () => {
  const shaders = new URL('gpu/shaders/', source);
  for (const file of readdirSync(shaders)) {
    expect(readFileSync(new URL(file, shaders), 'utf8')).toMatch(/^\/\/ [\s\S]*bytes/);
  }
});

test('the uniform struct is laid out as WGSL does, 16-byte vectors at multiples of 16', () => {
  expect(PARAMS_WGSL).toContain('scale: vec2f');
  expect(PARAMS_FLOATS * 4).toBe(112);
  expect(paramOffset('colour') % 16).toBe(0);
  expect(paramOffset('ground') % 16).toBe(0);
  const bytes = new Float32Array((PARAMS_STRIDE / 4) * 2);
  writeParams(bytes, 1, {
    scale: [1, 2], offset: [3, 4], size: [5, 6], radius: 7, fade: 8, colour: [9, 10, 11, 12], ground: [13, 14, 15, 16],
    ramp_scale: 17, ramp_offset: 18, coloured: 19, count: 20,
    table_from: 21, stride: 22, size_scale: 23, size_offset: 24, radius_most: 25,
  });
  expect([...bytes.subarray(64, 89)]).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
});

test('a zoom keeps the point under the pointer, and stops before float64 ends', () => {
  const spans = { ...NOWHERE, bottom: [0, 10] as const, left: [0, 1] as const };
  const near = zoom(spans, 0.25, 0.5, 0.5, 'x');
  expect(near).toMatchObject({ bottom: [1.25, 6.25], left: [0, 1] });
  let deep = { ...NOWHERE, bottom: [1.7e12, 1.7e12 + 1] as readonly [number, number] };
  for (let i = 0; i < 200; i += 1) deep = zoom(deep, 0.5, 0.5, 0.5, 'all') as typeof deep;
  expect(deep.bottom[1]).toBeGreaterThan(deep.bottom[0]);
});

test('what is dragged moves: everything, both axes of a direction, or one alone', () => {
  const spans = { bottom: [0, 10], top: [0, 100], left: [0, 1], right: [0, 2] } as const;
  expect(pan(spans, 0.1, 0.5, 'all')).toEqual({ bottom: [1, 11], top: [10, 110], left: [0.5, 1.5], right: [1, 3] });
  expect(pan(spans, 0.1, 0.5, 'x')).toEqual({ ...spans, bottom: [1, 11], top: [10, 110] });
  expect(pan(spans, 0.1, 0.5, 'right')).toEqual({ ...spans, right: [1, 3] });
  expect(zoomTo(spans, [0.2, 0.4], [0, 0.5])).toEqual({ bottom: [2, 4], top: [20, 40], left: [0, 0.5], right: [0, 1] });
});

test('one row or a constant still has a view around it', () => {
  const { bottom, left } = fitSpans({ ...byPlace(() => null), bottom: { min: 5, max: 5 }, left: { min: 0, max: 0 } });
  expect(bottom[0] < 5 && bottom[1] > 5 && left[0] < 0 && left[1] > 0).toBe(true);
});
