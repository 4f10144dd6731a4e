/**
 * What a forward costs on this machine, as a table that can be asked about forwards which were never run.
 *
 * A decoder's transcript does not depend on how fast the machine is: which rows ran over which prefix is the same on a busy
 * machine and on an idle one. So a configuration is timed by running it once, anywhere, writing down its forwards and
 * looking each up here. The table itself is measured in rounds, all cells in a new order in each, and holds medians: what
 * else the machine does falls on all cells alike, and configurations that differ by their transcripts alone are compared
 * without any noise. More rows, and more places to see, cost no less: where medians say otherwise it is noise, and the
 * samples of such neighbours are pooled.
 */
import type { Layout, ModelConfig } from '../model/config.ts';
import { positionsFrom } from '../model/denoiser.ts';
import type { AttentionPattern, Denoiser, ForwardRun } from '../model/denoiser.ts';
import { createRng, shuffle } from '../rng.ts';
import type { BatchedCosts } from './batched-costs.ts';
import { percentile } from './metrics.ts';
import type { Precision } from '../model/quantize.ts';

/** One forward, as far as its cost depends on it. */
export interface Forward {
  /** Of each sequence. */
  rows: number;
  /** Cached places that the rows see. */
  prefix: number;
  /** Rows whose distributions were wanted. */
  asked: number;
  /** Whether their entropies were. */
  entropy: boolean;
}

export interface CostCurve {
  precision: Precision;
  rows: number[];
  prefixes: number[];
  /** Median of a forward that asks about all of its rows. [rows, prefixes] */
  stepMs: number[][];
  /** Median of a first forward, which asks about `PREFILL_ASKED` rows. By rising rows */
  prefill: { rows: number; ms: number }[];
  /** Of the head, for each asked row. */
  askedMs: number;
  /** Of an entropy, for each asked row. */
  entropyMs: number;
  /** Before the first forward of a request: text becomes tokens. */
  promptMs: number;
  /** Between two forwards: policy, events. */
  loopMs: number;
  /** Forwards of several sequences, which a server with many clients lives by; absent in what older versions stored. */
  batched?: BatchedCosts | undefined;
}

const ROWS = [1, 2, 4, 8, 16, 32];
const PREFIXES = [64, 256, 512, 900];
const SEQUENCES = [1, 2, 4, 8];
/** Of each sequence: one token a step, and a block. */
const BATCHED_ROWS = [1, 8];
const PREFILLS = [64, 128, 256, 512, 900];
export const PREFILL_ASKED = 8;
/** A prefill takes as long as many steps, and its median needs fewer samples. */
const PREFILL_EVERY = 3;
/** Candidates asked for by the policies that are tuned, one more than they read. */
const TOP_K = 2;

