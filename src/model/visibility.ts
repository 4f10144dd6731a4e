/**
 * Who sees whom, as numbers added to attention scores: 0 where a key is visible, `HIDDEN` where it is not. Layouts,
 * document boundaries and block lengths are data here, so one compiled graph serves all of them.
 */
import type { Layout } from './config.ts';

/** Large enough to vanish in a softmax, small enough to add to a score without overflow. */
export const HIDDEN = -1e9;

/** Fills `out` [B, T, S] from a rule over (row, query, key). */
function fill(
  out: Float32Array,
  rows: number,
  queries: number,
  keys: number,
  visible: (row: number, query: number, key: number) => boolean,
): Float32Array {
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let q = 0; q < queries; q++) {
      for (let k = 0; k < keys; k++) out[at++] = visible(row, q, k) ? 0 : HIDDEN;
    }
  }
  return out;
}

export interface Packed {
  rows: number;
  /** T */
  length: number;
  /** Document of each token inside its row; −1 is padding, which sees and is seen by nothing but itself. [B, T] */
  segments: Int32Array;
  /** Block of each token, growing along a row; a block never spans two documents. [B, T] */
  blocks?: Int32Array | undefined;
}

/** Bias among clean tokens, [B, 1, 1, T, T]. `causalContext` encodes its context causally. */
export function cleanBias(layout: Layout, { rows, length: T, segments, blocks }: Packed): Float32Array {
  return fill(new Float32Array(rows * T * T), rows, T, T, (row, q, k) => {
    const [query, key] = [row * T + q, row * T + k];
    if (q === k) return true;
    if (segments[query] === -1 || segments[query] !== segments[key]) return false;
    if (layout === 'full') return true;
    if (layout === 'blockCausal') return blocks![key] <= blocks![query];
    return k < q;
  });
}

/**
 * Bias of the noisy stream over [clean | noisy] keys, [B, 1, 1, T, 2T] (BD3-LM 2503.09573, section 3.3): a block
 * sees the clean tokens before it and itself, noisy, in both directions. With `causal` it sees of itself the past only:
 * a continuation of the clean text that stands beside it, as an autoregressive model reads one.
 */
export function noisyBias(
  { rows, length: T, segments, blocks }: Packed,
  within: 'both' | 'causal' = 'both',
): Float32Array {
  return fill(new Float32Array(rows * T * 2 * T), rows, T, 2 * T, (row, q, k) => {
    const noisy = k >= T;
    const [query, key] = [row * T + q, row * T + (noisy ? k - T : k)];
    if (noisy && query === key) return true;
    if (segments[query] === -1 || segments[query] !== segments[key]) return false;
    if (noisy && within === 'causal' && k > q + T) return false;
    return noisy ? blocks![key] === blocks![query] : blocks![key] < blocks![query];
  });
}
