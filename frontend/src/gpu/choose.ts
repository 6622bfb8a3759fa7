/** Which renderer draws here, and in which words the page says so. */

import type { RendererChoice } from '../model/document';
import type { RendererFactory, RendererHandle } from '../model/renderer';
import { CanvasRenderer } from './canvas-renderer';
import { WebGpuRenderer } from './webgpu-renderer';

const MOST_LOSSES = 3;

/** `null`: there is WebGPU, but the processor does its work; Canvas asks less of it (docs/benchmarks.md). */
async function requestDevice(evenFallback: boolean): Promise<GPUDevice | string | null> {
  if (!('gpu' in navigator)) {
    return isSecureContext
      ? 'This browser has no WebGPU; drawing with Canvas.'
      : 'WebGPU needs a secure page: use https or localhost. Drawing with Canvas.';
  }
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return 'WebGPU found no graphics adapter; drawing with Canvas.';
    if (adapter.info.isFallbackAdapter && !evenFallback) return null;
    return await adapter.requestDevice();
  } catch (error) {
    return `WebGPU could not start (${error instanceof Error ? error.message : String(error)}); drawing with Canvas.`;
  }
}

export function rendererFactory(choice: RendererChoice): RendererFactory {
  return async (canvas, lostBefore, onLost): Promise<RendererHandle> => {
    const withCanvas = (notice: string): RendererHandle => ({ renderer: new CanvasRenderer(canvas), notice });
    if (choice === 'canvas') return withCanvas('Drawing with Canvas, as the address asks.');
    if (lostBefore >= MOST_LOSSES) return withCanvas('The graphics device was lost several times; drawing with Canvas.');
    const device = await requestDevice(choice === 'webgpu');
    if (device === null) return withCanvas('');
    if (typeof device === 'string') return withCanvas(device);
    void device.lost.then(({ reason }) => {
      if (reason !== 'destroyed') onLost();
    });
    const context = canvas.getContext('webgpu')!;
    return { renderer: new WebGpuRenderer(device, context, navigator.gpu.getPreferredCanvasFormat()), notice: '' };
  };
}
