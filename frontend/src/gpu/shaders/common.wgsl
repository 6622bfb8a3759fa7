// Shared by all passes. `Params` stands before this text (uniforms.ts), 112 bytes, one for each draw, by dynamic offset.
//
// binding 0  Params      uniform, 112 bytes
// binding 1  array<f32>  the part's records: 12 bytes a row, 16 bytes a row with a size, 32 bytes an envelope column
// binding 2  array<u32>  colour tables, RGBA8, 1024 bytes for each layer

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> records: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;

// Outside the clip volume: the primitive vanishes.
const NOWHERE = vec4f(2.0, 2.0, 2.0, 1.0);
// Stored in place of a y that cannot be drawn; a finite number, because NaN may be assumed away.
const BREAK_ABOVE = 1e38;

fn clip_position(px: vec2f) -> vec4f {
  return vec4f(px.x / p.size.x * 2.0 - 1.0, 1.0 - px.y / p.size.y * 2.0, 0.0, 1.0);
}

fn to_px(value: vec2f) -> vec2f {
  return p.offset + p.scale * value;
}

fn colour_of(value: f32) -> vec3f {
  var rgb = p.colour.rgb;
  if (p.coloured > 0.5) {
    let index = u32(clamp(value * p.ramp_scale + p.ramp_offset, 0.0, 255.0) + 0.5);
    rgb = unpack4x8unorm(table[u32(p.table_from) + min(index, 255u)]).rgb;
  }
  return mix(rgb, p.ground.rgb, p.fade);
}

// Premultiplied, for blending one, one minus source alpha.
fn covered(rgb: vec3f, distance: f32, radius: f32) -> vec4f {
  let alpha = clamp(radius + 0.5 - distance, 0.0, 1.0);
  return vec4f(rgb * alpha, alpha);
}

fn to_segment(at: vec2f, a: vec2f, b: vec2f) -> f32 {
  let d = b - a;
  let t = clamp(dot(at - a, d) / max(dot(d, d), 1e-12), 0.0, 1.0);
  return length(at - a - t * d);
}
