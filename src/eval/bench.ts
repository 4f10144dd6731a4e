/**
 * The bench: several ways of answering the same requests, compared in one run of one process. Speed is only ever a ratio
 * within such a run, because a machine is never twice in the same state:
 *
 * - every prompt is answered by all configurations one after the other, in an order drawn anew for each prompt and
 *   repeat, so that a slow minute, a warm cache or a hot core falls on all of them alike;
 * - a request's time is the median of its repeats, and the whole of it: prompt, prefill, every forward, text;
 * - beside the clock stands the time that the cores worked for it (`perCpuSecond`), which other programs disturb far less; it
 *   says nothing of waiting, and with more than one thread it counts cores that spin;
 * - only useful tokens count, those that begin before the end of the text or the stop;
 * - quality is scored on the same answers, so that speed never stands alone.
 *
 * The harness knows nothing of models: a configuration is a name and a function. Clocks and randomness are arguments.
 */
import { assert } from '../errors.ts';
import { createRng, shuffle } from '../rng.ts';
import {
  accuracyUnderParallelism,
  type Rate,
  rateInterval,
  ratioInterval,
  resamples,
} from './bench-statistics.ts';
import type { InfillRow } from './documents.ts';
import { scoreRow, type RowScore } from './fim.ts';
import { mean, percentile } from './metrics.ts';
import { rooflineOf, type Roofline } from './roofline.ts';

/** What a configuration is a setting of; one series of the plot. */
export type BenchMode = 'diffusion' | 'verify' | 'ar' | 'twin' | 'llama';

/** Those that others are compared with. */
const REFERENCES: readonly BenchMode[] = ['twin', 'llama'];

/** What one request gave. */
export interface BenchReply {
  text: string;
  /** Useful ones. */
  tokens: number;
  /** Forwards of the model. */
  nfe: number;
  /** From the start of the request to the first settled text. */
  firstMs: number;
  elapsedMs: number;
  /** Positions that prompt and answer took or could have taken. */
  positions: number;
}

export interface BenchConfiguration {
  /** `diffusion@0.9`. */
  name: string;
  mode: BenchMode;
  options: Readonly<Record<string, unknown>>;
  complete: (row: InfillRow, signal: AbortSignal | undefined) => Promise<BenchReply>;
  /** Bytes of the weights and of the keys and values of so many positions. */
  memoryBytes: (positions: number) => number;
  /** Share of a request's time outside matrix products, where it was measured. */
  nonMatmulShare: number | null;
  /** It computes in another process, so that the time of this one's cores says nothing of it. */
  isRemote?: boolean | undefined;
}

export interface BenchRun {
  name: string;
  mode: BenchMode;
  options: Readonly<Record<string, unknown>>;
  /** Useful tokens a second over whole requests, and its 95 % interval over prompts. */
  usefulTokensPerSecond: number;
  intervalLow: number;
  intervalHigh: number;
  /** Useful tokens a second of work of all cores together; null for what computes elsewhere. */
  usefulTokensPerCpuSecond: number | null;
  /** Share of rows, 0 to 1. */
  exactMatch: number;
  exactMatchStandardError: number | null;
  editSimilarity: number;
  parseRate: number | null;
  /** Useful tokens a forward. */
  tpf: number;
  /** Forwards of all prompts, once. */
  nfe: number;
  /** Useful tokens of all prompts, once. */
  tokens: number;
  p50Ms: number;
  p95Ms: number;
  firstP50Ms: number;
  firstP95Ms: number;
  memoryBytes: number;
  nonMatmulShare: number | null;
}

export interface BenchResult {
  prompts: number;
  /** Requests measured for each prompt and configuration; fewer for some where the run was interrupted. */
  repeat: number;
  isInterrupted: boolean;
  runs: BenchRun[];
  /** Useful tokens a second over those of a reference: `diffusion@0.9/twin`. */
  ratios: Record<string, number>;
  /** Their 95 % intervals, resampled in pairs. */
  ratioIntervals: Record<string, [low: number, high: number]>;
  /** The same of useful tokens a second of work of the cores. */
  cpuRatios: Record<string, number>;
  /** What the transcripts would be worth where rows are free, computed from the twin's times; null without one. */
  roofline: Roofline | null;
  /** Accuracy under parallelism by mode (`accuracyUnderParallelism`, exact match); null where nothing matched. */
  aup: Record<string, number | null>;
}

