/** Models, exported files and engines of a bench: opened from folders, closed together. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompleteOptions, TextModel } from '../decode/complete.ts';
import { nodeRuntime } from '../graph/node.ts';
import type { Runtime } from '../graph/session.ts';
import { bigramsOf } from '../model/bigrams.ts';
import { writeGguf } from '../model/gguf-write.ts';
import type { Overrides } from '../model/config-json.ts';
import { wantTokenizer } from '../model/folder-texts.ts';
import { type Checkpoint, loadCheckpoint } from '../model/hf.ts';
import { createDenoiser } from '../model/native.ts';
import type { Precision } from '../model/quantize.ts';
import { createTokenizer } from '../text/json.ts';
import type { BenchConfiguration } from './bench.ts';
import { decoderConfiguration, llamaConfiguration } from './bench-configurations.ts';
import type { BenchPlan } from './bench-plan.ts';
import { measureNonMatmulShare } from './bench-profile.ts';
import type { InfillRow } from './documents.ts';
import { openLlama } from './llama.ts';

/** Requests that are profiled for each configuration. */
const PROFILED_ROWS = 2;

export interface BenchModel {
  checkpoint: Checkpoint;
  open: (runtime: Runtime, precision: Precision) => TextModel;
}

/** Errors: those of `loadCheckpoint`; `bad_tokenizer` for a model without one. */
export async function loadBenchModel(
  dir: string,
  {
    threads,
    overrides,
    packed,
  }: { threads: number; overrides?: Overrides | undefined; packed?: boolean | undefined },
): Promise<BenchModel> {
  const checkpoint = await loadCheckpoint(dir, { overrides });
  const { config, tensors } = checkpoint;
  const tokenizer = createTokenizer(wantTokenizer(checkpoint));
  const bigrams = bigramsOf(checkpoint);
  const open: BenchModel['open'] = (runtime, precision) => ({
    denoiser: createDenoiser(runtime, config, tensors, {
      threads,
      precision,
      packed: precision === 'f32' ? packed : undefined,
      bigrams,
    }),
    tokenizer,
  });
  return { checkpoint, open };
}

export interface OpenRequest {
  plans: readonly BenchPlan[];
  model: BenchModel;
  twin: BenchModel | null;
  /** Of every configuration. */
  options: CompleteOptions & { maxTokens: number };
  /** Every answer is as long as it may be. */
  isFull?: boolean | undefined;
  threads: number;
  /** Path of a `llama-server`. */
  server?: string | undefined;
  /** Rows to profile with; none: no profile. */
  rows: readonly InfillRow[];
  signal?: AbortSignal | undefined;
}

export interface OpenBench {
  configurations: BenchConfiguration[];
  close(): Promise<void>;
}

/** Everything that is measured, ready to be asked. Errors: `unsupported`, those of the models. */
export async function openBench(request: OpenRequest): Promise<OpenBench> {
  const { plans, model, twin, options, isFull, threads, server, rows, signal } = request;
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closing.splice(0).toReversed()) await each();
  };
  const runtime = await nodeRuntime();
  const opened = new Map<BenchModel, Map<Precision, TextModel>>();
  const open = (source: BenchModel, precision: Precision = 'f32'): TextModel => {
    const byPrecision = opened.get(source) ?? new Map<Precision, TextModel>();
    opened.set(source, byPrecision);
    const found = byPrecision.get(precision) ?? source.open(runtime, precision);
    if (!byPrecision.has(precision)) closing.push(() => found.denoiser.close());
    byPrecision.set(precision, found);
    return found;
  };
  try {
    const configurations: BenchConfiguration[] = [];
    let exportDir: string | null = null;
    for (const plan of plans) {
      signal?.throwIfAborted();
      if (plan.kind === 'decoder') {
        const source = plan.mode === 'twin' ? twin! : model;
        // One token at a time has no block length.
        const { blockLength, ...shared } = options;
        const own = plan.options.mode === 'ar' ? shared : { ...shared, blockLength };
        const decoder = { ...plan, isFull, options: { ...own, ...plan.options } };
        const nonMatmulShare = await profile(source, decoder, rows.slice(0, PROFILED_ROWS), signal);
        configurations.push(
          decoderConfiguration({ ...decoder, model: open(source, plan.precision), nonMatmulShare }),
        );
        continue;
      }
      const source = twin ?? model;
      if (exportDir === null) {
        const dir = await mkdtemp(join(tmpdir(), 'tintype-bench-'));
        exportDir = dir;
        closing.push(() => rm(dir, { recursive: true, force: true }));
      }
      const path = join(exportDir, `${plan.type}.gguf`);
      await writeGguf(path, { ...source.checkpoint, name: 'bench', type: plan.type }, { signal });
      const { contextLength } = source.checkpoint.config;
      const llama = await openLlama(path, { contextLength, threads, server });
      closing.push(() => llama.close());
      configurations.push(
        llamaConfiguration({ type: plan.type, llama, model: open(source), options, isFull }),
      );
    }
    return { configurations, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The share of a few requests' time outside matrix products, or null without rows. */
async function profile(
  source: BenchModel,
  plan: Extract<BenchPlan, { kind: 'decoder' }> & { isFull?: boolean | undefined },
  rows: readonly InfillRow[],
  signal: AbortSignal | undefined,
): Promise<number | null> {
  if (rows.length === 0) return null;
  return measureNonMatmulShare(async (runtime) => {
    const model = source.open(runtime, plan.precision);
    const { complete } = decoderConfiguration({ ...plan, model });
    let elapsedMs = 0;
    for (const row of rows) elapsedMs += (await complete(row, signal)).elapsedMs;
    return { elapsedMs, close: () => model.denoiser.close() };
  });
}
