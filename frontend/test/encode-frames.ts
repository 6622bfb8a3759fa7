/** A small writer of frames, for tests: the page itself only reads. */

const TEXT = new TextEncoder();

function padded(bytes: Uint8Array, filler: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(filler);
  out.set(bytes);
  return out;
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

export function frame(head: object, body: Uint8Array[] = []): Uint8Array {
  const header = padded(TEXT.encode(JSON.stringify(head)), 32);
  const bytes = joined(body.map((piece) => padded(piece, 0)));
  const prefix = new DataView(new ArrayBuffer(16));
  prefix.setUint32(0, 0x31465653, true);
  prefix.setUint32(4, header.length, true);
  prefix.setBigUint64(8, BigInt(bytes.length), true);
  return joined([new Uint8Array(prefix.buffer), header, bytes]);
}

export type Values = Float64Array | BigInt64Array | string[];

export function rowsFrame(run: string, generation: number, first: number, columns: Record<string, Values>): Uint8Array {
  const body: Uint8Array[] = [];
  let offset = 0;
  const part = (bytes: Uint8Array): [number, number] => {
    const at: [number, number] = [offset, bytes.length];
    body.push(bytes);
    offset += Math.ceil(bytes.length / 8) * 8;
    return at;
  };
  const described = Object.entries(columns).map(([field, values]) => {
    if (!Array.isArray(values)) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      return { field, type: values instanceof Float64Array ? 'float' : 'int', dtype: values instanceof Float64Array ? 'f8' : 'i8', parts: [part(bytes)] };
    }
    const words = [...new Set(values)];
    const ends = Uint32Array.from(words.map((_, i) => TEXT.encode(words.slice(0, i + 1).join('')).length));
    return {
      field, type: 'text', dtype: 'u1',
      parts: [
        part(Uint8Array.from(values.map((word) => words.indexOf(word)))),
        part(new Uint8Array(ends.buffer)),
        part(TEXT.encode(words.join(''))),
      ],
    };
  });
  const rows = Object.values(columns)[0]?.length ?? 0;
  return frame({ kind: 'rows', run, generation, first, rows, columns: described }, body);
}

export function dataFrame(runs: { run: string; generation: number; rows: number; attributes?: object; started_at?: string }[], gone: object[] = []): Uint8Array {
  return frame({
    kind: 'data', series: { handle: 's', name: 'training' }, fields: [], attributes: [], gone,
    runs: runs.map((run) => ({ started_at: `2026-01-01T00:00:0${run.run.length}Z`, state: 'running', owner: 'a', tags: [], attributes: {}, ...run })),
  });
}

export function endFrame(more = false): Uint8Array {
  return frame({ kind: 'end', cursor: {}, more });
}
