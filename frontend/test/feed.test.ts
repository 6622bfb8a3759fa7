import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Feed, RECONCILE_MS, type FeedRequest, type LiveState } from '../src/wire/feed';
import { ApiError } from '../src/wire/http';
import { Store } from '../src/wire/store';
import { dataFrame, endFrame, rowsFrame } from './encode-frames';

interface Body { filter: { handles?: string[] }; fields: string[]; cursor?: Record<string, [number, number]> }
interface Run { generation: number; rows: number }

/** A server of one series, whose value in a row is the row's number. */
class FakeServer {
  runs = new Map<string, Run>();
  asked: Body[] = [];
  fail: Error | null = null;
  cutShort = false;

  async *fetchFrames(body: unknown): AsyncGenerator<Uint8Array> {
    const { filter, fields, cursor = {} } = body as Body;
    this.asked.push(body as Body);
    await Promise.resolve();
    if (this.fail) throw this.fail;
    const runs = [...this.runs].filter(([run]) => !filter.handles || filter.handles.includes(run));
    const gone = Object.entries(cursor).flatMap(([run, [generation]]) => {
      const known = this.runs.get(run);
      if (!known) return [{ run, reason: 'deleted' }];
      return known.generation === generation ? [] : [{ run, reason: 'replaced' }];
    });
    yield dataFrame(runs.map(([run, { generation, rows }]) => ({ run, generation, rows })), gone);
    for (const [run, { generation, rows }] of runs) {
      const from = cursor[run]?.[0] === generation ? cursor[run][1] : 0;
      if (from < rows) {
        const values = Float64Array.from({ length: rows - from }, (_, i) => from + i);
        yield rowsFrame(run, generation, from, Object.fromEntries(fields.map((field) => [field, values])));
      }
    }
    if (!this.cutShort) yield endFrame();
  }
}

const request: FeedRequest = { series: 's', fields: ['y'], attributes: [], filter: {}, handles: null };
const hint = (run: string, rows: number, more: object = {}) => ({ run, generation: 1, rows: { s: rows }, meta: 1, gone: false, ...more });

let server: FakeServer;
let store: Store;
let feed: Feed;
let states: LiveState[];
let runChanges: number;

async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

beforeEach(async () => {
  vi.useFakeTimers();
  server = new FakeServer();
  store = new Store();
  states = [];
  runChanges = 0;
  feed = new Feed(store, {
    fetchFrames: (body) => server.fetchFrames(body),
    onRows: () => undefined,
    onState: (state) => states.push(state),
    onRuns: () => (runChanges += 1),
    random: () => 1,
  });
  server.runs.set('a', { generation: 1, rows: 3 });
  feed.configure(request, true);
  feed.socketChanged('open');
  await settle();
});

afterEach(() => {
  feed.stop();
  vi.useRealTimers();
});

test('all rows come first, then the page is live', () => {
  expect(store.cursor()).toEqual({ a: [1, 3] });
  expect(states).toEqual(['loading', 'live']);
});

test('a hint fetches what is new of its run, from the cursor', async () => {
  server.runs.set('a', { generation: 1, rows: 5 });
  server.runs.set('b', { generation: 1, rows: 1 });
  feed.hints([hint('a', 5)]);
  await settle();
  expect(server.asked.at(-1)).toMatchObject({ filter: { handles: ['a'] }, cursor: { a: [1, 3] } });
  expect(store.cursor()).toEqual({ a: [1, 5] });
});

test('hints that come during a fetch are answered by one more', async () => {
  const before = server.asked.length;
  for (let rows = 4; rows < 20; rows += 1) {
    server.runs.set('a', { generation: 1, rows });
    feed.hints([hint('a', rows, { meta: 1 })]);
  }
  await settle();
  expect(store.cursor()).toEqual({ a: [1, 19] });
  expect(server.asked.length - before).toBeLessThanOrEqual(2);
});

test('a hint of what is here already asks nothing', async () => {
  feed.hints([hint('a', 3)]);
  await settle();
  const before = server.asked.length;
  feed.hints([hint('a', 3)]);
  await settle();
  expect(server.asked).toHaveLength(before);
});

test('a new run appears by itself', async () => {
  server.runs.set('b', { generation: 1, rows: 2 });
  feed.hints([hint('b', 2)]);
  await settle();
  expect(store.cursor()).toEqual({ a: [1, 3], b: [1, 2] });
  expect(runChanges).toBeGreaterThan(0);
});

