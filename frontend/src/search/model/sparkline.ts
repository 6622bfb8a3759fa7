/** A small picture of one field of a run, from its envelope (docs/formats/overview.md). */

export interface Spark {
  path: string;
  least: number;
  greatest: number;
  last: number;
}

interface Buffer {
  part: string;
  field?: string;
  values: (number | string)[];
}

const HEIGHT = 20;
const EDGE = 2;

/** `null` where the run has nothing to draw. */
export function sparkline(preview: { runs: { columns: Buffer[] }[] }, field: { handle: string; name: string }, columns: number): Spark | null {
  const buffers = preview.runs[0]?.columns ?? [];
  const part = (name: string): (number | string)[] => buffers.find((one) => one.part === name && (one.field === undefined || one.field === field.handle || one.field === field.name))?.values ?? [];
  const [places, counts, firsts, leasts, greatests, lasts] = ['column', 'count', 'first', 'least', 'greatest', 'last'].map(part) as [
    (number | string)[], (number | string)[], (number | string)[], (number | string)[], (number | string)[], (number | string)[]];
  const drawn = places.map((_, index) => index).filter((index) => Number(counts[index]) > 0 && Number.isFinite(Number(leasts[index])) && Number.isFinite(Number(greatests[index])));
  if (drawn.length === 0) return null;
  const least = Math.min(...drawn.map((index) => Number(leasts[index])));
  const greatest = Math.max(...drawn.map((index) => Number(greatests[index])));
  const scale = greatest > least ? (HEIGHT - 2 * EDGE) / (greatest - least) : 0;
  const y = (value: number | string): string => (scale === 0 ? HEIGHT / 2 : HEIGHT - EDGE - (Number(value) - least) * scale).toFixed(2);
  const most = Math.max(1, columns - 1);
  const points = drawn.map((index) => {
    const x = Math.min(columns, (Number(places[index]) / most) * columns).toFixed(1);
    return `${x} ${y(firsts[index]!)}L${x} ${y(leasts[index]!)}L${x} ${y(greatests[index]!)}L${x} ${y(lasts[index]!)}`;
  });
  return { path: `M${points.join('L')}`, least, greatest, last: Number(lasts[drawn.at(-1)!]) };
}
