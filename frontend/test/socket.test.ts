import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { backoffMs } from '../src/model/retry';
import { LiveSocket, type Hint, type SocketLike, type SocketState } from '../src/wire/socket';

class FakeSocket implements SocketLike {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  sent: unknown[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

let sockets: FakeSocket[];
let states: SocketState[];
let hellos: number;
let hints: Hint[];
let live: LiveSocket;

beforeEach(() => {
  vi.useFakeTimers();
  [sockets, states, hellos, hints] = [[], [], 0, []];
  live = new LiveSocket(() => {
    const socket = new FakeSocket();
    sockets.push(socket);
    return socket;
  }, { onHello: () => (hellos += 1), onHints: (more) => hints.push(...more), onState: (state) => states.push(state) }, () => 1);
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

function connected(): FakeSocket {
  const socket = sockets.at(-1)!;
  socket.onopen!();
  socket.say({ type: 'hello', tick_ms: 100 });
  return socket;
}

test('it subscribes when open, says hello, and passes hints on', () => {
  live.subscribe(['s']);
  const socket = connected();
  expect(socket.sent).toEqual([{ type: 'subscribe', series: ['s'] }]);
  socket.say({ type: 'hints', hints: [{ run: 'a', generation: 1, rows: {}, meta: 1, gone: false }] });
  expect([hellos, hints.length, states.at(-1)]).toEqual([1, 1, 'open']);
});

test('another series replaces the subscription on the same socket', () => {
  live.subscribe(['s']);
  const socket = connected();
  live.subscribe(['t']);
  expect(sockets).toHaveLength(1);
  expect(socket.sent.at(-1)).toEqual({ type: 'subscribe', series: ['t'] });
});

test('after a break it comes back, each time later, and from the start after a hello', () => {
  live.subscribe(['s']);
  for (const wait of [500, 1000, 2000]) {
    sockets.at(-1)!.onclose!({ code: 1012 });
    expect(states.at(-1)).toBe('offline');
    vi.advanceTimersByTime(wait - 1);
    const before = sockets.length;
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(before + 1);
  }
  connected();
  sockets.at(-1)!.onclose!({ code: 1006 });
  vi.advanceTimersByTime(500);
  expect(sockets).toHaveLength(5);
  connected();
  expect(hellos).toBe(2);
});

test('silence for longer than two pings is a break', () => {
  live.subscribe(['s']);
  const socket = connected();
  vi.advanceTimersByTime(20_000);
  socket.say({ type: 'ping' });
  vi.advanceTimersByTime(44_000);
  expect(states.at(-1)).toBe('open');
  vi.advanceTimersByTime(2_000);
  expect(states).toContain('offline');
  expect(socket.closed).toBe(true);
});

test('an ended session is not tried again', () => {
  live.subscribe(['s']);
  connected().onclose!({ code: 4401 });
  vi.advanceTimersByTime(60_000);
  expect(states.at(-1)).toBe('ended');
  expect(sockets).toHaveLength(1);
});

test('what an abandoned socket still says is not heard', () => {
  live.subscribe(['s']);
  const old = connected();
  old.onclose!({ code: 1006 });
  vi.advanceTimersByTime(500);
  connected();
  old.say({ type: 'hello', tick_ms: 100 });
  old.onclose!({ code: 1006 });
  expect(hellos).toBe(2);
  expect(states.at(-1)).toBe('open');
});

test('the backoff is bounded and spread', () => {
  const waits = Array.from({ length: 30 }, (_, attempt) => backoffMs(attempt, () => 0.5));
  expect(Math.max(...waits)).toBeLessThanOrEqual(15_000);
  expect(backoffMs(3, () => 0)).toBeLessThan(backoffMs(3, () => 1));
});
