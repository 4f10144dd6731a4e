/** What the page and the worker that runs models in the tab say to each other. */
import type { FromHost, ToWorker } from '../../src/decode/engine-messages.ts';
import type { SentError } from '../../src/decode/sent-error.ts';
import type { ServedModel } from '../../src/decode/engine-types.ts';

/** `auto`: WebGPU where a graphics processor answers, else WebAssembly. */
export type WantedDevice = 'auto' | 'webgpu' | 'wasm';

/** What computes, and why not something else. */
export interface Compute {
  device: 'webgpu' | 'wasm';
  /** Of WebAssembly. */
  threads: number;
  /** Sentences for a person; empty where everything is as wished. */
  reasons: string[];
}

/** `base`: address of the folder that the page stands in. */
export type ToTab = ToWorker | { type: 'open'; base: string; device: WantedDevice };

export type FromTab =
  | FromHost
  | { type: 'opened'; models: ServedModel[]; compute: Compute }
  | { type: 'unopenable'; error: SentError }
  /** Something else computes from now on. */
  | { type: 'compute'; compute: Compute }
  /** A download; `done` equals `total` at its end. Bytes. */
  | { type: 'progress'; what: string; doneBytes: number; totalBytes: number };

export const computeText = ({ device, threads }: Compute): string =>
  device === 'webgpu' ? 'WebGPU' : `WASM, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
