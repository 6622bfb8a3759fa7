// Envelopes: one instance for each pixel column, a slice from halfway to the column before to halfway to the next.
// Slices do not overlap, so nothing is blended twice. The fragment's distance is the least of those to the three
// columns' least-to-greatest strokes and to the two joints, last of one to first of the next.
//
// records: x, first, least, greatest, last, colour value, linked to the column before (1 or 0), rows (32 bytes a column)

struct Slice {
  @builtin(position) position: vec4f,
  // x, least, greatest of the column before, this one and the next
  @location(0) @interpolate(flat) before: vec3f,
  @location(1) @interpolate(flat) here: vec3f,
  @location(2) @interpolate(flat) after: vec3f,
  // y of: last before, first here, last here, first after
  @location(3) @interpolate(flat) joints: vec4f,
  @location(4) @interpolate(flat) colour: vec3f,
}

struct Column {
  stroke: vec3f,
  first: f32,
  last: f32,
  linked: bool,
}

fn column(i: u32) -> Column {
  let o = 8u * i;
  let least = to_px(vec2f(records[o], records[o + 2u]));
  let greatest = to_px(vec2f(records[o], records[o + 3u]));
  let first = to_px(vec2f(records[o], records[o + 1u])).y;
  let last = to_px(vec2f(records[o], records[o + 4u])).y;
  // y grows downwards
  return Column(vec3f(least.x, greatest.y, least.y), first, last, records[o + 6u] > 0.5);
}

@vertex
fn vs(@builtin(vertex_index) corner: u32, @builtin(instance_index) i: u32) -> Slice {
  var out: Slice;
  let count = u32(p.count);
  let here = column(i);
  var before = here;
  var after = here;
  let has_before = i > 0u && here.linked;
  if (has_before) {
    before = column(i - 1u);
  }
  var has_after = false;
  if (i + 1u < count) {
    let next = column(i + 1u);
    has_after = next.linked;
    if (has_after) {
      after = next;
    }
  }
  let reach = p.radius + 1.0;
  let left = select(here.stroke.x - reach, (before.stroke.x + here.stroke.x) * 0.5, has_before);
  let right = select(here.stroke.x + reach, (here.stroke.x + after.stroke.x) * 0.5, has_after);
  let top = min(min(before.stroke.y, after.stroke.y), here.stroke.y) - reach;
  let bottom = max(max(before.stroke.z, after.stroke.z), here.stroke.z) + reach;
  let x = clamp(select(left, right, (corner & 1u) == 1u), -4.0, p.size.x + 4.0);
  let y = clamp(select(top, bottom, (corner & 2u) == 2u), -4.0, p.size.y + 4.0);
  out.position = clip_position(vec2f(x, y));
  out.before = before.stroke;
  out.here = here.stroke;
  out.after = after.stroke;
  out.joints = vec4f(
    select(here.first, before.last, has_before), here.first,
    here.last, select(here.last, after.first, has_after));
  out.colour = colour_of(records[8u * i + 5u]);
  return out;
}

fn to_stroke(at: vec2f, stroke: vec3f) -> f32 {
  return length(at - vec2f(stroke.x, clamp(at.y, stroke.y, stroke.z)));
}

@fragment
fn fs(in: Slice) -> @location(0) vec4f {
  let at = in.position.xy;
  var d = min(to_stroke(at, in.here), min(to_stroke(at, in.before), to_stroke(at, in.after)));
  d = min(d, to_segment(at, vec2f(in.before.x, in.joints.x), vec2f(in.here.x, in.joints.y)));
  d = min(d, to_segment(at, vec2f(in.here.x, in.joints.z), vec2f(in.after.x, in.joints.w)));
  return covered(in.colour, d, p.radius);
}
