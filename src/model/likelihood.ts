/**
 * −log p of given tokens under a model, for evaluation. One compiled graph of fixed size; what is scored, where, and
 * who sees whom are data, as in training.
 */
import { createSession, type Runtime, type SessionOptions } from '../graph/session.ts';
import type { ModelConfig } from './config.ts';
import { batchFeeds, twoStreams, weightFeeds } from './scoring-feeds.ts';
import { buildScoringGraph } from './scoring.ts';
import type { Tensors } from './stepping.ts';
import { cleanBias, noisyBias, type Packed } from './visibility.ts';

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
   * Flat positions [B·T], and of which copy: the output of the clean one there predicts the next token; the noisy one
   * predicts the token there, by that output or, in models with a logit shift, by the one before.
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

/** 1 where the row before a position predicts it, 0 where its own does: the first of a document, or of a block. */
function shiftAt({ logitShift = 'none' }: ModelConfig, packed: Packed, position: number): 0 | 1 {
  const { length: T, segments, blocks } = packed;
  if (logitShift === 'none' || position % T === 0) return 0;
  const isSame = (parts: Int32Array | undefined): boolean => parts?.[position] === parts?.[position - 1];
  return isSame(segments) && (logitShift === 'sequence' || isSame(blocks)) ? 1 : 0;
}

export async function createLikelihood(
  runtime: Runtime,
  config: ModelConfig,
  tensors: Tensors,
  { rows: B, length: T, ...options }: { rows: number; length: number } & SessionOptions,
): Promise<Likelihood> {
  // Layouts that see clean earlier blocks need both copies; the others run the one that matters.
  const streams = config.layout === 'blockCausal' || config.layout === 'causalContext' ? 2 : 1;
  const shape = { rows: B, length: T, streams } as const;
  const session = await createSession(runtime, buildScoringGraph(config, shape).graph, options);
  const weights = Array.from(tensors, ([name, tensor]) => ({ name, ...tensor }));
  const fixedFeeds = weightFeeds(runtime, weights, shape);
  const S = streams * T;

  return {
    config,
    rows: B,
    length: T,
    negativeLogLikelihoods: async ({ ids, segments, noisy, blocks, scored }) => {
      const packed = { rows: B, length: T, segments, blocks: blocks ?? undefined };
      const M = Math.max(1, scored.length);
      const lossRows = new Int32Array(M);
      const targets = new Int32Array(M);
      scored.forEach(({ stream, position, target }, i) => {
        const offset = streams === 2 && stream === 'noisy' ? T : 0;
        const row = stream === 'noisy' ? position - shiftAt(config, packed, position) : position;
        lossRows[i] = Math.floor(row / T) * S + offset + (row % T);
        targets[i] = target;
      });
      const inputs = {
        ids: streams === 2 ? twoStreams(ids, noisy ?? ids, shape) : (noisy ?? ids),
        bias: cleanBias(config.layout, packed),
        noisyBias: streams === 2 ? noisyBias(packed) : null,
        lossRows,
        targets,
        weights: new Float32Array(M),
        certaintyWeights: null,
      };
      const { nll } = await session.run({ ...fixedFeeds, ...batchFeeds(runtime, inputs, shape) });
      return (nll.data as Float32Array).slice(0, scored.length);
    },
    close: () => session.close(),
  };
}