export interface BenchOptions {
  /** Default 1. */
  repeat?: number | undefined;
  /** Of the orders and the resampling. Default 0. */
  seed?: number | undefined;
  /** Of the bootstrap. Default 1000. */
  resampleCount?: number | undefined;
  /** Milliseconds that the cores have worked for this process. */
  cpuMs?: (() => number) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number, name: string) => void) | undefined;
}

/** Samples of one configuration, by prompt, then by repeat. */
type Samples = (BenchReply & { cpuMs: number })[][];

const processCpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * Measures all configurations on all rows, after one request each that is not counted. An interrupt ends the run with
 * what is there, once every configuration has answered a prompt; before that it is thrown.
 */
export async function bench(
  rows: readonly InfillRow[],
  configurations: readonly BenchConfiguration[],
  options: BenchOptions = {},
): Promise<BenchResult> {
  const { repeat = 1, seed = 0, resampleCount = 1000, cpuMs = processCpuMs, signal, onProgress } = options;
  assert(rows.length > 0 && configurations.length > 0, 'a bench needs rows and configurations');
  const samples: Samples[] = configurations.map(() => rows.map(() => []));
  const total = repeat * rows.length * configurations.length;
  const orders = createRng(seed, 'bench-order');
  let done = 0;
  try {
    for (const { complete } of configurations) await complete(rows[0], signal);
    for (let round = 0; round < repeat; round++) {
      for (const [prompt, row] of rows.entries()) {
        for (const index of shuffle([...configurations.keys()], orders)) {
          signal?.throwIfAborted();
          const startCpuMs = cpuMs();
          const reply = await configurations[index].complete(row, signal);
          samples[index][prompt].push({ ...reply, cpuMs: cpuMs() - startCpuMs });
          done++;
          onProgress?.(done, total, configurations[index].name);
        }
      }
    }
  } catch (error) {
    if (!signal?.aborted || !rows.some((_, prompt) => isMeasured(samples, prompt))) throw error;
  }

  const measured = rows.flatMap((_, prompt) => (isMeasured(samples, prompt) ? [prompt] : []));
  const draws = resamples(measured.length, resampleCount, createRng(seed, 'bench-bootstrap'));
  const kept = samples.map((all) => measured.map((prompt) => all[prompt]));
  const keptRows = measured.map((prompt) => rows[prompt]);
  const runs = configurations.map((configuration, i) => summarize(configuration, keptRows, kept[i], draws));
  return {
    prompts: measured.length,
    repeat,
    isInterrupted: done < total,
    runs,
    ...ratiosOf(configurations, kept, draws),
    roofline: roofline(runs, kept),
    aup: aupByMode(runs),
  };
}

const isMeasured = (samples: readonly Samples[], prompt: number): boolean =>
  samples.every((all) => all[prompt].length > 0);

const median = (values: readonly number[]): number => percentile(values, 0.5);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Useful tokens and seconds of each prompt; its time is the median of the repeats. */
const speedOf = (samples: Samples, clock: 'elapsedMs' | 'firstMs' | 'cpuMs' = 'elapsedMs'): Rate => ({
  amount: samples.map(([first]) => first.tokens),
  cost: samples.map((replies) => median(replies.map((reply) => reply[clock])) / 1000),
});

const cpuSpeed = ({ isRemote }: BenchConfiguration, samples: Samples): number | null => {
  const { amount, cost } = speedOf(samples, 'cpuMs');
  return isRemote || sum(cost) === 0 ? null : sum(amount) / sum(cost);
};

