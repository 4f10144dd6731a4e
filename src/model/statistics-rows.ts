/** Cutting and joining statistics by rows. */
import type { Statistics } from './denoiser.ts';

/** Rows [from, to) of M. Views, not copies. */
export function rowsOf(all: Statistics, from: number, to: number): Statistics {
  const M = all.logSumExp.length;
  if (from === 0 && to === M) return all;
  const topK = M > 0 ? all.ids.length / M : 0;
  return {
    ids: all.ids.subarray(from * topK, to * topK),
    logits: all.logits.subarray(from * topK, to * topK),
    logSumExp: all.logSumExp.subarray(from, to),
    entropy: all.entropy.subarray(from, to),
    sampled: all.sampled.subarray(from, to),
    sampledLogits: all.sampledLogits.subarray(from, to),
  };
}

/** The rows of all parts, one after another. */
export function joinStatistics(parts: readonly Statistics[]): Statistics {
  if (parts.length === 1) return parts[0];
  const floats = (key: 'logits' | 'logSumExp' | 'entropy' | 'sampledLogits'): Float32Array =>
    joined(
      parts.map((part) => part[key]),
      (length) => new Float32Array(length),
    );
  const ints = (key: 'ids' | 'sampled'): Int32Array =>
    joined(
      parts.map((part) => part[key]),
      (length) => new Int32Array(length),
    );
  return {
    ids: ints('ids'),
    logits: floats('logits'),
    logSumExp: floats('logSumExp'),
    entropy: floats('entropy'),
    sampled: ints('sampled'),
    sampledLogits: floats('sampledLogits'),
  };
}

function joined<A extends Float32Array | Int32Array>(parts: readonly A[], make: (length: number) => A): A {
  const out = make(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
