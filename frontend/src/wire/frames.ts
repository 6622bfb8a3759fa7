/** Reading frames (docs/formats/frame.md) from a stream, and widening their columns to what the values mean. */

import type { DataType, Field, JsonScalar, RunState } from '../model/types';

export const MEDIA_TYPE = 'application/vnd.streamvis.frames';
const PREFIX_BYTES = 16;
const MOST_HEADER_BYTES = 2 ** 20;
const MOST_ROWS = 1_048_576;
const MOST_DEPTH = 32;

export class MalformedFrame extends Error {}

/** Well-formed, but a value that its type does not have. */
export class IllegalValue extends Error {}

export interface FrameColumn {
  field: string;
  type: DataType;
  dtype: string;
  const?: boolean;
  parts: [number, number][];
}

export interface HeadRun {
  run: string;
  generation: number;
  rows: number;
  started_at: string;
  state: RunState;
  owner: string;
  tags: string[];
  attributes: Record<string, JsonScalar>;
}

export interface Gone {
  run: string;
  reason: 'deleted' | 'replaced' | 'filtered';
}

export interface DataHead {
  kind: 'data';
  series: { handle: string; name: string };
  fields: Field[];
  attributes: Field[];
  runs: HeadRun[];
  gone: Gone[];
}

export interface RowsHead {
  kind: 'rows';
  run: string;
  generation: number;
  first: number;
  rows: number;
  columns: FrameColumn[];
}

export type FrameHead =
  | DataHead
  | RowsHead
  | { kind: 'reset'; run: string }
  | { kind: 'end'; cursor: Record<string, [number, number]>; more: boolean };

export interface Frame {
  head: FrameHead;
  /** In a buffer of its own, so that every part is aligned. */
  body: ArrayBuffer;
}

/** What an answer of data/ is made of. */
const ANSWER_KINDS: ReadonlySet<string> = new Set(['data', 'rows', 'reset', 'end']);

/** Collects bytes as they come and gives out whole frames. */
export class FrameReader {
  private pending: Uint8Array[] = [];
  private held = 0;
  private index = 0;

  constructor(private readonly kinds: ReadonlySet<string> = ANSWER_KINDS) {}

  push(bytes: Uint8Array): Frame[] {
    if (bytes.length > 0) this.pending.push(bytes);
    this.held += bytes.length;
    const frames: Frame[] = [];
    for (let frame = this.next(); frame; frame = this.next()) frames.push(frame);
    return frames;
  }

  /** Call at the end of the message. */
  finish(): void {
    if (this.held > 0) throw this.malformed('the message ends inside a frame');
  }

  private malformed(what: string): MalformedFrame {
    return new MalformedFrame(`frame ${this.index}: ${what}`);
  }

  private next(): Frame | null {
    if (this.held < PREFIX_BYTES) return null;
    const prefix = this.take(PREFIX_BYTES, false);
    const view = new DataView(prefix.buffer);
    if (view.getUint32(0, true) !== 0x31465653) throw this.malformed('no SVF1 at its start');
    const headerBytes = view.getUint32(4, true);
    const bodyBytes = Number(view.getBigUint64(8, true));
    if (headerBytes % 8 || bodyBytes % 8 || headerBytes > MOST_HEADER_BYTES || bodyBytes > 2 ** 33) throw this.malformed('illegal sizes');
    if (this.held < PREFIX_BYTES + headerBytes + bodyBytes) return null;
    this.take(PREFIX_BYTES, true);
    const header = this.take(headerBytes, true);
    const body = this.take(bodyBytes, true);
    const frame = { head: this.parse(header), body: body.buffer };
    if (!this.kinds.has(frame.head.kind)) throw this.malformed(`unknown kind ${JSON.stringify(frame.head.kind)}`);
    check(frame, (what) => this.malformed(what));
    this.index += 1;
    return frame;
  }

  private parse(header: Uint8Array): FrameHead {
    let head: unknown;
    try {
      head = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header));
    } catch (error) {
      throw this.malformed(`its header is not JSON (${String(error)})`);
    }
    if (typeof head !== 'object' || head === null || Array.isArray(head)) throw this.malformed('its header is not an object');
    if (deeperThan(head, MOST_DEPTH)) throw this.malformed('its header is too deep');
    return head as FrameHead;
  }

  /** Copies `count` bytes from the front; `consume` also removes them. */
  private take(count: number, consume: boolean): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const piece = this.pending[used]!;
      const some = piece.subarray(0, count - filled);
      out.set(some, filled);
      filled += some.length;
      if (some.length === piece.length) used += 1;
      else if (consume) this.pending[used] = piece.subarray(some.length);
    }
    if (consume) {
      this.pending.splice(0, used);
      this.held -= count;
    }
    return out;
  }
}

function deeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => deeperThan(inner, depth - 1));
}

const BYTES: Record<string, number> = { i1: 1, i2: 2, i4: 4, i8: 8, u1: 1, u2: 2, u4: 4, f4: 4, f8: 8 };
const DTYPES: Record<DataType, string[]> = {
  int: ['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4'],
  float: ['f4', 'f8'],
  bool: ['u1'],
  text: ['u1', 'u2', 'u4'],
};

