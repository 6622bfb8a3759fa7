/** What is done to many runs at once: how many it will be first, and its undoing after. */

import { groupDigits } from '../../model/numbers';
import type { FilterJson } from '../model/types';
import type { Retagged } from '../wire/runs';
import { problemOf, type SearchPage } from './page.svelte';

export interface Toast {
  message: string;
  undo: (() => Promise<void>) | null;
  bad: boolean;
}

export interface Size {
  runs: number;
  rows: number;
}

const TOLD_MS = 12_000;

export function many(count: number, what: string): string {
  return `${groupDigits(count)} ${what}${count === 1 ? '' : 's'}`;
}

export class Actions {
  toast = $state.raw<Toast | null>(null);
  working = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly page: SearchPage) {}

  /** Of the chosen runs, as the server counts them now. */
  async size(filter: FilterJson): Promise<Size> {
    const { runs, rows } = await this.page.runs.facets(filter, { fields: [] });
    return { runs, rows };
  }

  /** What would change. */
  tried(filter: FilterJson, change: { add?: string[]; remove?: string[] }): Promise<Retagged> {
    return this.page.runs.tag(filter, change, true);
  }

  tag(filter: FilterJson, name: string): Promise<void> {
    return this.retag(filter, { add: [name] }, `Tagged ${name}`);
  }

  untag(filter: FilterJson, name: string): Promise<void> {
    return this.retag(filter, { remove: [name] }, `Untagged ${name}`);
  }

  async delete(filter: FilterJson): Promise<void> {
    await this.guarded(async () => {
      const { handles, runs, rows } = await this.page.runs.delete(filter);
      this.page.chooseNone();
      if (handles.includes(this.page.shown.open ?? '')) this.page.open(null);
      await this.page.reload();
      this.tell(`Deleted ${many(runs, 'run')} with ${many(rows, 'row')}.`, () => this.restore(handles));
    });
  }

  dismiss(): void {
    clearTimeout(this.timer);
    this.toast = null;
  }

  private async restore(handles: string[]): Promise<void> {
    const { runs, refused } = await this.page.runs.restore(handles);
    await this.page.reload();
    this.tell(`Restored ${many(runs, 'run')}.${refused.length > 0 ? ` ${many(refused.length, 'run')} not: ${refused[0]!.message}` : ''}`, null);
  }

  private async retag(filter: FilterJson, change: { add?: string[]; remove?: string[] }, words: string): Promise<void> {
    await this.guarded(async () => {
      const done = await this.page.runs.tag(filter, change);
      await this.page.reload();
      const refused = done.refused.length > 0 ? ` ${many(done.refused.length, 'run')} refused: ${done.refused[0]!.message}` : '';
      const back = { ...(change.add && { remove: change.add }), ...(change.remove && { add: change.remove }) };
      const undo = async (): Promise<void> => {
        await this.page.runs.tag({ handles: done.changed, with_rows: null }, back);
        await this.page.reload();
        this.tell(`Undone on ${many(done.changed.length, 'run')}.`, null);
      };
      this.tell(`${words}: ${many(done.changed.length, 'run')} changed.${refused}`, done.changed.length > 0 ? undo : null);
    });
  }

  async undo(): Promise<void> {
    const { toast } = this;
    this.dismiss();
    if (toast?.undo) await this.guarded(toast.undo);
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    this.working = true;
    try {
      await work();
    } catch (error) {
      const { message, hint } = problemOf(error);
      this.tell([message, hint].filter(Boolean).join(' '), null, true);
    } finally {
      this.working = false;
    }
  }

  private tell(message: string, undo: (() => Promise<void>) | null, bad = false): void {
    clearTimeout(this.timer);
    this.toast = { message, undo, bad };
    if (!bad) this.timer = setTimeout(() => { this.toast = null; }, TOLD_MS);
  }
}