export interface MeasureOptions {
  precision: Precision;
  /** Samples of each cell. */
  rounds: number;
  nowMs?: (() => number) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

interface Cell extends Forward {
  sequences: number;
  every: number;
  samples: number[];
}

/** Times the table's forwards; `promptMs` and `loopMs` are 0, since only whole requests tell them (`tune-trace.ts`). */
export async function measureCostCurve(denoiser: Denoiser, options: MeasureOptions): Promise<CostCurve> {
  const { precision, rounds, nowMs = () => performance.now(), signal, onProgress } = options;
  const { contextLength } = denoiser.config;
  const rows = ROWS.filter((count) => count <= contextLength / 2);
  const most = rows.at(-1)!;
  const prefixes = fitting(PREFIXES, contextLength - most);
  const middle = prefixes[Math.floor((prefixes.length - 1) / 2)];
  const cell = (count: number, prefix: number, more: Partial<Cell> = {}): Cell => ({
    rows: count,
    prefix,
    asked: count,
    entropy: false,
    sequences: 1,
    every: 1,
    samples: [],
    ...more,
  });
  const steps = rows.map((count) => prefixes.map((prefix) => cell(count, prefix)));
  const prefills = fitting(PREFILLS, contextLength).map((count) =>
    cell(count, 0, { asked: Math.min(PREFILL_ASKED, count), every: PREFILL_EVERY }),
  );
  const [few, entropy] = [cell(most, middle, { asked: 1 }), cell(most, middle, { entropy: true })];
  const batchedRows = BATCHED_ROWS.filter((count) => rows.includes(count));
  const batched = SEQUENCES.map((sequences) =>
    batchedRows.map((count) =>
      sequences === 1
        ? steps[rows.indexOf(count)][prefixes.indexOf(middle)]
        : cell(count, middle, { sequences }),
    ),
  );
  const cells = [...steps.flat(), ...prefills, few, entropy, ...batched.slice(1).flat()];

  const runs = createRuns(denoiser);
  const order = createRng(0, 'cost-curve');
  const total = (rounds + 1) * cells.length;
  let done = 0;
  // The first round compiles the graphs and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const each of shuffle([...cells], order)) {
      signal?.throwIfAborted();
      done++;
      if (round > 0 && (round - 1) % each.every !== 0) continue;
      const asked = await Promise.all(Array.from({ length: each.sequences }, (_, i) => runs(each, i)));
      const startMs = nowMs();
      await denoiser.forward(asked, { topK: TOP_K, entropy: each.entropy });
      if (round > 0) each.samples.push(nowMs() - startMs);
      onProgress?.(done, total);
    }
  }
  const ms = ({ samples }: Cell): number => percentile(samples, 0.5);
  const all = steps[rows.indexOf(most)][prefixes.indexOf(middle)];
  return {
    precision,
    rows,
    prefixes,
    stepMs: risingTable(steps),
    prefill: rising(prefills.map(({ samples }) => samples)).map((each, i) => ({
      rows: prefills[i].rows,
      ms: each,
    })),
    askedMs: Math.max(0, (ms(all) - ms(few)) / (most - 1)),
    entropyMs: Math.max(0, (ms(entropy) - ms(all)) / most),
    promptMs: 0,
    loopMs: 0,
    batched: {
      sequences: SEQUENCES,
      rows: batchedRows,
      prefix: middle,
      ms: risingTable(batched),
    },
  };
}

/** Medians of groups of samples, those of neighbours pooled until they rise: isotonic regression, pool adjacent violators. */
export function rising(groups: readonly (readonly number[])[]): number[] {
  const pools: { samples: number[]; groups: number; median: number }[] = [];
  for (const samples of groups) {
    pools.push({ samples: [...samples], groups: 1, median: percentile(samples, 0.5) });
    while (pools.length > 1 && pools.at(-1)!.median < pools.at(-2)!.median) {
      const [a, b] = pools.splice(-2);
      const joined = [...a.samples, ...b.samples];
      pools.push({ samples: joined, groups: a.groups + b.groups, median: percentile(joined, 0.5) });
    }
  }
  return pools.flatMap((pool) => Array.from({ length: pool.groups }, () => pool.median));
}

/** Rising along rows by their samples, then along prefixes. [rows, prefixes] */
function risingTable(cells: readonly (readonly Cell[])[]): number[][] {
  const columns = cells[0].map((_, p) => rising(cells.map((row) => row[p].samples)));
  return cells.map((_, r) => rising(columns.map((column) => [column[r]])));
}

/** Those of the sizes that fit, and where the largest does not, what there is room for. */
function fitting(sizes: readonly number[], room: number): number[] {
  const kept = sizes.filter((size) => size <= room);
  return kept.length === sizes.length || room - (kept.at(-1) ?? 0) < 32 ? kept : [...kept, room];
}

/** Runs like those of the decoder; a cache is filled once for each prefix and sequence. */
function createRuns(denoiser: Denoiser): (forward: Forward, sequence: number) => Promise<ForwardRun> {
  const { config } = denoiser;
  const caches = new Map<string, ReturnType<Denoiser['createCache']>>();
  const idsOf = (length: number, seed: number): Int32Array => {
    const rng = createRng(seed, 'cost-curve-ids');
    return Int32Array.from({ length }, () => rng.int(config.vocabSize));
  };
  return async ({ rows, prefix, asked }, sequence) => {
    const name = `${prefix}, ${sequence}`;
    let cache = caches.get(name);
    if (!cache) {
      caches.set(name, (cache = denoiser.createCache()));
      if (prefix > 0) {
        const positions = positionsFrom(0, prefix);
        const attention = contextPattern(config);
        const ids = idsOf(prefix, 2 * sequence);
        const text = { ids, positions, attention, cache, write: prefix, query: new Int32Array(0) };
        await denoiser.forward([text], { topK: TOP_K, entropy: false });
      }
    }
    const { attention, positions } = stepPattern(config, rows, prefix);
    const query = Int32Array.from({ length: asked }, (_, i) => rows - asked + i);
    return { ids: idsOf(rows, 2 * sequence + 1), positions, attention, cache, write: 0, query };
  };
}

