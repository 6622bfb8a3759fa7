import { makePass, type Pass } from './pass';
import shader from './shaders/envelope.wgsl?raw';

export function envelopePass(device: GPUDevice, layout: GPUBindGroupLayout, format: GPUTextureFormat): Pass {
  return makePass(device, layout, format, 'envelope', shader);
}
