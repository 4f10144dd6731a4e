/** What the scoring graph is fed, for training and for likelihoods. */
import type { Runtime, Tensor } from '../graph/session.ts';
import type { ScoringShape } from './scoring.ts';

/** One batch, ready to be fed. */
export interface ScoringInputs {
  /** [B, S], S = T or 2T (clean, then noisy). */
  ids: Int32Array;
  /** [B, T, T] */
  bias: Float32Array;
  /** [B, T, 2T], two streams only. */
  noisyBias: Float32Array | null;
  /** Rows of the flattened [B·S] that predict. [M] */
  lossRows: Int32Array;
  /** [M] */
  targets: Int32Array;
  /** Already divided by the number of tokens they average over. [M] */
  weights: Float32Array;
  /** What certainty counts in each row; 0 in autoregressive ones, null where the loss has no such term. [M] */
  certaintyWeights: Float32Array | null;
  /** How many of the M rows belong to the diffusion loss; the others, which follow, are autoregressive. */
  diffusionRows: number;
}

/** The weights as tensors that share their memory, and the places of the tokens: the same for every batch. */
export function weightFeeds(
  { Tensor }: Runtime,
  weights: Iterable<{ name: string; shape: readonly number[]; data: Float32Array }>,
  { rows: B, length: T, streams }: ScoringShape,
): Record<string, Tensor> {
  const S = streams * T;
  const positions = BigInt64Array.from({ length: B * S }, (_, i) => BigInt(i % T));
  const feeds: Record<string, Tensor> = { positions: new Tensor('int64', positions, [B, S]) };
  for (const { name, shape, data } of weights) feeds[name] = new Tensor('float32', data, shape);
  return feeds;
}

/** What changes from one batch to the next. */
export function batchFeeds(
  { Tensor }: Runtime,
  inputs: Omit<ScoringInputs, 'diffusionRows'>,
  { rows: B, length: T, streams }: ScoringShape,
): Record<string, Tensor> {
  const M = inputs.lossRows.length;
  const feeds: Record<string, Tensor> = {
    ids: new Tensor('int32', inputs.ids, [B, streams * T]),
    bias: new Tensor('float32', inputs.bias, [B, 1, 1, T, T]),
    lossRows: new Tensor('int32', inputs.lossRows, [M]),
    targets: new Tensor('int32', inputs.targets, [M, 1]),
    weights: new Tensor('float32', inputs.weights, [M, 1]),
  };
  if (inputs.noisyBias) feeds.noisyBias = new Tensor('float32', inputs.noisyBias, [B, 1, 1, T, 2 * T]);
  if (inputs.certaintyWeights) {
    feeds.certaintyWeights = new Tensor('float32', inputs.certaintyWeights, [M, 1]);
  }
  return feeds;
}

/** Clean rows, each with its noisy copy behind it. [B, 2T] */
export function twoStreams(
  clean: Int32Array,
  noisy: Int32Array,
  { rows: B, length: T }: { rows: number; length: number },
): Int32Array {
  const ids = new Int32Array(B * 2 * T);
  for (let row = 0; row < B; row++) {
    ids.set(clean.subarray(row * T, (row + 1) * T), row * 2 * T);
    ids.set(noisy.subarray(row * T, (row + 1) * T), row * 2 * T + T);
  }
  return ids;
}
