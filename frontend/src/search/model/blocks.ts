/** Rows of a long list that are there: in blocks, fetched when they come into view. */

export const BLOCK = 100;
/** So many blocks around the view are kept. */
const KEPT = 40;

export class Blocks<T> {
  private readonly blocks = new Map<number, readonly T[]>();

  at(place: number): T | undefined {
    return this.blocks.get(Math.floor(place / BLOCK))?.[place % BLOCK];
  }

  put(block: number, rows: readonly T[]): void {
    this.blocks.delete(block);
    this.blocks.set(block, rows);
    while (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value!);
  }

  /** Blocks of these places that are not there. */
  missing(first: number, last: number): number[] {
    const found = [];
    for (let block = Math.floor(first / BLOCK); block <= Math.floor(last / BLOCK); block += 1) {
      if (!this.blocks.has(block)) found.push(block);
    }
    return found;
  }

  change(change: (row: T) => T): void {
    for (const [block, rows] of this.blocks) this.blocks.set(block, rows.map(change));
  }

  all(): T[] {
    return [...this.blocks.entries()].sort(([a], [b]) => a - b).flatMap(([, rows]) => rows);
  }
}

/** The rows that a scrolled view shows, with some beyond its edges. */
export function visibleRows(scrollTop: number, height: number, rowHeight: number, count: number, beyond = 8): [number, number] {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - beyond);
  const last = Math.min(count - 1, Math.ceil((scrollTop + height) / rowHeight) + beyond);
  return [first, last];
}
