/** Draws a picture with WebGPU: one render pass, one submit. */

import { CELL_PX } from '../model/density';
import type { DrawItem, DrawnMark, Picture, Pixels, Renderer } from '../model/renderer';
import { SIZED_RADIUS_PX } from '../model/renderer';
import { FLOATS_PER, placement, visibleRecords, type Part } from '../model/scene';
import { PartBuffers } from './buffers';
import { cellsPass } from './cells-pass';
import { envelopePass } from './envelope-pass';
import { linePass } from './line-pass';
import { bindGroupLayout, CORNERS, type Pass } from './pass';
import { pointsPass } from './points-pass';
import { PARAMS_STRIDE, writeParams } from './uniforms';

interface Draw {
  pass: Pass;
  part: Part;
  from: number;
  to: number;
}

type PassName = DrawnMark | 'envelope';

export class WebGpuRenderer implements Renderer {
  readonly kind = 'webgpu';
  private readonly passes: Record<PassName, Pass>;
  private readonly buffers: PartBuffers;
  private table: GPUBuffer;
  private params: GPUBuffer;
  private staging = new Float32Array((PARAMS_STRIDE / 4) * 64);
  private shownTables: Uint8Array | null = null;

  constructor(
    private readonly device: GPUDevice,
    private readonly context: GPUCanvasContext,
    private readonly format: GPUTextureFormat,
  ) {
    const layout = bindGroupLayout(device);
    this.passes = {
      line: linePass(device, layout, format),
      points: pointsPass(device, layout, format),
      cells: cellsPass(device, layout, format),
      envelope: envelopePass(device, layout, format),
    };
    this.buffers = new PartBuffers(device, layout);
    this.table = this.tableBuffer(1024);
    this.params = this.paramsBuffer();
    context.configure({ device, format, alphaMode: 'premultiplied' });
  }

  draw(picture: Picture): Promise<void> {
    const { canvas } = this.context;
    const { width, height } = picture;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const encoder = this.device.createCommandEncoder();
    this.encode(picture, encoder, this.context.getCurrentTexture(), [0, 0, 0, 0]);
    this.device.queue.submit([encoder.finish()]);
    return this.device.queue.onSubmittedWorkDone();
  }

  async readPixels(picture: Picture): Promise<Pixels> {
    const { width, height } = picture;
    const texture = this.device.createTexture({
      size: [width, height], format: this.format,
      usage: GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC,
    });
    const bytesPerRow = Math.ceil((width * 4) / 256) * 256;
    const buffer = this.device.createBuffer({ size: bytesPerRow * height, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = this.device.createCommandEncoder();
    const [r, g, b] = picture.ground;
    this.encode(picture, encoder, texture, [r / 255, g / 255, b / 255, 1]);
    encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
    this.device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    const bytes = new Uint8Array(buffer.getMappedRange());
    const data = new Uint8ClampedArray(width * height * 4);
    for (let y = 0; y < height; y += 1) data.set(bytes.subarray(y * bytesPerRow, y * bytesPerRow + width * 4), y * width * 4);
    if (this.format === 'bgra8unorm') {
      for (let i = 0; i < data.length; i += 4) [data[i], data[i + 2]] = [data[i + 2]!, data[i]!];
    }
    buffer.destroy();
    texture.destroy();
    return { width, height, data };
  }

  destroy(): void {
    this.device.destroy();
  }

  private paramsBuffer(): GPUBuffer {
    const buffer = this.device.createBuffer({ size: this.staging.byteLength, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    this.buffers.rebind(buffer, this.table);
    return buffer;
  }

  private tableBuffer(size: number): GPUBuffer {
    return this.device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  }

  private encode(picture: Picture, encoder: GPUCommandEncoder, texture: GPUTexture, clear: [number, number, number, number]): void {
    const draws = this.prepare(picture);
    const pass = encoder.beginRenderPass({
      colorAttachments: [{ view: texture.createView(), loadOp: 'clear', storeOp: 'store', clearValue: clear }],
    });
    let current: Pass | null = null;
    draws.forEach((draw, index) => {
      if (draw.pass !== current) pass.setPipeline((current = draw.pass).pipeline);
      pass.setBindGroup(0, this.buffers.bindGroup(draw.part), [index * PARAMS_STRIDE]);
      pass.draw(CORNERS, draw.to - draw.from, 0, draw.from);
    });
    pass.end();
  }

  /** Uploads what changed and returns what is to be drawn, in order. */
  private prepare(picture: Picture): Draw[] {
    const { items, tables } = picture;
    this.takeTables(tables);
    const needed = (items.reduce((sum, { marks }) => sum + marks.length, 0) * PARAMS_STRIDE) / 4;
    if (needed > this.staging.length) {
      this.staging = new Float32Array(needed * 2);
      this.params.destroy();
      this.params = this.paramsBuffer();
    }
    this.buffers.keepOnly(new Set(items.map((item) => item.part)));
    const draws: Draw[] = [];
    for (const item of items) this.place(item, picture, draws);
    if (draws.length > 0) this.device.queue.writeBuffer(this.params, 0, this.staging, 0, (draws.length * PARAMS_STRIDE) / 4);
    return draws;
  }

  private takeTables(tables: Uint8Array<ArrayBuffer>): void {
    if (tables === this.shownTables) return;
    if (tables.byteLength > this.table.size) {
      this.table.destroy();
      this.table = this.tableBuffer(tables.byteLength);
      this.buffers.rebind(this.params, this.table);
    }
    this.device.queue.writeBuffer(this.table, 0, tables);
    this.shownTables = tables;
  }

  private place(item: DrawItem, picture: Picture, draws: Draw[]): void {
    const { part, view, colour, ramp, size, fade, marks } = item;
    const { ratio, ground } = picture;
    const at = placement(part.frame, view);
    const [from, to] = visibleRecords(part, at, view.width, (size ? SIZED_RADIUS_PX[1] : 24) * ratio);
    if (to <= from) return;
    for (const mark of marks) {
      const sized = mark === 'points' && size;
      const radius = mark === 'points' ? (sized ? SIZED_RADIUS_PX[0] : item.radius) : item.width / 2;
      writeParams(this.staging, draws.length, {
        scale: [at.sx, at.sy],
        offset: [at.ox, at.oy],
        size: [view.width, view.height],
        radius: mark === 'cells' ? CELL_PX / 2 : radius * ratio,
        fade,
        colour: [colour[0] / 255, colour[1] / 255, colour[2] / 255, 1],
        ground: [ground[0] / 255, ground[1] / 255, ground[2] / 255, 1],
        ramp_scale: ramp?.scale ?? 0,
        ramp_offset: ramp?.offset ?? 0,
        coloured: ramp ? 1 : 0,
        count: part.count,
        table_from: (ramp?.table ?? 0) * 256,
        stride: FLOATS_PER[part.kind],
        size_scale: sized ? sized.scale : 0,
        size_offset: sized ? sized.offset : 0,
        radius_most: sized ? SIZED_RADIUS_PX[1] * ratio : 0,
      });
      draws.push({ pass: this.passes[part.kind === 'columns' ? 'envelope' : mark], part, from, to });
    }
  }
}