function summarize(
  configuration: BenchConfiguration,
  rows: readonly InfillRow[],
  samples: Samples,
  draws: readonly Uint32Array[],
): BenchRun {
  const { name, mode, options, memoryBytes, nonMatmulShare } = configuration;
  const firsts = samples.map(([first]) => first);
  const scores: RowScore[] = rows.map((row, i) => scoreRow(row, firsts[i].text));
  const exact = mean(scores.map(({ isExact }) => (isExact ? 1 : 0)));
  const parsed = scores.flatMap(({ parses }) => (parses === null ? [] : [parses ? 1 : 0]));
  const speed = rateInterval(speedOf(samples), draws);
  const tokens = sum(firsts.map((reply) => reply.tokens));
  const nfe = sum(firsts.map((reply) => reply.nfe));
  const all = samples.flat();
  const elapsedMs = all.map((reply) => reply.elapsedMs);
  const firstMs = all.map((reply) => reply.firstMs);
  return {
    name,
    mode,
    options,
    usefulTokensPerSecond: speed.value,
    intervalLow: speed.low,
    intervalHigh: speed.high,
    usefulTokensPerCpuSecond: cpuSpeed(configuration, samples),
    exactMatch: exact.value,
    exactMatchStandardError: exact.standardError,
    editSimilarity: mean(scores.map(({ similarity }) => similarity)).value,
    parseRate: parsed.length > 0 ? mean(parsed).value : null,
    tpf: tokens / Math.max(1, nfe),
    nfe,
    tokens,
    p50Ms: percentile(elapsedMs, 0.5),
    p95Ms: percentile(elapsedMs, 0.95),
    firstP50Ms: percentile(firstMs, 0.5),
    firstP95Ms: percentile(firstMs, 0.95),
    memoryBytes: memoryBytes(Math.max(...all.map(({ positions }) => positions))),
    nonMatmulShare,
  };
}

/** Everything over every reference; references over each other once, in the order given. */
function ratiosOf(
  configurations: readonly BenchConfiguration[],
  samples: readonly Samples[],
  draws: readonly Uint32Array[],
): Pick<BenchResult, 'ratios' | 'ratioIntervals' | 'cpuRatios'> {
  const ratios: Record<string, number> = {};
  const ratioIntervals: Record<string, [number, number]> = {};
  const cpuRatios: Record<string, number> = {};
  const cpuSpeeds = configurations.map((configuration, i) => cpuSpeed(configuration, samples[i]));
  for (const [bottom, reference] of configurations.entries()) {
    if (!REFERENCES.includes(reference.mode)) continue;
    for (const [top, { name, mode }] of configurations.entries()) {
      if (top === bottom || (REFERENCES.includes(mode) && top < bottom)) continue;
      const { value, low, high } = ratioInterval(speedOf(samples[top]), speedOf(samples[bottom]), draws);
      ratios[`${name}/${reference.name}`] = value;
      ratioIntervals[`${name}/${reference.name}`] = [low, high];
      const [ours, theirs] = [cpuSpeeds[top], cpuSpeeds[bottom]];
      if (ours !== null && theirs !== null) cpuRatios[`${name}/${reference.name}`] = ours / theirs;
    }
  }
  return { ratios, ratioIntervals, cpuRatios };
}

/** Of what this program decodes, against the twin as it decodes it. */
function roofline(runs: readonly BenchRun[], samples: readonly Samples[]): Roofline | null {
  const work = runs.map(({ name, tokens, nfe }, i) => {
    const total = (clock: 'elapsedMs' | 'firstMs'): number => 1000 * sum(speedOf(samples[i], clock).cost);
    return { name, tokens, nfe, firstMs: total('firstMs'), elapsedMs: total('elapsedMs') };
  });
  const twin = runs.findIndex(({ mode }) => mode === 'twin');
  if (twin < 0) return null;
  const own = work.filter((_, i) => runs[i].mode !== 'llama' && i !== twin);
  return rooflineOf(samples[twin].length, work[twin], own);
}

function aupByMode(runs: readonly BenchRun[]): Record<string, number | null> {
  const best = 100 * Math.max(...runs.map(({ exactMatch }) => exactMatch));
  const modes = [...new Set(runs.map(({ mode }) => mode))];
  return Object.fromEntries(
    modes.map((mode) => {
      const points = runs
        .filter((run) => run.mode === mode)
        .map(({ tpf, exactMatch }) => ({ tpf, accuracyPercent: 100 * exactMatch }));
      return [mode, accuracyUnderParallelism(points, best)];
    }),
  );
}
