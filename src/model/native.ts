/** The native transformer as a `Denoiser`: one compiled graph for each set of statistics, caches beside it. */
import { TintypeError, assert } from '../errors.ts';
import {
  createSession,
  type Runtime,
  type Session,
  type SessionOptions,
  type Tensor,
} from '../graph/session.ts';
import { createCache, type NativeCache } from './cache.ts';
import type { ModelConfig } from './config.ts';
import type { AttentionPattern, Denoiser, ForwardRun, Statistics, StatisticsRequest } from './denoiser.ts';
import { buildSteppingGraph, type SteppingVariant, type Tensors } from './stepping.ts';
import { HIDDEN } from './visibility.ts';

/**
 * Who sees whom in a run of T tokens over P places of cache of which `length` are filled: [G·T, P + T], the same for
 * each of the G query heads that share a key head.
 */
export function runBias(
  pattern: AttentionPattern,
  positions: Int32Array,
  { G, P, length }: { G: number; P: number; length: number },
): Float32Array {
  const T = positions.length;
  const width = P + T;
  const bias = new Float32Array(G * T * width);
  for (let q = 0; q < T; q++) {
    const { cached, from, to } = sight(pattern, positions, q, length);
    const row = q * width;
    bias.fill(HIDDEN, row + cached, row + P + from);
    bias.fill(HIDDEN, row + P + to, row + width);
    // A block sees those of the run's clean rows that stand before it.
    if (pattern.kind === 'anchored' && q >= pattern.clean) {
      bias.fill(0, row + P, row + P + positions[pattern.clean] - positions[0]);
    }
  }
  for (let g = 1; g < G; g++) bias.copyWithin(g * T * width, 0, T * width);
  return bias;
}

/** What row q sees: the first `cached` places of the cache and rows [from, to). */
function sight(
  pattern: AttentionPattern,
  positions: Int32Array,
  q: number,
  length: number,
): { cached: number; from: number; to: number } {
  const T = positions.length;
  switch (pattern.kind) {
    case 'full':
      return { cached: length, from: 0, to: T };
    case 'causal':
      return { cached: length, from: 0, to: q + 1 };
    case 'blockCausal': {
      const group = (row: number): number =>
        Math.floor((positions[row] - pattern.origin) / pattern.blockLength);
      let to = q + 1;
      while (to < T && group(to) === group(q)) to++;
      return { cached: length, from: 0, to };
    }
    case 'anchored':
      return q < pattern.clean
        ? { cached: length, from: 0, to: q + 1 }
        : { cached: Math.min(length, positions[pattern.clean]), from: pattern.clean, to: T };
  }
}

const EMPTY = { floats: new Float32Array(0), ints: new Int32Array(0) };

