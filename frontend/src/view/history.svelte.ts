/** Steps back and forth through what was chosen: those of the browser, with a count, so that buttons know their ends. */

const NEWEST = 'streamvis-newest';

export class Steps {
  at = $state(0);
  private newest = $state(0);

  constructor() {
    this.read();
  }

  get canUndo(): boolean {
    return this.at > 0;
  }

  get canRedo(): boolean {
    return this.at < this.newest;
  }

  push(address: string): void {
    this.at += 1;
    this.newest = this.at;
    sessionStorage.setItem(NEWEST, String(this.newest));
    history.pushState({ at: this.at }, '', address);
  }

  replace(address: string): void {
    history.replaceState({ at: this.at }, '', address);
  }

  /** After the browser went back or forth. */
  read(): void {
    const state = history.state as { at?: number } | null;
    this.at = state?.at ?? 0;
    this.newest = Math.max(this.at, state ? Number(sessionStorage.getItem(NEWEST) ?? 0) : 0);
  }

  undo(): void {
    if (this.canUndo) history.back();
  }

  redo(): void {
    if (this.canRedo) history.forward();
  }
}
