/** What the layers of a plot are drawn from: one store for each series and run filter, kept up with the server. */

import { boundAttributes, boundColumns } from '../model/bindings';
import { Feed, type FeedDeps, type FeedRequest, type LiveState } from './feed';
import type { LayerRequest } from './protocol';
import type { Hint, SocketState } from './socket';
import { Store } from './store';

interface Dataset {
  series: string;
  feed: Feed;
  asked: string;
  /** Fields that were asked for once stay: another choice of axes finds them here. */
  fields: Set<string>;
  state: LiveState;
  problem: string;
}

export interface DatasetsDeps extends Omit<FeedDeps, 'onState'> {
  onState(state: LiveState, problem: string): void;
}

/** The worst of them is what the page says. */
const WORST: readonly LiveState[] = ['ended', 'failed', 'offline', 'loading', 'catching-up', 'live'];

function keyOf({ series, filter, handles }: LayerRequest): string {
  return JSON.stringify([series, filter, handles]);
}

export class Datasets {
  private byKey = new Map<string, Dataset>();
  private socketState: SocketState = 'connecting';
  private told = '';

  constructor(private readonly deps: DatasetsDeps) {}

  get series(): string[] {
    return [...new Set([...this.byKey.values()].map(({ series }) => series))].sort();
  }

  /** Makes the datasets those of these layers; returns the store of each layer. */
  configure(layers: LayerRequest[]): Store[] {
    const wanted = new Map<string, LayerRequest[]>();
    for (const layer of layers) wanted.set(keyOf(layer), [...(wanted.get(keyOf(layer)) ?? []), layer]);
    const before = this.byKey;
    const spare = [...before].filter(([key]) => !wanted.has(key)).map(([, dataset]) => dataset);
    this.byKey = new Map();
    for (const [key, its] of wanted) {
      let dataset = before.get(key);
      if (!dataset) {
        // Another filter over the same series keeps the rows of runs that pass both.
        const at = spare.findIndex(({ series }) => series === its[0]!.series);
        dataset = at >= 0 ? spare.splice(at, 1)[0]! : this.make(its[0]!.series);
      }
      this.byKey.set(key, dataset);
      this.ask(dataset, its);
    }
    for (const { feed } of spare) feed.stop();
    this.tell();
    return layers.map((layer) => this.byKey.get(keyOf(layer))!.feed.store);
  }

  hints(hints: Hint[]): void {
    for (const { feed } of this.byKey.values()) feed.hints(hints);
  }

  syncAll(): void {
    for (const { feed } of this.byKey.values()) feed.syncAll();
  }

  retryNow(): void {
    for (const { feed } of this.byKey.values()) feed.retryNow();
  }

  socketChanged(state: SocketState): void {
    this.socketState = state;
    for (const { feed } of this.byKey.values()) feed.socketChanged(state);
  }

  private make(series: string): Dataset {
    const dataset: Dataset = { series, asked: '', fields: new Set(), state: 'loading', problem: '', feed: null as unknown as Feed };
    dataset.feed = new Feed(new Store(), {
      ...this.deps,
      onState: (state, problem) => {
        dataset.state = state;
        dataset.problem = problem;
        this.tell();
      },
    });
    dataset.feed.socketChanged(this.socketState);
    return dataset;
  }

  private ask(dataset: Dataset, layers: LayerRequest[]): void {
    const columns = layers.flatMap((layer) => boundColumns(layer));
    for (const column of columns) if (column.kind === 'field') dataset.fields.add(column.handle);
    const { series, filter, handles } = layers[0]!;
    const attributes = [...new Set(layers.flatMap(boundAttributes))].sort();
    const request: FeedRequest = { series, fields: [...dataset.fields], attributes, filter, handles };
    const asked = JSON.stringify(request);
    if (asked === dataset.asked) return;
    const fresh = dataset.asked === '';
    dataset.asked = asked;
    dataset.feed.configure(request, fresh);
  }

  private tell(): void {
    const worst = [...this.byKey.values()].sort((a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state))[0];
    if (!worst || this.told === `${worst.state} ${worst.problem}`) return;
    this.told = `${worst.state} ${worst.problem}`;
    this.deps.onState(worst.state, worst.problem);
  }
}
