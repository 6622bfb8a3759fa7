/** What could follow in the filter line: where the caret is, what fits there, and the text with it taken. */

import type { Facets } from './types';

export interface Offer {
  /** What is put in. */
  text: string;
  label: string;
  note: string;
  /** The caret stays for the value. */
  open: boolean;
}

/** The part of a term that the caret is in: `from` … caret is replaced. */
export interface Spot {
  kind: 'key' | 'value';
  key: string;
  typed: string;
  from: number;
}

export const KEYS: [string, string][] = [
  ['tag', 'has this tag'], ['-tag', 'has not this tag'], ['series', 'has rows in it'], ['started', 'when it began'],
  ['state', 'running, finished, failed, stale'], ['owner', 'whose it is; me'], ['has', 'has this attribute'],
  ['missing', 'has not this attribute'], ['run', 'by its handle'], ['rows', 'any: also runs without rows'],
];
const RESERVED = new Set(KEYS.map(([key]) => key));
const TIMES = ['"1 hour ago"', '"1 day ago"', '"1 week ago"', '"1 month ago"'];

/** As the grammar quotes it (docs/formats/api.md). */
export function quote(text: string): string {
  if (/^[^\s",&()[\]<>][^\s",&()[\]]*$/.test(text) && !text.includes('..')) return text;
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r');
  return `"${escaped}"`;
}

export function quoteKey(name: string): string {
  return /^[^\s":,&()[\]<>]+$/.test(name) && !name.startsWith('-') && !RESERVED.has(name) ? name : `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** Where in the text the caret is; `null`: inside brackets, where only numbers stand. */
export function spotAt(text: string, caret: number): Spot | null {
  let quoted = false;
  let start = 0;
  let colon = -1;
  let piece = 0;
  for (let at = 0; at < caret; at += 1) {
    const letter = text[at]!;
    if (quoted && letter === '\\') at += 1;
    else if (letter === '"') quoted = !quoted;
    else if (!quoted && /\s/.test(letter)) [start, colon, piece] = [at + 1, -1, at + 1];
    else if (!quoted && letter === ':' && colon < 0) [colon, piece] = [at, at + 1];
    else if (!quoted && colon >= 0 && (letter === ',' || letter === '&' || /[<>=]/.test(letter))) piece = at + 1;
    else if (!quoted && colon >= 0 && (letter === '[' || letter === '(')) return null;
  }
  const bare = (part: string): string => part.replace(/^"/, '').replace(/"$/, '').replaceAll('\\"', '"').replaceAll('\\\\', '\\');
  if (colon < 0) return { kind: 'key', key: '', typed: bare(text.slice(start, caret).replace(/^-/, '')), from: start };
  return { kind: 'value', key: text.slice(start, colon), typed: bare(text.slice(piece, caret)), from: piece };
}

/** What fits, best first: what begins so, then what holds it. */
export function offers(spot: Spot, facets: Facets | null, found: Facets | null, most = 10): Offer[] {
  const all = spot.kind === 'key' ? keyOffers(spot, facets, found) : valueOffers(spot, facets, found);
  const typed = spot.typed.toLowerCase();
  const holding = all.filter(({ label }) => label.toLowerCase().includes(typed));
  const first = (offer: Offer): number => (offer.label.toLowerCase().startsWith(typed) ? 0 : 1);
  return holding.sort((one, other) => first(one) - first(other)).slice(0, most);
}

function keyOffers(spot: Spot, facets: Facets | null, found: Facets | null): Offer[] {
  const keys = KEYS.map(([key, note]) => ({ text: `${key}:`, label: key, note, open: true }));
  const fields = [...(facets?.attributes ?? []), ...(facets?.more_attributes ?? [])].map(({ field, runs }) => ({
    text: `${quoteKey(field.name)}:`, label: field.name, note: `${field.data_type} · ${runs.toLocaleString('en')} runs`, open: true,
  }));
  if (!spot.typed) return [...keys, ...fields];
  const tags = (found ?? facets)?.tags.values ?? [];
  const tagged = tags.map(({ value, runs }) => ({ text: `tag:${quote(String(value))}`, label: String(value), note: `tag · ${runs.toLocaleString('en')} runs`, open: false }));
  return [...keys, ...fields, ...tagged];
}

function counted(values: readonly { value: unknown; runs: number }[]): Offer[] {
  return values.map(({ value, runs }) => ({ text: quote(String(value)), label: String(value), note: `${runs.toLocaleString('en')} runs`, open: false }));
}

function plain(texts: readonly string[]): Offer[] {
  return texts.map((text) => ({ text, label: text.replaceAll('"', ''), note: '', open: false }));
}

function valueOffers({ key }: Spot, facets: Facets | null, found: Facets | null): Offer[] {
  const known = found ?? facets;
  const fields = [...(facets?.attributes ?? []), ...(facets?.more_attributes ?? [])];
  if (key === 'tag' || key === '-tag') return counted(known?.tags.values ?? []);
  if (key === 'series') return counted((facets?.series ?? []).map(({ name, runs }) => ({ value: name, runs })));
  if (key === 'state') return counted(facets?.state ?? []);
  if (key === 'owner') return [...plain(['me']), ...counted(facets?.owner ?? [])];
  if (key === 'rows') return plain(['any', 'none', 'some']);
  if (key === 'started') return plain(TIMES.map((time) => `>${time}`));
  if (key === 'has' || key === 'missing' || key === '-has') {
    return fields.map(({ field, runs }) => ({ text: quote(field.name), label: field.name, note: `${runs.toLocaleString('en')} runs`, open: false }));
  }
  const name = key.replace(/^"|"$/g, '');
  const facet = [...(found?.attributes ?? []), ...(facets?.attributes ?? [])].find(({ field }) => field.name === name || field.handle === name);
  if (!facet) return [];
  return [...counted(facet.values), { text: '(none)', label: '(none)', note: `${facet.none.toLocaleString('en')} runs`, open: false }];
}

/** The line with an offer in the place of what was typed, and where the caret goes. */
export function take(text: string, caret: number, spot: Spot, offer: Offer): { text: string; caret: number } {
  const before = text.slice(0, spot.from);
  const after = text.slice(caret).replace(/^[^\s,&]*/, '');
  const put = offer.open ? offer.text : `${offer.text}${after.startsWith(' ') ? '' : ' '}`;
  return { text: before + put + after, caret: before.length + put.length };
}
