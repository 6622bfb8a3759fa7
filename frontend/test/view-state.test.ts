import { expect, test } from 'vitest';
import { byPlace, pan, type Spans } from '../src/model/places';
import { LINEAR, type Scale } from '../src/model/scale';
import { rangeText, spanFromText, ViewState, type Ranges } from '../src/view/view-state';

const LOG: Scale = { name: 'log', constant: 1 };
const NONE: Ranges = byPlace(() => null);
const SAME = byPlace(() => true);
const linear = byPlace(() => LINEAR);
const zero = byPlace(() => 0n);
const spans = (bottom: readonly [number, number], left: readonly [number, number]): Spans => ({ ...byPlace(() => [0, 1] as const), bottom, left });

function fitted(view: ViewState, bottom: readonly [number, number], left: readonly [number, number], scales = linear, origins = zero): boolean {
  return view.take(spans(bottom, left), byPlace((place) => view.wish[place] === null), scales, origins, true);
}

test('untouched axes follow the data, a touched one stays', () => {
  const view = new ViewState();
  fitted(view, [0, 10], [0, 1]);
  view.move(pan(view.spans, 0, 0.5, 'left'));
  expect(view.ranges).toEqual({ ...NONE, left: ['0.5', '1.5'] });
  expect(view.wish).toMatchObject({ bottom: null, left: [0.5, 1.5] });
  fitted(view, [0, 20], [0, 2]);
  expect(view.spans).toMatchObject({ bottom: [0, 20], left: [0.5, 1.5] });
  view.release();
  expect(view.touched).toBe(false);
});

test('a view of an address is taken once the origins are known', () => {
  const view = new ViewState();
  view.ask({ ...NONE, bottom: ['9007199254740993', '9007199254740995'], left: ['nonsense', '1'] }, SAME);
  expect(view.touched).toBe(true);
  expect(view.wish.bottom).toBeNull();
  expect(fitted(view, [0, 10], [0, 1], linear, { ...zero, bottom: 2n ** 53n })).toBe(true);
  expect(view.spans).toMatchObject({ bottom: [1, 3], left: [0, 1] });
  expect(view.ranges.bottom).toEqual(['9007199254740993', '9007199254740995']);
});

test('another scale keeps the values in view, where they have a place on it', () => {
  const view = new ViewState();
  fitted(view, [0, 10], [0, 1]);
  view.ask({ ...NONE, left: ['1', '1000'], bottom: ['-5', '5'] }, byPlace(() => false));
  fitted(view, [0, 10], [0, 1], byPlace(() => LOG));
  expect(view.spans.left).toEqual([0, 3]);
  expect(view.wish.bottom).toBeNull();
});

test('what is held stays as it is when only another axis gets something else', () => {
  const view = new ViewState();
  fitted(view, [0, 10], [0, 1]);
  view.move(pan(view.spans, 0.1, 0, 'bottom'));
  const before = view.wish.bottom;
  view.ask(view.ranges, { ...SAME, left: false });
  expect(view.wish.bottom).toEqual(before);
});

test('an origin that is found later does not move a held view', () => {
  const view = new ViewState();
  fitted(view, [0, 10], [0, 1]);
  view.move(pan(view.spans, 0.1, 0, 'bottom'));
  expect(view.take(view.spans, byPlace(() => false), linear, { ...zero, bottom: 5n }, true)).toBe(true);
  expect(view.spans.bottom).toEqual([-4, 6]);
  expect(view.ranges.bottom?.map(Number)).toEqual([1, 11]);
});

test.each([[LINEAR, [-3, 7.5]], [LOG, [-300, -299]], [LOG, [0, 12]], [{ name: 'symlog', constant: 0.1 } as Scale, [-4, 2]]] as const)('a span comes back from its text: %j %j', (scale, span) => {
  const frame = { scale, origin: 0n };
  const back = spanFromText(rangeText(span, frame), frame)!;
  const wide = span[1] - span[0];
  expect(Math.abs(back[0] - span[0]) / wide).toBeLessThan(1e-5);
  expect(Math.abs(back[1] - span[1]) / wide).toBeLessThan(1e-5);
  expect(fitted(new ViewState(), [0, 1], [0, 1])).toBe(false);
});
