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
 * Who sees whom in a run of T tokens that starts at absolute position `start`, over P places of cache of which `length`
 * are filled: [G·T, P + T], the same for each of the G query heads that share a key head.
 */
export function runBias(
  pattern: AttentionPattern,
  start: number,
  { T, G, P, length }: { T: number; G: number; P: number; length: number },
): Float32Array {
  const width = P + T;
  const bias = new Float32Array(G * T * width);
  const group = (t: number): number => {
    if (pattern.kind === 'full') return 0;
    return pattern.kind === 'causal' ? t : Math.floor((start + t - pattern.origin) / pattern.blockLength);
  };
  for (let q = 0; q < T; q++) {
    let visible = q + 1;
    while (visible < T && group(visible) === group(q)) visible++;
    bias.fill(HIDDEN, q * width + length, q * width + P);
    bias.fill(HIDDEN, q * width + P + visible, (q + 1) * width);
  }
  for (let g = 1; g < G; g++) bias.copyWithin(g * T * width, 0, T * width);
  return bias;
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

  const check = ({ ids, start, cache, query }: ForwardRun): void => {
    assert(
      !cache || cache.length === start,
      `cache holds ${cache?.length} positions, run starts at ${start}`,
    );
    assert(
      query.every((row) => row >= 0 && row < ids.length),
      'queried row outside the run',
    );
    if (start + ids.length <= config.contextLength) return;
    throw new TintypeError('prompt_too_long', {
      what: 'the text is longer than the model was built for',
      got: `${start + ids.length} tokens`,
      wanted: `at most ${config.contextLength}`,
      next: 'shorten the prompt or lower max tokens',
    });
  };

  const feedsOf = (run: ForwardRun, past: NativeCache): Record<string, Tensor> => {
    const T = run.ids.length;
    const P = past.capacity;
    const G = config.heads / config.kvHeads;
    const width = P + T;
    const bias = runBias(run.attention, run.start, { T, G, P, length: past.length });
    const feeds: Record<string, Tensor> = {
      ids: new Tensor('int32', run.ids, [1, T]),
      positions: new Tensor(
        'int64',
        BigInt64Array.from(run.ids, (_, i) => BigInt(run.start + i)),
        [1, T],
      ),
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
    uniforms: Float32Array,
  ): Promise<Statistics> => {
    check(run);
    const topK = Math.min(Math.max(1, want.topK), config.vocabSize);
    const variant: SteppingVariant = { topK, entropy: want.entropy, sample: want.sample !== undefined };
    const session = await sessionFor(variant);
    const past = (run.cache ?? nothing) as NativeCache;
    const M = run.query.length;
    // The graph wants a row; one that nobody asked for is computed and dropped.
    const rows = M > 0 ? run.query : Int32Array.of(0);
    const feeds = feedsOf(run, past);
    feeds.rows = new Tensor('int32', rows, [rows.length]);
    if (want.sample) {
      const drawn = M > 0 ? uniforms : Float32Array.of(0);
      feeds.uniforms = new Tensor('float32', drawn, [drawn.length, 1]);
      feeds.temperature = new Tensor('float32', Float32Array.of(want.sample.temperature), []);
    }
    const out = await session.run(feeds);
    if (run.write) {
      assert(run.cache, 'a run that writes needs a cache');
      const layers = past.layers.map((_, layer) => ({
        k: out[`k${layer}`].data as Float32Array,
        v: out[`v${layer}`].data as Float32Array,
      }));
      past.append(layers, run.ids.length);
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
      let drawn = 0;
      for (const run of runs) {
        const uniforms = want.sample?.uniforms.subarray(drawn, drawn + run.query.length) ?? EMPTY.floats;
        drawn += run.query.length;
        all.push(await forwardOne(run, want, uniforms));
      }
      return all;
    },
    close: async () => {
      for (const session of sessions.values()) await (await session).close();
      sessions.clear();
    },
  };
}
