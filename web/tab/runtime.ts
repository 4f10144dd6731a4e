/** ONNX Runtime in a browser: its WebGPU build where a graphics processor answers, else its WebAssembly build. */
import type { Env } from 'onnxruntime-common';
import wasmLoader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmBinary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import gpuLoader from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import gpuBinary from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import type { Runtime } from '../../src/graph/session.ts';
import type { Compute, WantedDevice } from './messages.ts';

export interface Opened {
  runtime: Runtime;
  compute: Compute;
}

/** More threads wait for each other longer than they compute, at the size of the bundled models. */
const MOST_THREADS = 4;

const NOT_ISOLATED =
  'One thread only: whoever serves this page does not isolate it from other sites (the headers COOP and COEP).';
const NOT_SECURE =
  'One thread only, and the weights are fetched on every visit: this page came over plain http from another machine.';

interface GraphicsProcessor {
  requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean } } | null>;
}

/** Why WebGPU is not taken; null where it is. A software renderer counts only when it is asked for. */
async function whyNotWebGpu(wanted: WantedDevice): Promise<string | null> {
  if (wanted === 'wasm') return '';
  const { gpu } = navigator as { gpu?: GraphicsProcessor };
  if (!gpu) return 'This browser offers no WebGPU here.';
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return 'WebGPU finds no graphics processor.';
  if (wanted === 'auto' && adapter.info?.isFallbackAdapter) {
    return 'WebGPU finds a software renderer only, which is slower than WebAssembly.';
  }
  return null;
}

/** @param failed why WebGPU was given up, when it was */
export async function openRuntime(wanted: WantedDevice, failed: string | null = null): Promise<Opened> {
  const why = failed ?? (await whyNotWebGpu(wanted));
  if (why === null) {
    const { env, InferenceSession, Tensor } = await import('onnxruntime-web/webgpu');
    // What has no kernel on the graphics processor computes on one thread.
    prepare(env, { mjs: gpuLoader, wasm: gpuBinary }, 1);
    return { runtime: { InferenceSession, Tensor }, compute: { device: 'webgpu', threads: 1, reasons: [] } };
  }
  const { env, InferenceSession, Tensor } = await import('onnxruntime-web/wasm');
  const threads = crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  prepare(env, { mjs: wasmLoader, wasm: wasmBinary }, threads);
  const reasons = [why, crossOriginIsolated ? '' : isSecureContext ? NOT_ISOLATED : NOT_SECURE].filter(
    (reason) => reason !== '',
  );
  return { runtime: { InferenceSession, Tensor }, compute: { device: 'wasm', threads, reasons } };
}

function prepare(env: Env, paths: { mjs: string; wasm: string }, threads: number): void {
  const absolute = (path: string): string => new URL(path, import.meta.url).href;
  env.wasm.wasmPaths = { mjs: absolute(paths.mjs), wasm: absolute(paths.wasm) };
  env.wasm.numThreads = threads;
  env.logLevel = 'error';
}
