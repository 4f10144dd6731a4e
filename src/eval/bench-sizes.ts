/**
 * What a published model would cost on this machine, before a byte of it is downloaded: random weights of its shape, the time
 * of one step over 1, 4, 8 and 32 rows with 512 tokens cached. The curve over rows is what decides between diffusion and one
 * token at a time (ARCHITECTURE.md 3): eight rows that cost as much as two must give more than two tokens.
 *
 * A whole model would take gigabytes, so small ones are measured and scaled, which is said in the result: one layer under a
 * small head; a few layers more, which tells what a layer takes; and a larger head, which tells what its rows take. Values of
 * weights do not change the time.
 */
import type { Runtime } from '../graph/session.ts';
import { parameterShapes, elementCount, type ModelConfig, parameterCount } from '../model/config.ts';
import { type Denoiser, positionsFrom } from '../model/denoiser.ts';
import { createDenoiser } from '../model/native.ts';
import type { Precision } from '../model/quantize.ts';
import { createRng } from '../rng.ts';
import { percentile } from './metrics.ts';

export const SIZES = ['0.5b', '0.6b', '1.7b'] as const;
export type SizeName = (typeof SIZES)[number];

type Shape = Pick<
  ModelConfig,
  'width' | 'layers' | 'heads' | 'kvHeads' | 'headDim' | 'ffnWidth' | 'vocabSize'
>;

/**
 * Of config.json of Qwen/Qwen2.5-0.5B, Qwen/Qwen3-0.6B and Qwen/Qwen3-1.7B, from which the published diffusion models of
 * these sizes were made (A2D, Open-dCoder, SDAR). The first is run with Qwen3's q/k norms in place of its biases.
 */
export const SHAPES: Record<SizeName, { name: string; shape: Shape }> = {
  '0.5b': {
    name: 'Qwen2.5-0.5B',
    shape: { width: 896, layers: 24, heads: 14, kvHeads: 2, headDim: 64, ffnWidth: 4864, vocabSize: 151_936 },
  },
  '0.6b': {
    name: 'Qwen3-0.6B',
    shape: {
      width: 1024,
      layers: 28,
      heads: 16,
      kvHeads: 8,
      headDim: 128,
      ffnWidth: 3072,
      vocabSize: 151_936,
    },
  },
  '1.7b': {
    name: 'Qwen3-1.7B',
    shape: {
      width: 2048,
      layers: 28,
      heads: 16,
      kvHeads: 8,
      headDim: 128,
      ffnWidth: 6144,
      vocabSize: 151_936,
    },
  },
};

export const BENCH_ROWS: readonly number[] = [1, 4, 8, 32];
const CACHED = 512;
/** Rows of the head that are measured; the rest is scaled. */
const HEAD_ROWS = 32_768;
const SMALL_HEAD_ROWS = 512;

export interface SizeOptions {
  /** Layers that are measured beside the first. Default 2. */
  layers?: number | undefined;
  threads: number;
  /** Each is measured. Default: f32. */
  precisions?: readonly Precision[] | undefined;
  /** Steps timed for each point; the median counts. Default 5. */
  repeat?: number | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number, note: string) => void) | undefined;
  nowMs?: (() => number) | undefined;
}

export interface SizeSteps {
  rows: number;
  /** Of a step of the whole model, scaled. */
  ms: number;
  msPerRow: number;
  /** All layers, with what a step costs whatever its size. */
  layersMs: number;
  headMs: number;
}

export interface ModelSize {
  name: string;
  parameters: number;
  layers: number;
  precision: Precision;
  steps: SizeSteps[];
}

export interface SizeResult {
  cached: number;
  measuredLayers: number;
  headRows: number;
  models: ModelSize[];
}

/** Errors: `aborted`. */
export async function benchSizes(
  runtime: Runtime,
  names: readonly SizeName[],
  options: SizeOptions,
): Promise<SizeResult> {
  const { precisions = ['f32'], layers = 2, onProgress } = options;
  const cases = names.flatMap((name) => precisions.map((precision) => ({ ...SHAPES[name], precision })));
  const models: ModelSize[] = [];
  for (const [index, each] of cases.entries()) {
    models.push(
      await benchShape(runtime, each, {
        ...options,
        layers,
        onProgress: (done, total, note) => onProgress?.(index * total + done, cases.length * total, note),
      }),
    );
  }
  return { cached: CACHED, measuredLayers: layers, headRows: HEAD_ROWS, models };
}

