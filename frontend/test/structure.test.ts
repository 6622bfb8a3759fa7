import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PARAMS_FLOATS, PARAMS_STRIDE, PARAMS_WGSL, paramOffset, writeParams } from '../src/gpu/uniforms';
import { zoomView, fitView } from '../src/model/viewport';

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
  expect(PARAMS_FLOATS * 4).toBe(80);
  expect(paramOffset('colour') % 16).toBe(0);
  expect(paramOffset('ground') % 16).toBe(0);
  const bytes = new Float32Array((PARAMS_STRIDE / 4) * 2);
  writeParams(bytes, 1, {
    scale: [1, 2], offset: [3, 4], size: [5, 6], radius: 7, fade: 8, colour: [9, 10, 11, 12], ground: [13, 14, 15, 16],
    ramp_scale: 17, ramp_offset: 18, coloured: 19, count: 20,
  });
  expect([...bytes.subarray(64, 84)]).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

test('a zoom keeps the point under the pointer, and stops before float64 ends', () => {
  const view = { x0: 0, x1: 10, y0: 0, y1: 1 };
  const near = zoomView(view, 2.5, 0.5, 0.5, 'x');
  expect(near).toEqual({ x0: 1.25, x1: 6.25, y0: 0, y1: 1 });
  let deep = { x0: 1.7e12, x1: 1.7e12 + 1, y0: 0, y1: 1 };
  for (let i = 0; i < 200; i += 1) deep = zoomView(deep, 1.7e12 + 0.5, 0.5, 0.5, 'both');
  expect(deep.x1).toBeGreaterThan(deep.x0);
});

test('one row or a constant still has a view around it', () => {
  const view = fitView({ x: { min: 5, max: 5 }, y: { min: 0, max: 0 } });
  expect(view.x0 < 5 && view.x1 > 5 && view.y0 < 0 && view.y1 > 0).toBe(true);
});