function contextPattern({ layout, blockLength }: ModelConfig): AttentionPattern {
  const patterns: Record<Layout, AttentionPattern> = {
    causal: { kind: 'causal' },
    causalContext: { kind: 'causal' },
    blockCausal: { kind: 'blockCausal', blockLength, origin: 0 },
    full: { kind: 'full' },
  };
  return patterns[layout];
}

/** A step of so many rows: over a causal context, settled rows and then a block that begins with the last of them. */
function stepPattern(
  config: ModelConfig,
  rows: number,
  prefix: number,
): { attention: AttentionPattern; positions: Int32Array } {
  if (config.layout !== 'causalContext' || rows < 3) {
    return { attention: contextPattern(config), positions: positionsFrom(prefix, rows) };
  }
  const clean = Math.max(1, rows - config.blockLength);
  const positions = Int32Array.from({ length: rows }, (_, row) => prefix + row - (row < clean ? 0 : 1));
  return { attention: { kind: 'anchored', clean }, positions };
}

/** Milliseconds of a forward: between measured sizes by straight lines, beyond the last ones too. */
export function forwardMs(curve: CostCurve, { rows, prefix, asked, entropy }: Forward): number {
  const most = curve.rows.at(-1)!;
  const own =
    rows <= most
      ? stepMs(curve, rows, prefix) - (rows - asked) * curve.askedMs
      : longMs(curve, rows, prefix) + (asked - PREFILL_ASKED) * curve.askedMs;
  return Math.max(0, own) + (entropy ? asked * curve.entropyMs : 0);
}

function stepMs({ rows, prefixes, stepMs: table }: CostCurve, count: number, prefix: number): number {
  // Before the first prefix nothing is known to be cheaper.
  const at = Math.max(prefix, prefixes[0]);
  return interpolate(
    rows,
    table.map((row) => interpolate(prefixes, row, at)),
    count,
  );
}

/** More rows than a step has are a prompt, whose rows see each other: reading on from `prefix` is part of reading it all. */
function longMs(curve: CostCurve, rows: number, prefix: number): number {
  const most = curve.rows.at(-1)!;
  const longer = curve.prefill.filter((each) => each.rows > most);
  const sizes = [most, ...longer.map((each) => each.rows)];
  const times = [stepMs(curve, most, 0), ...longer.map(({ ms }) => ms)];
  const readMs = (length: number): number => interpolate(sizes, times, length);
  if (prefix === 0) return readMs(rows);
  return Math.max(stepMs(curve, most, prefix), readMs(prefix + rows) - readMs(prefix));
}

/** Through the points of rising `xs`; the outer pieces go on. */
export function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  if (xs.length === 1) return ys[0];
  let i = 1;
  while (i < xs.length - 1 && xs[i] < x) i++;
  const share = (x - xs[i - 1]) / (xs[i] - xs[i - 1]);
  return ys[i - 1] + share * (ys[i] - ys[i - 1]);
}

/** Milliseconds of a whole request. */
export const requestMs = (curve: CostCurve, forwards: readonly Forward[]): number =>
  forwards.reduce((sum, forward) => sum + curve.loopMs + forwardMs(curve, forward), curve.promptMs);

/**
 * The roofline of steps: how many tokens a forward of so many rows must give to be worth as much as forwards of one row,
 * which give one token each. By prefix. [rows, prefixes]
 */
export function breakEvenTokens({ stepMs: table, loopMs }: CostCurve): number[][] {
  const [single] = table;
  return table.map((row) => row.map((ms, i) => (ms + loopMs) / (single[i] + loopMs)));
}