/** One shape; exported for tests with a small one. */
export async function benchShape(
  runtime: Runtime,
  { name, shape, precision = 'f32' }: { name: string; shape: Shape; precision?: Precision },
  options: SizeOptions & { layers: number },
): Promise<ModelSize> {
  const headRows = Math.min(HEAD_ROWS, shape.vocabSize);
  const parts: [layers: number, vocabSize: number][] = [
    [1, SMALL_HEAD_ROWS],
    [1 + options.layers, SMALL_HEAD_ROWS],
    [1, headRows],
  ];
  const times: number[][] = [];
  for (const [index, [layers, vocabSize]] of parts.entries()) {
    options.signal?.throwIfAborted();
    const config: ModelConfig = { ...BASE, ...shape, layers, vocabSize };
    const denoiser = createDenoiser(runtime, config, randomTensors(config), {
      threads: options.threads,
      precision,
    });
    try {
      times.push(await timeSteps(denoiser, options));
    } finally {
      await denoiser.close();
    }
    options.onProgress?.(index + 1, parts.length, `${name} ${precision}`);
  }
  const [small, deeper, wider] = times;
  const steps = BENCH_ROWS.map((rows, i): SizeSteps => {
    // Noise can make a small part look cheaper than nothing.
    const layerMs = Math.max(0, deeper[i] - small[i]) / options.layers;
    const headMs =
      (Math.max(0, wider[i] - small[i]) / (headRows - SMALL_HEAD_ROWS)) * (shape.vocabSize - SMALL_HEAD_ROWS);
    const layersMs = small[i] + layerMs * (shape.layers - 1);
    const ms = layersMs + headMs;
    return { rows, ms, msPerRow: ms / rows, layersMs, headMs };
  });
  const parameters = parameterCount({ ...BASE, ...shape });
  return { name, parameters, layers: shape.layers, precision, steps };
}

const BASE = {
  modelType: 'qwen3',
  layout: 'blockCausal',
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 1e6,
  contextLength: 2 * CACHED,
  blockLength: 32,
  tokens: { mask: 0, eos: [1], pad: null, bos: null },
} as const satisfies Partial<ModelConfig>;

/** Small normal numbers, the same few over and over: making hundreds of millions of them would take longer than the bench. */
function randomTensors(config: ModelConfig): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const rng = createRng(0, 'sizes');
  const some = Float32Array.from({ length: 1 << 16 }, () => 0.02 * rng.normal());
  return new Map(
    parameterShapes(config).map(({ name, shape }) => {
      const data = new Float32Array(elementCount(shape));
      for (let at = 0; at < data.length; at += some.length) data.set(some.subarray(0, data.length - at), at);
      return [name, { shape, data }];
    }),
  );
}

/** Median milliseconds of a step, for each number of rows. */
async function timeSteps(
  denoiser: Denoiser,
  { repeat = 5, signal, nowMs = () => performance.now() }: SizeOptions,
): Promise<number[]> {
  const want = { topK: 1, entropy: false };
  const cache = denoiser.createCache();
  const prompt = {
    ids: new Int32Array(CACHED),
    positions: positionsFrom(0, CACHED),
    cache,
    query: Int32Array.of(),
  };
  await denoiser.forward([{ ...prompt, attention: { kind: 'causal' }, write: CACHED }], want);
  const medians: number[] = [];
  for (const rows of BENCH_ROWS) {
    const run = {
      ids: new Int32Array(rows),
      positions: positionsFrom(CACHED, rows),
      attention: { kind: 'full' } as const,
      cache,
      write: 0,
      query: positionsFrom(0, rows),
    };
    const times: number[] = [];
    // The first step of a shape allocates and is not counted.
    for (let i = 0; i <= repeat; i++) {
      signal?.throwIfAborted();
      const startMs = nowMs();
      await denoiser.forward([run], want);
      if (i > 0) times.push(nowMs() - startMs);
    }
    medians.push(percentile(times, 0.5));
  }
  return medians;
}
