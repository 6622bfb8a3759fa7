// Points: one instance for each row, a square around an antialiased disc; with sizes its area grows evenly with the value.
//
// records: x, y, colour value, maybe size (12 or 16 bytes a row)

struct Disc {
  @builtin(position) position: vec4f,
  @location(0) @interpolate(flat) centre: vec2f,
  @location(1) @interpolate(flat) colour: vec3f,
  @location(2) @interpolate(flat) radius: f32,
}

fn radius_of(o: u32) -> f32 {
  if (p.radius_most == 0.0) {
    return p.radius;
  }
  let share = clamp(records[o + 3u] * p.size_scale + p.size_offset, 0.0, 1.0);
  return sqrt(mix(p.radius * p.radius, p.radius_most * p.radius_most, share));
}

@vertex
fn vs(@builtin(vertex_index) corner: u32, @builtin(instance_index) i: u32) -> Disc {
  var out: Disc;
  out.position = NOWHERE;
  let o = u32(p.stride) * i;
  let value = vec2f(records[o], records[o + 1u]);
  if (value.y > BREAK_ABOVE) {
    return out;
  }
  out.centre = to_px(value);
  out.radius = radius_of(o);
  let reach = out.radius + 1.0;
  if (any(out.centre < vec2f(-reach)) || any(out.centre > p.size + reach)) {
    return out;
  }
  let side = vec2f(f32(corner & 1u), f32(corner >> 1u)) * 2.0 - 1.0;
  out.position = clip_position(out.centre + side * reach);
  out.colour = colour_of(records[o + 2u]);
  return out;
}

@fragment
fn fs(in: Disc) -> @location(0) vec4f {
  return covered(in.colour, length(in.position.xy - in.centre), in.radius);
}
