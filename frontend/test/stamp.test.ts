import { expect, test } from 'vitest';
import { opaque, Stamper } from '../src/gpu/stamp';
import type { Rgb } from '../src/model/colour';

const RED: Rgb = [200, 30, 10];

function pixels(width: number, height: number): { width: number; height: number; data: Uint8ClampedArray } {
  return { width, height, data: new Uint8ClampedArray(width * height * 4) };
}

test('a disc covers the area that it has, in its colour', () => {
  for (const [x, y] of [[10, 10], [10.3, 9.9], [10.99, 10.01]] as const) {
    const image = pixels(20, 20);
    new Stamper(image, 2.4).disc(x, y, RED, opaque(RED));
    let [area, cx, cy] = [0, 0, 0];
    for (let i = 0; i < 400; i += 1) {
      const alpha = image.data[4 * i + 3]! / 255;
      if (alpha > 0) expect([...image.data.subarray(4 * i, 4 * i + 3)]).toEqual([...RED]);
      area += alpha;
      cx += alpha * ((i % 20) + 0.5);
      cy += alpha * (Math.floor(i / 20) + 0.5);
    }
    expect(Math.abs(area - Math.PI * 2.4 ** 2)).toBeLessThan(0.6);
    expect(Math.abs(cx / area - x)).toBeLessThan(0.15);
    expect(Math.abs(cy / area - y)).toBeLessThan(0.15);
  }
});

test('a disc at an edge is cut there, and reaches no other row of pixels', () => {
  const whole = pixels(30, 30);
  new Stamper(whole, 3).disc(14.5, 14.5, RED, opaque(RED));
  for (const [x, y] of [[0.5, 14.5], [29.5, 14.5], [14.5, 0.5], [14.5, 29.5], [0.5, 0.5]] as const) {
    const cut = pixels(30, 30);
    new Stamper(cut, 3).disc(x, y, RED, opaque(RED));
    for (let py = 0; py < 30; py += 1) {
      for (let px = 0; px < 30; px += 1) {
        const [wx, wy] = [px - x + 14.5, py - y + 14.5];
        const expected = wx >= 0 && wx < 30 && wy >= 0 && wy < 30 ? whole.data[4 * (wy * 30 + wx) + 3] : 0;
        expect(cut.data[4 * (py * 30 + px) + 3]).toBe(expected);
      }
    }
  }
});

test('what lies beneath shows through the edge only', () => {
  const image = pixels(20, 20);
  new Uint32Array(image.data.buffer).fill(opaque([255, 255, 255]));
  new Stamper(image, 2.4).disc(10, 10, RED, opaque(RED));
  expect([...image.data.subarray(4 * (10 * 20 + 10), 4 * (10 * 20 + 10) + 4)]).toEqual([...RED, 255]);
  for (let i = 3; i < image.data.length; i += 4) expect(image.data[i]).toBe(255);
});
