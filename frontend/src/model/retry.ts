/** Exponential backoff with full jitter, so that a thousand pages do not come back at the same moment. */
export function backoffMs(attempt: number, random: () => number, firstMs = 500, mostMs = 15_000): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling * (0.3 + 0.7 * random()));
}
