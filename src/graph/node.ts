/** The runtime on Node: onnxruntime-node, loaded when first needed (its library is 45 MB). */
import type { Runtime } from './session.ts';

let runtime: Promise<Runtime> | null = null;

export function nodeRuntime(): Promise<Runtime> {
  runtime ??= import('onnxruntime-node').then((module) => module.default ?? module);
  return runtime;
}