function check(frame: Frame, malformed: (what: string) => MalformedFrame): void {
  const { head, body } = frame;
  if (head.kind !== 'rows') return;
  head.first = Number(head.first);
  if (!Number.isInteger(head.rows) || head.rows < 0 || head.rows > MOST_ROWS) throw malformed('rows out of range');
  if (!Array.isArray(head.columns)) throw malformed('no columns');
  for (const column of head.columns) {
    if (!DTYPES[column.type]?.includes(column.dtype)) throw malformed(`dtype ${column.dtype} is not of type ${column.type}`);
    for (const [offset, length] of column.parts) {
      if (offset % 8 || offset < 0 || length < 0 || offset + length > body.byteLength) throw malformed('a part lies outside the body');
    }
    const values = head.rows === 0 ? 0 : column.const ? 1 : head.rows;
    if (column.parts[0]?.[1] !== values * BYTES[column.dtype]!) throw malformed('a part does not fit its rows');
    if (column.parts.length !== (column.type === 'text' ? 3 : 1)) throw malformed('a column with too many or too few parts');
    if (column.type === 'text' && column.parts[1]![1] % 4) throw malformed('word ends are not u32');
  }
}

/** Text values in the order in which they were first met; a column holds their numbers. */
export class Words {
  readonly list: string[] = [];
  private readonly codes = new Map<string, number>();

  find(word: string): number | undefined {
    return this.codes.get(word);
  }

  codeOf(word: string): number {
    let code = this.codes.get(word);
    if (code === undefined) {
      code = this.list.length;
      this.list.push(word);
      this.codes.set(word, code);
    }
    return code;
  }
}

export type Column = Float64Array | BigInt64Array | Uint8Array | Uint32Array;

type Narrow = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;

function read(dtype: string, body: ArrayBuffer, part: [number, number]): Narrow {
  const count = part[1] / BYTES[dtype]!;
  switch (dtype) {
    case 'i1': return new Int8Array(body, part[0], count);
    case 'i2': return new Int16Array(body, part[0], count);
    case 'i4': return new Int32Array(body, part[0], count);
    case 'i8': return new BigInt64Array(body, part[0], count);
    case 'u1': return new Uint8Array(body, part[0], count);
    case 'u2': return new Uint16Array(body, part[0], count);
    case 'u4': return new Uint32Array(body, part[0], count);
    case 'f4': return new Float32Array(body, part[0], count);
    default: return new Float64Array(body, part[0], count);
  }
}

/** int64 from narrower ints through its two halves: a BigInt per value would cost forty times as much. */
function widenInts(values: Narrow): BigInt64Array {
  if (values instanceof BigInt64Array) return values;
  const out = new BigInt64Array(values.length);
  const halves = new Int32Array(out.buffer);
  for (let i = 0; i < values.length; i += 1) {
    const v = values[i]!;
    halves[2 * i] = v;
    halves[2 * i + 1] = v < 0 ? -1 : 0;
  }
  return out;
}

function readWords(column: FrameColumn, body: ArrayBuffer, words: Words): Uint32Array {
  const ends = new Uint32Array(body, column.parts[1]![0], column.parts[1]![1] / 4);
  const bytes = new Uint8Array(body, column.parts[2]![0], column.parts[2]![1]);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const codes = new Uint32Array(ends.length);
  for (let i = 0; i < ends.length; i += 1) {
    const word = bytes.subarray(i ? ends[i - 1]! : 0, ends[i]!);
    if (word.includes(0)) throw new IllegalValue(`field ${column.field}: a word with NUL`);
    try {
      codes[i] = words.codeOf(decoder.decode(word));
    } catch {
      throw new IllegalValue(`field ${column.field}: a word is not UTF-8`);
    }
  }
  return codes;
}

/** All values of a column, widened: int64, float64, 0 or 1, or numbers of words. */
export function readColumn(column: FrameColumn, rows: number, body: ArrayBuffer, words: Words): Column {
  let values: Column;
  const raw = read(column.dtype, body, column.parts[0]!);
  if (column.type === 'int') values = widenInts(raw);
  else if (column.type === 'float') values = raw instanceof Float64Array ? raw : Float64Array.from(raw as Float32Array);
  else if (column.type === 'bool') {
    values = raw as Uint8Array;
    if (values.some((value) => value > 1)) throw new IllegalValue(`field ${column.field}: a bool that is not 0 or 1`);
  }
  else {
    const codes = readWords(column, body, words);
    values = Uint32Array.from(raw as Uint32Array, (code) => {
      const known = codes[code];
      if (known === undefined) throw new IllegalValue(`field ${column.field}: code ${code} has no word`);
      return known;
    });
  }
  if (!column.const || rows === 0) return values;
  const all = new (values.constructor as new (length: number) => Column)(rows);
  return all.fill(values[0] as never);
}
