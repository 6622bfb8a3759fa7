/** The socket of hints (docs/formats/live.md): stays open, comes back with backoff, notices silence. */

import { backoffMs } from '../model/retry';

export interface Hint {
  run: string;
  generation: number;
  rows: Record<string, number>;
  meta: number;
  gone: boolean;
}

export type SocketState = 'connecting' | 'open' | 'offline' | 'ended';

/** The part of a WebSocket that is used, so that tests bring their own. */
export interface SocketLike {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

export interface SocketEvents {
  onHello(): void;
  onHints(hints: Hint[]): void;
  onState(state: SocketState): void;
}

/** The server pings every 20 s; this long without a word is a dead line. */
const SILENCE_MS = 45_000;

export class LiveSocket {
  private socket: SocketLike | null = null;
  private series: string[] | null = null;
  private subscribed = false;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(
    private readonly open: () => SocketLike,
    private readonly events: SocketEvents,
    private readonly random: () => number = Math.random,
  ) {}

  /** Connects at the first call; later ones replace the subscription. */
  subscribe(series: string[] | null): void {
    this.series = series;
    this.stopped = false;
    if (!this.socket) this.connect();
    else if (this.subscribed) this.sendSubscription();
  }

  /** At once instead of after the backoff: the network came back, or the user asked. */
  reconnectNow(): void {
    if (this.subscribed || this.stopped) return;
    this.attempt = 0;
    this.forget();
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    this.forget();
  }

  private connect(): void {
    clearTimeout(this.timer);
    this.events.onState('connecting');
    const socket = this.open();
    this.socket = socket;
    const mine = (act: () => void): (() => void) => () => {
      if (this.socket === socket) act();
    };
    socket.onopen = mine(() => {
      this.subscribed = true;
      this.sendSubscription();
      this.watch();
    });
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(String(event.data));
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
    socket.onerror = null;
  }

  private sendSubscription(): void {
    this.socket?.send(JSON.stringify({ type: 'subscribe', series: this.series }));
  }

  private receive(text: string): void {
    this.watch();
    const message = JSON.parse(text) as { type: string; hints?: Hint[] };
    if (message.type === 'hello') {
      this.attempt = 0;
      this.events.onState('open');
      this.events.onHello();
    } else if (message.type === 'hints') this.events.onHints(message.hints ?? []);
  }

  private watch(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.closed(1006), SILENCE_MS);
  }

  private forget(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    this.subscribed = false;
    socket?.close();
  }

  private closed(code: number): void {
    this.forget();
    if (this.stopped) return;
    if (code === 4401) {
      this.stopped = true;
      this.events.onState('ended');
      return;
    }
    this.events.onState('offline');
    this.timer = setTimeout(() => this.connect(), backoffMs(this.attempt, this.random));
    this.attempt += 1;
  }
}
