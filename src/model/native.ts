/**
 * The native transformer as a `Denoiser`. Runs become pieces of bounded length (`pieces.ts`), pieces of several runs
 * become one forward of the stepping graph, and keys and values land in the caches where the graph wrote them.
 */
import { TintypeError, assert } from '../errors.ts';
import { saturates } from '../graph/quantized.ts';
import { createSession, type Runtime, type Session, type SessionOptions } from '../graph/session.ts';
import type { BigramTable } from './bigrams.ts';
import { createCache, placeBytes, type NativeCache } from './cache.ts';
import type { ModelConfig } from './config.ts';
import type { Denoiser, ForwardRun, Statistics, StatisticsRequest } from './denoiser.ts';
import { createFeeder } from './feeds.ts';
import { headKinds } from './heads.ts';
import { piecesOf, type Piece } from './pieces.ts';
import { bytesOf, isByRow, isQuantized, quantizeWeights, type Precision, type Weights } from './quantize.ts';
import { seesEverything } from './run-mask.ts';
import { readStatistics } from './statistics.ts';
import { joinStatistics, rowsOf } from './statistics-rows.ts';
import { buildSteppingGraph, type SteppingVariant, type Tensors } from './stepping.ts';

/** Sequences of one graph. What a forward lacks to one of them is idle: five sequences take the graph for eight. */
const GROUPS = [1, 2, 4, 8];
/**
 * Every graph holds the weights once more, packed for its kernels. From this size on there is one, for up to so many
 * sequences, which computes all statistics always: next to the products of such a model that costs nothing.
 */
export const LARGE_BYTES = 256e6;
const LARGE_GROUPS = [4];

/** The least graph of all: it holds every weight. */
export const plainVariant: SteppingVariant = {
  runs: 1,
  idle: false,
  masked: true,
  inPlace: true,
  portable: false,
  several: false,
  entropy: false,
  sample: false,
  logitBias: false,
};

export interface DenoiserOptions extends SessionOptions {
  /** Arithmetic of matrix products; weights in floating point are quantised. Default: as the weights are. */
  precision?: Precision | undefined;
  /** The graph writes keys and values behind the cache itself. Default: on the CPU, where it can. */
  inPlace?: boolean | undefined;
  /** See `SteppingVariant`. Default: off the CPU. */
  portable?: boolean | undefined;
  /** What `Denoiser.bigrams` is to be. */
  bigrams?: BigramTable | undefined;
  /** Weights from which on graphs are shared rather than special, for tests. Default 256 MB. */
  largeBytes?: number | undefined;
}

/** Whether its graphs are for other kernels than the CPU's (`SteppingVariant.portable`). */
export const isPortable = ({ portable, device }: DenoiserOptions): boolean => portable ?? device === 'webgpu';

