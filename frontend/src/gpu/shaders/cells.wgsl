// Cells of a density: one instance for each cell that holds rows, a square of whole pixels in the colour of its count.
//
// records: x, y of the centre, log10 of the count (12 bytes a cell)

struct Cell {
  @builtin(position) position: vec4f,
  @location(0) @interpolate(flat) colour: vec3f,
}

@vertex
fn vs(@builtin(vertex_index) corner: u32, @builtin(instance_index) i: u32) -> Cell {
  var out: Cell;
  let o = u32(p.stride) * i;
  let centre = to_px(vec2f(records[o], records[o + 1u]));
  let side = vec2f(f32(corner & 1u), f32(corner >> 1u)) * 2.0 - 1.0;
  out.position = clip_position(centre + side * p.radius);
  out.colour = colour_of(records[o + 2u]);
  return out;
}

@fragment
fn fs(in: Cell) -> @location(0) vec4f {
  return vec4f(in.colour, 1.0);
}
