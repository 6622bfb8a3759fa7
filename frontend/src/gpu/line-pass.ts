import { makePass, type Pass } from './pass';
import shader from './shaders/line.wgsl?raw';

export function linePass(device: GPUDevice, layout: GPUBindGroupLayout, format: GPUTextureFormat): Pass {
  return makePass(device, layout, format, 'line', shader);
}