/** @param tensors one for each of `parameterShapes(config)`, or what `quantizeWeights` made of them */
export function createDenoiser(
  runtime: Runtime,
  config: ModelConfig,
  tensors: Weights,
  {
    precision = 'f32',
    inPlace: asked,
    portable: askedPortable,
    largeBytes,
    bigrams,
    ...options
  }: DenoiserOptions = {},
): Denoiser {
  // Only the CPU's kernels read and write the memory of JavaScript itself.
  const inPlace = asked ?? options.device !== 'webgpu';
  const portable = isPortable({ ...options, portable: askedPortable });
  const isFloat = ![...tensors.values()].some(isQuantized);
  const weights = isFloat ? quantizeWeights(config, tensors as Tensors, precision) : tensors;
  const weightBytes = [...weights.values()].reduce((sum, weight) => sum + bytesOf(weight), 0);
  const isLarge = weightBytes > (largeBytes ?? LARGE_BYTES);
  const groups = isLarge ? LARGE_GROUPS : GROUPS;
  const most = groups.at(-1)!;
  const groupOf = (count: number): number => groups.find((group) => group >= count)!;
  const hasBytes = [...weights].some(([name, weight]) => isQuantized(weight) && isByRow(name, weight));
  const exactBytes = async (): Promise<boolean> => hasBytes && !portable && saturates(runtime);
  const windows = headKinds(config).map(({ window }) => window);
  const feeder = createFeeder(runtime, config, { inPlace });
  const sessions = new Map<string, Promise<Session>>();
  const sessionFor = (variant: SteppingVariant): Promise<Session> => {
    const key = JSON.stringify(variant);
    let session = sessions.get(key);
    if (!session) {
      const graph = buildSteppingGraph(config, weights, variant);
      session = exactBytes().then((exactBytes) => createSession(runtime, graph, { ...options, exactBytes }));
      sessions.set(key, session);
    }
    return session;
  };
  /** Where runs without a cache leave their keys. */
  const scratch: NativeCache[] = [];

  /** Statistics of the asked rows of each piece. */
  const forwardPieces = async (
    pieces: readonly Piece[],
    want: StatisticsRequest,
  ): Promise<(Statistics | null)[]> => {
    const topK = Math.min(Math.max(1, want.topK), config.vocabSize);
    const runs = groupOf(pieces.length);
    // A mask of zeros changes no bit of the result, so several sequences do without a second graph.
    const masked =
      runs > 1 ||
      !pieces.every(({ attention, positions, cache }) =>
        windows.every((window) => seesEverything(attention, positions, cache.length, window)),
      );
    const variant: SteppingVariant = {
      runs,
      idle: isLarge,
      masked,
      inPlace,
      portable,
      several: isLarge || topK > 1,
      entropy: isLarge || want.entropy,
      sample: isLarge || want.sample !== undefined,
      logitBias: isLarge || want.logitBias !== undefined,
    };
    const session = await sessionFor(variant);
    const { feeds, fetches } = feeder.feed(pieces, { ...want, topK }, variant);
    const out = await session.run(feeds, fetches);
    feeder.collect(pieces, out);
    const all = readStatistics(out, { ...want, topK });
    let row = 0;
    return pieces.map(({ rows, asked }) => {
      row += rows.length;
      return asked > 0 ? rowsOf(all, row - rows.length, row) : null;
    });
  };

  const forwardAll = async (runs: readonly ForwardRun[], want: StatisticsRequest): Promise<Statistics[]> => {
    let from = 0;
    const jobs = runs.map((run, index) => {
      check(config, run);
      const cache = (run.cache as NativeCache | null) ?? (scratch[index] ??= createCache(config));
      const pieces = piecesOf(run, cache, from, config.heads);
      from += run.query.length;
      return { run, cache, length: cache.length, pieces, parts: [] as Statistics[] };
    });
    for (const wave of waves(jobs)) {
      const take = async (turn: readonly { job: (typeof jobs)[number]; piece: Piece }[]): Promise<void> => {
        const got = await forwardPieces(
          turn.map(({ piece }) => piece),
          want,
        );
        turn.forEach(({ job }, i) => got[i] && job.parts.push(got[i]));
      };
      try {
        for (const job of wave) {
          for (const piece of job.pieces.slice(0, -1)) {
            await take([{ job, piece }]);
            // Kept for now, so that the next piece sees it.
            job.cache.keep(piece.ids.length);
          }
        }
        const last = wave.map((job) => ({ job, piece: job.pieces.at(-1)! }));
        for (let at = 0; at < last.length;) {
          const rows = (count: number): number =>
            last
              .slice(at, at + count)
              .reduce((sum, { piece }) => sum + piece.ids.length, groupOf(count) - count);
          // The runtime's rotary operator takes no more rows at once than it has positions.
          let size = Math.min(most, last.length - at);
          while (size > 1 && rows(size) > config.contextLength) size--;
          await take(last.slice(at, at + size));
          at += size;
        }
      } finally {
        for (const { cache, length } of wave) cache.truncate(length);
      }
      for (const { cache, run } of wave) if (run.write > 0) cache.keep(run.write);
    }
    return jobs.map(({ parts }) => (parts.length > 0 ? joinStatistics(parts) : NOTHING));
  };

  // One forward at a time: runs without a cache share scratch memory, and the runtime blocks the thread anyway.
  let tail: Promise<unknown> = Promise.resolve();
  return {
    config,
    memory: { weightBytes, placeBytes: placeBytes(config) },
    bigrams,
    createCache: () => createCache(config),
    forward: (runs, want) => {
      const result = tail.then(() => forwardAll(runs, want));
      tail = result.catch(() => {});
      return result;
    },
    close: async () => {
      await tail;
      for (const session of sessions.values()) await (await session).close();
      sessions.clear();
    },
  };
}

const NOTHING: Statistics = {
  ids: new Int32Array(0),
  logits: new Float32Array(0),
  logSumExp: new Float32Array(0),
  entropy: new Float32Array(0),
  sampled: new Int32Array(0),
  sampledLogits: new Float32Array(0),
};

/**
 * Runs that share a cache see it as it was when the forward began, but all need the memory behind it: they take turns,
 * the one that writes last.
 */
function waves<Job extends { run: ForwardRun; cache: NativeCache }>(jobs: readonly Job[]): Job[][] {
  const turns: Job[][] = [];
  const uses = new Map<NativeCache, number>();
  for (const job of jobs.toSorted((a, b) => Number(a.run.write > 0) - Number(b.run.write > 0))) {
    const use = uses.get(job.cache) ?? 0;
    uses.set(job.cache, use + 1);
    (turns[use] ??= []).push(job);
  }
  for (const [cache] of uses) {
    const writers = jobs.filter((job) => job.cache === cache && job.run.write > 0);
    assert(writers.length <= 1, 'two runs of one forward write to the same cache');
  }
  return turns;
}

/** Where a run begins; it may be out of order (`reordersKnown`). */
const lowest = (positions: Int32Array): number => positions.reduce((a, b) => Math.min(a, b));

function check(
  config: ModelConfig,
  { ids, positions, cache, attention, query, write, expected }: ForwardRun,
): void {
  assert(ids.length > 0, 'a run has tokens');
  assert(positions.length === ids.length, 'a position for each token');
  assert(write >= 0 && write <= ids.length, 'a run writes rows that it has');
  assert(write === 0 || cache, 'a run that writes needs a cache');
  assert(
    attention.kind !== 'explicit' ||
      attention.visible.length === ids.length * ((cache?.length ?? 0) + ids.length),
    'an explicit pattern says for each row and each place whether it is seen',
  );
  assert(
    attention.kind === 'full' ||
      attention.kind === 'explicit' ||
      (cache?.length ?? 0) >= lowest(positions) ||
      cache === null,
    `cache holds ${cache?.length} places, run starts at ${lowest(positions)}`,
  );
  assert(
    expected === undefined || (config.gemma && expected.length === ids.length * config.width),
    'a mean embedding for each row, for a model with self-conditioning',
  );
  assert(
    query.every((row) => row >= 0 && row < ids.length),
    'queried row outside the run',
  );
  const end = positions.reduce((most, position) => Math.max(most, position + 1), 0);
  if (end <= config.contextLength) return;
  throw new TintypeError('prompt_too_long', {
    what: 'the text is longer than the model was built for',
    got: `${end} tokens`,
    wanted: `at most ${config.contextLength}`,
    next: 'shorten the prompt or lower max tokens',
  });
}
