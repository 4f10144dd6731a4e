/** Cutting and joining statistics by rows. */
import type { Statistics } from './denoiser.ts';
import { joined } from './join.ts';

/** Rows [from, to) of M. Views, not copies. */
export function rowsOf(all: Statistics, from: number, to: number): Statistics {
  const M = all.logSumExp.length;
  if (from === 0 && to === M) return all;
  const topK = M > 0 ? all.ids.length / M : 0;
  const perRow = (x: Float32Array): Float32Array => x.subarray((from * x.length) / M, (to * x.length) / M);
  return {
    ids: all.ids.subarray(from * topK, to * topK),
    logits: all.logits.subarray(from * topK, to * topK),
    logSumExp: all.logSumExp.subarray(from, to),
    entropy: all.entropy.subarray(from, to),
    sampled: all.sampled.subarray(from, to),
    sampledLogits: all.sampledLogits.subarray(from, to),
    ...(all.expected && { expected: perRow(all.expected) }),
  };
}

/** The rows of all parts, one after another. */
export function joinStatistics(parts: readonly Statistics[]): Statistics {
  if (parts.length === 1) return parts[0];
  return {
    ids: joined(parts.map(({ ids }) => ids)),
    logits: joined(parts.map(({ logits }) => logits)),
    logSumExp: joined(parts.map(({ logSumExp }) => logSumExp)),
    entropy: joined(parts.map(({ entropy }) => entropy)),
    sampled: joined(parts.map(({ sampled }) => sampled)),
    sampledLogits: joined(parts.map(({ sampledLogits }) => sampledLogits)),
    ...(parts[0].expected && { expected: joined(parts.map(({ expected }) => expected!)) }),
  };
}
