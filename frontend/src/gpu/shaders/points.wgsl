// Points: one instance for each row, a square around an antialiased disc.
//
// records: x, y, colour value (12 bytes a row)

struct Disc {
  @builtin(position) position: vec4f,
  @location(0) @interpolate(flat) centre: vec2f,
  @location(1) @interpolate(flat) colour: vec3f,
}

@vertex
fn vs(@builtin(vertex_index) corner: u32, @builtin(instance_index) i: u32) -> Disc {
  var out: Disc;
  out.position = NOWHERE;
  let value = vec2f(records[3u * i], records[3u * i + 1u]);
  if (value.y > BREAK_ABOVE) {
    return out;
  }
  out.centre = to_px(value);
  let reach = p.radius + 1.0;
  if (any(out.centre < vec2f(-reach)) || any(out.centre > p.size + reach)) {
    return out;
  }
  let side = vec2f(f32(corner & 1u), f32(corner >> 1u)) * 2.0 - 1.0;
  out.position = clip_position(out.centre + side * reach);
  out.colour = colour_of(records[3u * i + 2u]);
  return out;
}

@fragment
fn fs(in: Disc) -> @location(0) vec4f {
  return covered(in.colour, length(in.position.xy - in.centre), p.radius);
}
