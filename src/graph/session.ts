/**
 * Running a graph on ONNX Runtime. The runtime is injected, so that this file serves Node (onnxruntime-node) and the
 * browser (onnxruntime-web). `run` blocks the thread it is called on: models live in worker threads.
 */
import type * as Ort from 'onnxruntime-common';
import { assert } from '../errors.ts';
import { encodeOnnx, type Places } from './onnx.ts';
import type { Graph } from './graph.ts';

/** The part of ONNX Runtime that is used. */
export type Runtime = Pick<typeof Ort, 'InferenceSession' | 'Tensor'>;
export type Tensor = Ort.Tensor;

/**
 * Constants in files, which ONNX Runtime maps and lets go of once it has packed them for its kernels: creating a session
 * then needs room for one copy of the weights (measured: 1.1 of it; 5.7 when they are part of the model).
 */
export interface StoredConstants {
  folder: string;
  places: Places;
}

export interface SessionOptions {
  /** `webgpu` falls back to the CPU for operators it lacks. */
  device?: 'cpu' | 'webgpu';
  /** Threads inside one operator; default: ONNX Runtime's choice, one a core. */
  threads?: number;
  /**
   * Busy-waiting between the operators of a run: quicker alone, wasteful where others share the cores. Default true. It ends
   * with the run: threads that go on waiting for the next one take a core from JavaScript, and from the next session.
   */
  spin?: boolean;
  /** Where constants stand that are not part of the model: a folder and the places in its files. */
  stored?: StoredConstants | undefined;
  /**
   * Packs weights for the kernels, a copy in memory of its own (default). Without it floats stay in the file that is
   * mapped: a fifth of the work to load, memory that processes share, and products of 2 to 16 rows 1.4 to 1.7 times as
   * long (1 and 128 rows 1.05; measured with 2048 x 6144). Of quantised weights all products then are far slower.
   */
  packed?: boolean | undefined;
  /** 8-bit products by kernels that never saturate, where the quick ones do (`saturates`). */
  exactBytes?: boolean | undefined;
  /** Path prefix for ONNX Runtime's trace of every node, written when the session closes. */
  profile?: string | undefined;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param feeds a tensor per input; ones that the graph does not use are ignored
   * @param fetches tensors to be written in place; outputs without one are allocated. A fetch may share its buffer
   *   with a feed (gradient accumulation): every node that reads it runs before the one that writes it.
   */
  run(feeds: Record<string, Tensor>, fetches?: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Compiles a graph. */
export async function createSession(
  runtime: Runtime,
  graph: Graph,
  { device = 'cpu', threads, spin = true, stored, packed = true, exactBytes, profile }: SessionOptions = {},
): Promise<Session> {
  const session = await runtime.InferenceSession.create(encodeOnnx(graph, stored?.places), {
    executionProviders: device === 'webgpu' ? ['webgpu', 'cpu'] : ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
    extra: {
      session: {
        intra_op: { allow_spinning: spin ? '1' : '0' },
        force_spinning_stop: '1',
        ...(exactBytes ? { x64quantprecision: '1' } : {}),
        ...(packed ? {} : { disable_prepacking: '1' }),
        ...(stored && { model_external_initializers_file_folder_path: stored.folder }),
      },
    },
  });
  const { inputNames, outputNames } = session;
  return {
    inputNames,
    outputNames,
    run: async (feeds, fetches) => {
      const used: Record<string, Tensor> = {};
      for (const name of inputNames) {
        const tensor = feeds[name];
        assert(tensor, `no tensor for input ${name}`);
        used[name] = tensor;
      }
      if (!fetches) return session.run(used);
      const wanted: Record<string, Tensor | null> = {};
      for (const name of outputNames) wanted[name] = fetches[name] ?? null;
      return session.run(used, wanted);
    },
    close: () => {
      if (profile !== undefined) session.endProfiling();
      return session.release();
    },
  };
}
