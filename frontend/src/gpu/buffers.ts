/** GPU copies of the scene's parts: an append writes its tail only; what is no longer drawn is given back. */

import type { Part } from '../model/scene';

interface Resident {
  buffer: GPUBuffer;
  bindGroup: GPUBindGroup;
  uploaded: number;
}

const LEAST_BYTES = 4096;

export class PartBuffers {
  private resident = new Map<Part, Resident>();
  private bound: { params: GPUBuffer; table: GPUBuffer } | null = null;

  constructor(
    private readonly device: GPUDevice,
    private readonly layout: GPUBindGroupLayout,
  ) {}

  /** After this the bind groups of before are of no use. */
  rebind(params: GPUBuffer, table: GPUBuffer): void {
    this.bound = { params, table };
    for (const entry of this.resident.values()) entry.bindGroup = this.group(entry.buffer);
  }

  bindGroup(part: Part): GPUBindGroup {
    let entry = this.resident.get(part);
    const bytes = part.floats * 4;
    if (!entry || entry.buffer.size < bytes) {
      entry?.buffer.destroy();
      const size = Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
      const buffer = this.device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
      entry = { buffer, bindGroup: this.group(buffer), uploaded: 0 };
      this.resident.set(part, entry);
    }
    if (entry.uploaded < part.floats) {
      this.device.queue.writeBuffer(entry.buffer, entry.uploaded * 4, part.data, entry.uploaded, part.floats - entry.uploaded);
      entry.uploaded = part.floats;
    }
    return entry.bindGroup;
  }

  keepOnly(parts: Set<Part>): void {
    for (const [part, entry] of this.resident) {
      if (parts.has(part)) continue;
      entry.buffer.destroy();
      this.resident.delete(part);
    }
  }

  private group(buffer: GPUBuffer): GPUBindGroup {
    const { params, table } = this.bound!;
    return this.device.createBindGroup({
      layout: this.layout,
      entries: [
        { binding: 0, resource: { buffer: params, size: 256 } },
        { binding: 1, resource: { buffer } },
        { binding: 2, resource: { buffer: table } },
      ],
    });
  }
}
