/**
 * −log p of given tokens under a model, for evaluation. One compiled graph of fixed size; what is scored, where, and
 * who sees whom are data, as in training.
 */
import { createSession, type Runtime, type SessionOptions, type Tensor } from '../graph/session.ts';
import type { ModelConfig } from './config.ts';
import { buildScoringGraph } from './scoring.ts';
import type { Tensors } from './stepping.ts';
import { cleanBias, noisyBias } from './visibility.ts';

export interface LikelihoodBatch {
  /** Clean tokens. [B, T] */
  ids: Int32Array;
  /** Document of each token; −1 is padding. [B, T] */
  segments: Int32Array;
  /** The noisy copy; null for causal models. [B, T] */
  noisy: Int32Array | null;
  /** Block of each token; `blockCausal` and `causalContext` only. [B, T] */
  blocks: Int32Array | null;
  /**
   * Flat positions [B·T] whose output is read, and of which copy: the clean one predicts the next token, the noisy
   * one the token at that same position.
   */
  scored: { stream: 'clean' | 'noisy'; position: number; target: number }[];
}

export interface Likelihood {
  readonly config: ModelConfig;
  readonly rows: number;
  readonly length: number;
  /** Nats, in the order of `scored`. */
  negativeLogLikelihoods(batch: LikelihoodBatch): Promise<Float32Array>;
  close(): Promise<void>;
}

export async function createLikelihood(
  runtime: Runtime,
  config: ModelConfig,
  tensors: Tensors,
  { rows: B, length: T, ...options }: { rows: number; length: number } & SessionOptions,
): Promise<Likelihood> {
  // Layouts that see clean earlier blocks need both copies; the others run the one that matters.
  const streams = config.layout === 'blockCausal' || config.layout === 'causalContext' ? 2 : 1;
  const { graph } = buildScoringGraph(config, { rows: B, length: T, streams });
  const session = await createSession(runtime, graph, options);
  const { Tensor } = runtime;
  const S = streams * T;
  const fixed: Record<string, Tensor> = {
    positions: new Tensor(
      'int64',
      BigInt64Array.from({ length: B * S }, (_, i) => BigInt(i % T)),
      [B, S],
    ),
  };
  for (const [name, { shape, data }] of tensors) fixed[name] = new Tensor('float32', data, shape);

  return {
    config,
    rows: B,
    length: T,
    negativeLogLikelihoods: async ({ ids, segments, noisy, blocks, scored }) => {
      const packed = { rows: B, length: T, segments, blocks: blocks ?? undefined };
      const input = new Int32Array(B * S);
      for (let row = 0; row < B; row++) {
        const [from, to] = [row * T, (row + 1) * T];
        if (streams === 2) {
          input.set(ids.subarray(from, to), row * S);
          input.set((noisy ?? ids).subarray(from, to), row * S + T);
        } else {
          input.set((noisy ?? ids).subarray(from, to), row * S);
        }
      }
      const M = Math.max(1, scored.length);
      const lossRows = new Int32Array(M);
      const targets = new Int32Array(M);
      scored.forEach(({ stream, position, target }, i) => {
        const offset = streams === 2 && stream === 'noisy' ? T : 0;
        lossRows[i] = Math.floor(position / T) * S + offset + (position % T);
        targets[i] = target;
      });
      const feeds: Record<string, Tensor> = {
        ...fixed,
        ids: new Tensor('int32', input, [B, S]),
        bias: new Tensor('float32', cleanBias(config.layout, packed), [B, 1, 1, T, T]),
        lossRows: new Tensor('int32', lossRows, [M]),
        targets: new Tensor('int32', targets, [M, 1]),
        weights: new Tensor('float32', new Float32Array(M), [M, 1]),
      };
      if (streams === 2) feeds.noisyBias = new Tensor('float32', noisyBias(packed), [B, 1, 1, T, 2 * T]);
      const { nll } = await session.run(feeds);
      return (nll.data as Float32Array).slice(0, scored.length);
    },
    close: () => session.close(),
  };
}
