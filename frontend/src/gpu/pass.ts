/** What the passes have in common: one pipeline each, quads by vertex pulling, premultiplied blending. */

import { PARAMS_WGSL } from './uniforms';
import common from './shaders/common.wgsl?raw';

export interface Pass {
  pipeline: GPURenderPipeline;
}

export const CORNERS = 4;

export function bindGroupLayout(device: GPUDevice): GPUBindGroupLayout {
  const vertex = GPUShaderStage.VERTEX;
  return device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: vertex | GPUShaderStage.FRAGMENT, buffer: { type: 'uniform', hasDynamicOffset: true } },
      { binding: 1, visibility: vertex, buffer: { type: 'read-only-storage' } },
      { binding: 2, visibility: vertex, buffer: { type: 'read-only-storage' } },
    ],
  });
}

export function makePass(device: GPUDevice, layout: GPUBindGroupLayout, format: GPUTextureFormat, label: string, shader: string): Pass {
  const module = device.createShaderModule({ label, code: PARAMS_WGSL + common + shader });
  const over: GPUBlendComponent = { srcFactor: 'one', dstFactor: 'one-minus-src-alpha' };
  const pipeline = device.createRenderPipeline({
    label,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    vertex: { module, entryPoint: 'vs' },
    fragment: { module, entryPoint: 'fs', targets: [{ format, blend: { color: over, alpha: over } }] },
    primitive: { topology: 'triangle-strip' },
  });
  return { pipeline };
}
