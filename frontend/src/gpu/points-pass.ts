import { makePass, type Pass } from './pass';
import shader from './shaders/points.wgsl?raw';

export function pointsPass(device: GPUDevice, layout: GPUBindGroupLayout, format: GPUTextureFormat): Pass {
  return makePass(device, layout, format, 'points', shader);
}
