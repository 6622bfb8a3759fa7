/** What the server says around one layer: its series, which attributes its runs have, its runs and tags. */

import { bind, findSeries, type Binding, type Bound } from '../model/bindings';
import { filterOfAllRuns, type LayerSpec } from '../model/document';
import type { AttributeCoverage, Run, RunFilter, Series } from '../model/types';
import type { Catalogue } from '../wire/catalogue';

export class LayerContext {
  current = $state.raw<Series | null>(null);
  attributes = $state.raw<AttributeCoverage[]>([]);
  attributeRuns = $state(0);
  runs = $state.raw<Run[]>([]);
  runCount = $state(0);
  spec = $state.raw<LayerSpec>(null as unknown as LayerSpec);
  readonly binding: Binding = $derived.by(() => this.bindNow());
  readonly bound: Bound | null = $derived('bound' in this.binding ? this.binding.bound : null);
  readonly problem: string = $derived('problem' in this.binding ? this.binding.problem : '');
  readonly warning: string = $derived('warning' in this.binding ? this.binding.warning : '');
  private told = '';

  constructor(spec: LayerSpec) {
    this.spec = spec;
  }

  /** Without the chosen runs: the panel lists those that could be chosen, too. */
  filter(): RunFilter {
    const filter = filterOfAllRuns(this.spec);
    return { ...filter, series: [...new Set([...(filter.series ?? []), this.current!.handle])] };
  }

  chooseSeries(all: Series[], withRows: Set<string>): void {
    this.current = findSeries(this.spec.series, all, ({ handle, name }) => withRows.has(handle) || withRows.has(name)) ?? null;
  }

  /** Whether what was told is of another question. */
  get stale(): boolean {
    return this.current !== null && this.told !== JSON.stringify(this.filter());
  }

  async refresh(catalogue: Catalogue): Promise<void> {
    if (!this.current) return;
    const filter = this.filter();
    const asked = JSON.stringify(filter);
    const [common, found] = await Promise.allSettled([catalogue.common(filter), catalogue.runs(filter)]);
    if (!this.current || JSON.stringify(this.filter()) !== asked) return;
    this.told = asked;
    if (common.status === 'fulfilled') {
      this.attributes = common.value.attributes;
      this.attributeRuns = common.value.runs;
    }
    if (found.status === 'fulfilled') {
      this.runs = found.value.runs;
      this.runCount = found.value.count;
    }
  }

  private bindNow(): Binding {
    if (!this.current) return { problem: '' };
    return bind(this.spec, this.current, this.attributes.map(({ field }) => field));
  }
}
