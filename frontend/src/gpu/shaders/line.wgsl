// Lines through rows: one instance for each row, a quad around the segment to the next row, cut to the target first;
// the fragment's distance to the segment gives round caps, joins and antialiased edges. The colour is the later row's.
// A row between two breaks is a dot.
//
// records: x, y, colour value, maybe size (12 or 16 bytes a row)
// Far ends lie up to 2^22 px outside (encode.ts, needsAnchor), where float32 still resolves half a pixel.

struct Segment {
  @builtin(position) position: vec4f,
  @location(0) @interpolate(flat) ends: vec4f,
  @location(1) @interpolate(flat) colour: vec3f,
  @location(2) @interpolate(flat) radius: f32,
}

fn row(i: u32) -> vec2f {
  let o = u32(p.stride) * i;
  return vec2f(records[o], records[o + 1u]);
}

fn broken(value: vec2f) -> bool {
  return value.y > BREAK_ABOVE;
}

// Liang-Barsky: the two parameters inside the box, or (1, 0).
fn cut(a: vec2f, b: vec2f, low: vec2f, high: vec2f) -> vec2f {
  let d = b - a;
  var t = vec2f(0.0, 1.0);
  for (var axis = 0; axis < 2; axis++) {
    if (d[axis] == 0.0) {
      if (a[axis] < low[axis] || a[axis] > high[axis]) {
        return vec2f(1.0, 0.0);
      }
    } else {
      let t1 = (low[axis] - a[axis]) / d[axis];
      let t2 = (high[axis] - a[axis]) / d[axis];
      t = vec2f(max(t.x, min(t1, t2)), min(t.y, max(t1, t2)));
    }
  }
  return t;
}

@vertex
fn vs(@builtin(vertex_index) corner: u32, @builtin(instance_index) i: u32) -> Segment {
  var out: Segment;
  out.position = NOWHERE;
  let count = u32(p.count);
  let here = row(i);
  let next = min(i + 1u, count - 1u);
  let there = row(next);
  if (broken(here)) {
    return out;
  }
  var a = to_px(here);
  var b = to_px(there);
  out.radius = p.radius;
  var later = next;
  if (next == i || broken(there)) {
    let joined = i > 0u && !broken(row(max(i, 1u) - 1u));
    if (joined) {
      return out;
    }
    b = a;
    later = i;
    out.radius = p.radius * 2.5;
  }
  let margin = vec2f(out.radius + 2.0);
  let t = cut(a, b, -margin, p.size + margin);
  if (t.x > t.y) {
    return out;
  }
  let d = b - a;
  b = a + t.y * d;
  a = a + t.x * d;
  let extent = length(b - a);
  var along = vec2f(1.0, 0.0);
  if (extent > 1e-6) {
    along = (b - a) / extent;
  }
  let reach = out.radius + 1.0;
  let end = select(a - along * reach, b + along * reach, (corner & 1u) == 1u);
  let side = select(-reach, reach, (corner & 2u) == 2u);
  out.position = clip_position(end + vec2f(-along.y, along.x) * side);
  out.ends = vec4f(a, b);
  out.colour = colour_of(records[u32(p.stride) * later + 2u]);
  return out;
}

@fragment
fn fs(in: Segment) -> @location(0) vec4f {
  return covered(in.colour, to_segment(in.position.xy, in.ends.xy, in.ends.zw), in.radius);
}
