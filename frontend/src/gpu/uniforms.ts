/** The one uniform struct of all passes: its WGSL text and its bytes come from the same list. */

const LAYOUT = [
  // px = offset + scale * stored value
  ['scale', 'vec2f'],
  ['offset', 'vec2f'],
  // target size in device pixels
  ['size', 'vec2f'],
  // half the line's width, or a point's radius, in device pixels; of sized points the least
  ['radius', 'f32'],
  // share of the colour that gives way to the ground
  ['fade', 'f32'],
  ['colour', 'vec4f'],
  ['ground', 'vec4f'],
  // index into the table = stored colour * ramp_scale + ramp_offset, if coloured is 1
  ['ramp_scale', 'f32'],
  ['ramp_offset', 'f32'],
  ['coloured', 'f32'],
  // records in the part
  ['count', 'f32'],
  // first entry of the layer's colours in the table
  ['table_from', 'f32'],
  // floats of a record
  ['stride', 'f32'],
  // share of the largest area = stored size * size_scale + size_offset; radius_most 0: all points alike
  ['size_scale', 'f32'],
  ['size_offset', 'f32'],
  ['radius_most', 'f32'],
] as const;

type Name = (typeof LAYOUT)[number][0];

const FLOATS = { f32: 1, vec2f: 2, vec4f: 4 } as const;

const offsets = new Map<Name, number>();
let end = 0;
for (const [name, type] of LAYOUT) {
  const align = FLOATS[type];
  end = Math.ceil(end / align) * align;
  offsets.set(name, end);
  end += FLOATS[type];
}

export const PARAMS_FLOATS = Math.ceil(end / 4) * 4;
/** Dynamic offsets step by this much on every device. */
export const PARAMS_STRIDE = 256;
export const PARAMS_WGSL = `struct Params {\n${LAYOUT.map(([name, type]) => `  ${name}: ${type},`).join('\n')}\n}\n`;

export type Params = Record<Name, number | readonly number[]>;

export function writeParams(target: Float32Array, index: number, params: Params): void {
  const base = (index * PARAMS_STRIDE) / 4;
  for (const [name] of LAYOUT) {
    const value = params[name];
    const at = base + offsets.get(name)!;
    if (typeof value === 'number') target[at] = value;
    else target.set(value, at);
  }
}

export function paramOffset(name: Name): number {
  return offsets.get(name)! * 4;
}