test('a run that does not pass the filter is asked for once, until its metadata changes', async () => {
  const before = server.asked.length;
  for (let rows = 1; rows < 5; rows += 1) {
    feed.hints([hint('other', rows)]);
    await settle();
  }
  expect(server.asked).toHaveLength(before + 1);
  feed.hints([hint('other', 6, { meta: 2 })]);
  await settle();
  expect(server.asked).toHaveLength(before + 2);
});

test('a deleted run disappears', async () => {
  server.runs.delete('a');
  feed.hints([hint('a', 3, { gone: true, meta: 2 })]);
  await settle();
  expect(store.cursor()).toEqual({});
});

test('a replaced run starts anew', async () => {
  server.runs.set('a', { generation: 2, rows: 1 });
  feed.hints([hint('a', 1, { generation: 2, meta: 2 })]);
  await settle();
  expect(store.cursor()).toEqual({ a: [2, 1] });
});

test('a lost hint costs at most the time until the next reconciliation', async () => {
  server.runs.set('a', { generation: 1, rows: 9 });
  await settle(RECONCILE_MS);
  expect(store.cursor()).toEqual({ a: [1, 9] });
});

test('after a break everything is asked for again, and rows are not fetched twice', async () => {
  feed.socketChanged('offline');
  expect(states.at(-1)).toBe('offline');
  server.runs.set('a', { generation: 1, rows: 4 });
  feed.socketChanged('open');
  feed.syncAll();
  await settle();
  expect(server.asked.at(-1)).toMatchObject({ cursor: { a: [1, 3] } });
  expect(states.at(-1)).toBe('live');
});

test('a message cut short keeps what came and asks for the rest', async () => {
  server.cutShort = true;
  server.runs.set('a', { generation: 1, rows: 6 });
  feed.hints([hint('a', 6)]);
  await settle();
  expect(store.cursor()).toEqual({ a: [1, 6] });
  server.cutShort = false;
  const before = server.asked.length;
  await settle(1000);
  expect(server.asked.length).toBeGreaterThan(before);
  expect(server.asked.at(-1)!.cursor).toEqual({ a: [1, 6] });
});

test('a passing error is tried again later and later; one that stays is told', async () => {
  server.fail = new ApiError(503, '', 'busy', null);
  feed.syncAll();
  await settle();
  const first = server.asked.length;
  await settle(499);
  expect(server.asked).toHaveLength(first);
  await settle(1);
  expect(server.asked).toHaveLength(first + 1);
  await settle(1000);
  expect(states.at(-1)).toBe('offline');
  server.fail = null;
  await settle(5000);
  expect(states.at(-1)).toBe('live');
  server.fail = new ApiError(422, 'unknown_field', 'no such field', null);
  feed.syncAll();
  await settle();
  expect(states.at(-1)).toBe('failed');
  server.fail = null;
  feed.retryNow();
  await settle();
  expect(states.at(-1)).toBe('live');
});

test('another question stops the one under way', async () => {
  server.runs.set('a', { generation: 1, rows: 50 });
  feed.syncAll();
  feed.store = new Store();
  feed.configure({ ...request, series: 't' }, true);
  await settle();
  expect(store.cursor()).toEqual({ a: [1, 3] });
  expect(feed.store.cursor()).toEqual({ a: [1, 50] });
});

test('another field is fetched alone, for the rows that are here; then it goes on from the cursor', async () => {
  server.runs.set('b', { generation: 1, rows: 2 });
  feed.syncAll();
  await settle();
  server.asked = [];
  server.runs.set('a', { generation: 1, rows: 7 });
  feed.configure({ ...request, fields: ['y', 'z'] }, false);
  await settle();
  expect(server.asked.map(({ fields, cursor }) => [fields, cursor])).toEqual([
    [['z'], undefined],
    [['y', 'z'], { a: [1, 3], b: [1, 2] }],
  ]);
  expect([0, 6].map((row) => store.valueAt(store.runs.get('a')!, 'z', 'float', row))).toEqual([0, 6]);
  expect(store.valueAt(store.runs.get('b')!, 'z', 'float', 1)).toBe(1);
  feed.configure(request, false);
  await settle();
  expect(server.asked.length).toBe(3);
});

test('a run that was replaced while its new column came is fetched whole', async () => {
  server.runs.set('a', { generation: 2, rows: 5 });
  feed.configure({ ...request, fields: ['y', 'z'] }, false);
  await settle();
  expect(store.cursor()).toEqual({ a: [2, 5] });
  expect(store.valueAt(store.runs.get('a')!, 'z', 'float', 4)).toBe(4);
});