/** @param tensors one for each of `parameterShapes(config)` */
export function createDenoiser(
  runtime: Runtime,
  config: ModelConfig,
  tensors: Tensors,
  options: SessionOptions = {},
): Denoiser {
  const { Tensor } = runtime;
  const sessions = new Map<string, Promise<Session>>();
  const sessionFor = (variant: SteppingVariant): Promise<Session> => {
    const key = JSON.stringify(variant);
    let session = sessions.get(key);
    if (!session) {
      session = createSession(runtime, buildSteppingGraph(config, tensors, variant), options);
      sessions.set(key, session);
    }
    return session;
  };
  // A run without a prefix sees one hidden place, so that one graph serves both.
  const nothing = createCache(config);

  const check = ({ ids, positions, cache, attention, query, write }: ForwardRun): void => {
    assert(positions.length === ids.length, 'a position for each token');
    assert(write >= 0 && write <= ids.length, 'a run writes rows that it has');
    assert(
      attention.kind === 'full' || (cache?.length ?? 0) >= positions[0] || cache === null,
      `cache holds ${cache?.length} places, run starts at ${positions[0]}`,
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
  };

  const feedsOf = (run: ForwardRun, past: NativeCache): Record<string, Tensor> => {
    const T = run.ids.length;
    const P = past.capacity;
    const G = config.heads / config.kvHeads;
    const width = P + T;
    const bias = runBias(run.attention, run.positions, { G, P, length: past.length });
    const feeds: Record<string, Tensor> = {
      ids: new Tensor('int32', run.ids, [1, T]),
      positions: new Tensor('int64', BigInt64Array.from(run.positions, BigInt), [1, T]),
      bias: new Tensor('float32', bias, [1, 1, G * T, width]),
      sizes: new Tensor('int64', BigInt64Array.of(BigInt(P), BigInt(T)), [2]),
    };
    for (const [layer, { k, v }] of past.layers.entries()) {
      feeds[`pastK${layer}`] = new Tensor('float32', k, [1, config.kvHeads, P, config.headDim]);
      feeds[`pastV${layer}`] = new Tensor('float32', v, [1, config.kvHeads, P, config.headDim]);
    }
    return feeds;
  };

  const forwardOne = async (
    run: ForwardRun,
    want: StatisticsRequest,
    { uniforms, logitBias }: { uniforms: Float32Array; logitBias: Float32Array },
  ): Promise<Statistics> => {
    check(run);
    const topK = Math.min(Math.max(1, want.topK), config.vocabSize);
    const variant: SteppingVariant = {
      topK,
      entropy: want.entropy,
      sample: want.sample !== undefined,
      logitBias: want.logitBias !== undefined,
    };
    const session = await sessionFor(variant);
    const past = (run.cache ?? nothing) as NativeCache;
    const M = run.query.length;
    // The graph wants a row; one that nobody asked for is computed and dropped.
    const rows = M > 0 ? run.query : Int32Array.of(0);
    const feeds = feedsOf(run, past);
    feeds.rows = new Tensor('int32', rows, [rows.length]);
    if (want.logitBias) {
      const V = config.vocabSize;
      feeds.logitBias = new Tensor('float32', M > 0 ? logitBias : new Float32Array(V), [rows.length, V]);
    }
    if (want.sample) {
      const drawn = M > 0 ? uniforms : Float32Array.of(0);
      feeds.uniforms = new Tensor('float32', drawn, [drawn.length, 1]);
      feeds.temperature = new Tensor('float32', Float32Array.of(want.sample.temperature), []);
    }
    const out = await session.run(feeds);
    if (run.write > 0) {
      assert(run.cache, 'a run that writes needs a cache');
      const layers = past.layers.map((_, layer) => ({
        k: out[`k${layer}`].data as Float32Array,
        v: out[`v${layer}`].data as Float32Array,
      }));
      past.append(layers, run.write, run.ids.length);
    }
    if (M === 0) {
      const { floats, ints } = EMPTY;
      return {
        ids: ints,
        logits: floats,
        logSumExp: floats,
        entropy: floats,
        sampled: ints,
        sampledLogits: floats,
      };
    }
    return {
      ids: Int32Array.from(out.topIds.data as BigInt64Array, Number),
      logits: out.topLogits.data as Float32Array,
      logSumExp: out.logSumExp.data as Float32Array,
      entropy: want.entropy ? (out.entropy.data as Float32Array) : EMPTY.floats,
      sampled: want.sample ? (out.sampled.data as Int32Array) : EMPTY.ints,
      sampledLogits: want.sample ? (out.sampledLogits.data as Float32Array) : EMPTY.floats,
    };
  };

  return {
    config,
    createCache: () => createCache(config),
    forward: async (runs, want) => {
      const all: Statistics[] = [];
      const V = config.vocabSize;
      let at = 0;
      for (const run of runs) {
        const to = at + run.query.length;
        const uniforms = want.sample?.uniforms.subarray(at, to) ?? EMPTY.floats;
        const logitBias = want.logitBias?.subarray(at * V, to * V) ?? EMPTY.floats;
        all.push(await forwardOne(run, want, { uniforms, logitBias }));
        at = to;
      }
      return all;
    },
    close: async () => {
      for (const session of sessions.values()) await (await session).close();
      sessions.clear();
    },
  };
}
