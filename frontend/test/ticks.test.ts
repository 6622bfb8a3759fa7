import { describe, expect, test } from 'vitest';
import { forward, inverse, LINEAR, type Scale } from '../src/model/scale';
import { msPerUnit, timeAxis } from '../src/model/time-ticks';
import { CHAR_PX, ticksFor, type AxisSpan, type TickRoom } from '../src/model/ticks';

const wide: TickRoom = { lengthPx: 800, horizontal: true, maxChars: 12 };
const tall: TickRoom = { lengthPx: 500, horizontal: false, maxChars: 9 };
const axis = (v0: number, v1: number, more: Partial<AxisSpan> = {}): AxisSpan => ({ v0, v1, origin: 0n, integer: false, scale: LINEAR, unit: null, ...more });
const LOG: Scale = { name: 'log', constant: 1 };
const labels = (span: AxisSpan, room = wide): string[] => ticksFor(span, room).ticks.map(({ label }) => label);

test('thousands are separated', () => {
  expect(labels(axis(0, 20_000, { integer: true }))).toContain('5,000');
});

test('an int axis has no fractional ticks', () => {
  expect(labels(axis(0.2, 3.1, { integer: true }))).toEqual(['1', '2', '3']);
});

test('negative values have a real minus, zero has none', () => {
  expect(labels(axis(-1, 1), tall)).toContain('−0.5');
  expect(labels(axis(-1, 1), tall)).toContain('0.0');
});

test('small values share their power in the note', () => {
  const set = ticksFor(axis(0, 1e-6), tall);
  expect(set.note).toBe('× 10⁻⁶');
  expect(set.ticks.map(({ label }) => label)).toContain('0.4');
});

test('deep inside large offsets labels say what differs', () => {
  const set = ticksFor(axis(1_700_000_012_300, 1_700_000_012_700), wide);
  expect(set.note).toBe('1,700,000,012,000 +');
  expect(set.ticks[0]).toEqual({ at: 1_700_000_012_300, label: '+300' });
});

test('beyond 2^53 ticks and labels stay exact', () => {
  const origin = 2n ** 53n + 1n;
  const set = ticksFor(axis(-10, 90, { origin, integer: true }), wide);
  expect(set.note).toBe('9,007,199,254,741,000 +');
  for (const { at, label } of set.ticks) expect(9007199254741000n + BigInt(label.slice(1))).toBe(origin + BigInt(at));
});

test('log axes show decades, and linear ticks within one', () => {
  expect(labels(axis(-4, 2, { scale: LOG }), tall)).toEqual(['10⁻⁴', '0.001', '0.01', '0.1', '1', '10', '100']);
  expect(labels(axis(Math.log10(2), Math.log10(4), { scale: LOG }), tall)).toContain('3.0');
});

describe('ticks never touch', () => {
  const spans: AxisSpan[] = [];
  for (let e = -12; e <= 18; e += 1) {
    for (const at of [0, 1, 17, 123_456.789]) {
      const span = 3.7 * 10 ** e;
      const start = at * 10 ** e * 1e3;
      spans.push(axis(start, start + span), axis(-span * 0.6, span * 0.4), axis(start, start + span, { integer: true }));
    }
    spans.push(axis(e, e + 0.01, { scale: LOG }), axis(e, e + 0.9, { scale: LOG }), axis(e, e + 5, { scale: LOG }), axis(e, e + 40, { scale: LOG }));
  }
  test.each([['x', wide], ['narrow x', { ...wide, lengthPx: 180 }], ['y', tall], ['low y', { ...tall, lengthPx: 90 }]] as const)('%s', (_, room) => {
    for (const span of spans) {
      const { ticks } = ticksFor(span, room);
      const k = room.lengthPx / (span.v1 - span.v0);
      expect(ticks.length).toBeLessThanOrEqual(8);
      ticks.forEach(({ at, label }, i) => {
        expect(at).toBeGreaterThanOrEqual(span.v0 - (span.v1 - span.v0) * 1e-6);
        expect(at).toBeLessThanOrEqual(span.v1 + (span.v1 - span.v0) * 1e-6);
        const next = ticks[i + 1];
        if (!next) return;
        expect(label, JSON.stringify({ ...span, origin: 0 })).not.toBe(next.label);
        const needed = room.horizontal ? ((label.length + next.label.length) / 2) * CHAR_PX : 12;
        expect((next.at - at) * k).toBeGreaterThan(needed);
      });
    }
  });
});

describe('symlog', () => {
  const scale: Scale = { name: 'symlog', constant: 1 };

  test('zero and the powers on both sides of it', () => {
    const span = axis(forward(-1000, scale), forward(1000, scale), { scale });
    expect(labels(span, tall)).toEqual(['−1,000', '−100', '−10', '0', '10', '100', '1,000']);
  });

  test.each([-1e12, -3.5, 0, 1e-9, 7, 1e300])('%d comes back from axis space', (value) => {
    const back = inverse(forward(value, scale), scale);
    expect(Math.abs(back - value)).toBeLessThanOrEqual(Math.abs(value) * 1e-12);
  });
});

describe('time', () => {
  const scale: Scale = { name: 'time', constant: 1 };
  const at = (...parts: [number, number, number?, number?, number?]): number => new Date(...(parts as [number, number])).getTime();
  const times = (low: number, high: number, more: Partial<AxisSpan> = {}): ReturnType<typeof ticksFor> =>
    ticksFor(axis(low, high, { scale, unit: 'ms', ...more }), wide);

  test('a day shows hours, and says which day', () => {
    const { ticks, note } = times(at(2026, 2, 4, 6), at(2026, 2, 4, 18));
    expect(ticks.map(({ label }) => label)).toContain('12:00');
    expect(note).toContain('4 Mar 2026');
  });

  test('a year shows months, ten years years', () => {
    expect(times(at(2025, 0), at(2025, 11)).ticks.map(({ label }) => label)).toContain('Jul');
    expect(times(at(2016, 0), at(2026, 0)).ticks.map(({ label }) => label)).toContain('2020');
  });

  test('the unit of the field counts, and without one the size of the values', () => {
    expect([1.7e9, 1.7e12, 1.7e15, 1.7e18].map((value) => 1 / msPerUnit(null, value))).toEqual([1e-3, 1, 1e3, 1e6]);
    expect(msPerUnit('ns', 5)).toBe(1e-6);
    const seconds = ticksFor(axis(at(2026, 2, 4, 6) / 1000, at(2026, 2, 4, 18) / 1000, { scale, unit: 's' }), wide);
    expect(seconds.ticks.map(({ label }) => label)).toEqual(times(at(2026, 2, 4, 6), at(2026, 2, 4, 18)).ticks.map(({ label }) => label));
  });

  test('nanoseconds beyond 2^53 keep their milliseconds', () => {
    const origin = 1_700_000_000_000_000_000n;
    const { toMs, fromMs } = timeAxis(axis(0, 4e9, { scale, unit: 'ns', origin }));
    expect(toMs(1_500_000)).toBe(1_700_000_000_001.5);
    expect(fromMs(1_700_000_000_002)).toBe(2_000_000);
  });

  test('nearer than the clock goes, numbers stand', () => {
    expect(times(1_700_000_012_300, 1_700_000_012_302).note).toContain('+');
  });
});
