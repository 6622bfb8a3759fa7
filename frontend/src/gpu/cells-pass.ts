import { makePass, type Pass } from './pass';
import shader from './shaders/cells.wgsl?raw';

export function cellsPass(device: GPUDevice, layout: GPUBindGroupLayout, format: GPUTextureFormat): Pass {
  return makePass(device, layout, format, 'cells', shader);
}
