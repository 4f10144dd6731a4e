/**
 * The forward process: tokens become masks. A *group* is what shares one noise level: a whole row, or one block of
 * it. There are two ways to draw a group's masks, both unbiased for the same bound (`nelbo.ts`):
 *
 * - `bernoulli`: draw t, mask each of the L tokens with probability 1 − alpha(t); a masked token weighs
 *   −alpha′(t) / (1 − alpha(t)) (2406.07524 equation 10; per block 2503.09573 equation 8).
 * - `exactCount`: draw l uniformly from 1 … L and mask l of the L tokens; a masked token weighs L / l (LLaDA's second
 *   form, 2502.09992 equation 6). For a given set of l masks the first form has ∫ (1/t) t^l (1 − t)^(L−l) dt =
 *   (l−1)! (L−l)! / L!, the second 1/L · l! (L−l)! / L! · L/l: the same. It needs no schedule, no group comes out
 *   without a mask, and its weights end at L: with a linear or cosine schedule the first form has infinite variance
 *   (∫ t · (1/t)² dt).
 *
 * Levels are stratified over the groups of one call: each is uniform, together they cover the range evenly, which
 * takes most of the noise out of the loss (2107.00630, appendix I.1).
 *
 * Three options make the masks those that a decoder meets, and give up the bound for it: with `order` (when a decoder
 * would commit each token) the l masks are the latest and no longer any; with `leastMasked` l has a lower end; groups
 * that are `whole` are as before the first commit.
 */
import { assert } from '../errors.ts';
import { choose, shuffle } from '../rng.ts';
import type { Rng } from '../rng.ts';
import type { NoiseSchedule } from './schedule.ts';

export type Masking = 'bernoulli' | 'exactCount';

export interface Corruption {
  /** 1 where a token may be masked. [N] */
  eligible: Uint8Array;
  /** Number of the group of each token; tokens of a group stand together. [N] */
  groups: Int32Array;
  masking: Masking;
  /** Read by `bernoulli`. */
  schedule: NoiseSchedule;
  maskTokenId: number;
  rng: Rng;
  /** `exactCount`: when each token would be committed; the latest of a group are masked, ties by place. [N] */
  order?: Float32Array | null;
  /** `exactCount`: smallest share of a group that is masked, 0 to 1. Default 0: one token. */
  leastMasked?: number;
  /** `exactCount`: 1 where a group is masked whole, whatever its level. [N] */
  whole?: Uint8Array | null;
}

export interface Corrupted {
  /** [N] */
  noisy: Int32Array;
  /** Masked positions, ascending. [M] */
  masked: Int32Array;
  /** What each counts: Σ weight · nll estimates the bound on −log p of all eligible tokens. [M] */
  weights: Float32Array;
  /** How many tokens could have been masked. */
  eligible: number;
}

/** Runs of eligible positions by group. */
function collectGroups(eligible: Uint8Array, groups: Int32Array): number[][] {
  const members: number[][] = [];
  let last: number | null = null;
  for (let at = 0; at < eligible.length; at++) {
    if (!eligible[at]) continue;
    if (groups[at] === last) members.at(-1)!.push(at);
    else members.push([at]);
    last = groups[at]!;
  }
  return members;
}

/** n numbers, each uniform in [0, 1), one in each interval [i/n, (i+1)/n), in random order. */
export function stratified(n: number, rng: Rng): Float64Array {
  const levels = Float64Array.from({ length: n }, (_, i) => (i + rng.next()) / n);
  return shuffle(levels, rng);
}

/** Masks a batch. @param ids clean tokens, [N] */
export function corrupt(ids: Int32Array, corruption: Corruption): Corrupted {
  const { eligible, groups, masking, schedule, maskTokenId, rng, order = null } = corruption;
  const { leastMasked = 0, whole = null } = corruption;
  assert(
    eligible.length === ids.length && groups.length === ids.length,
    'eligible and groups cover the batch',
  );
  const members = collectGroups(eligible, groups);
  const levels = stratified(members.length, rng);
  const weightAt = new Float32Array(ids.length);
  members.forEach((positions, group) => {
    const level = levels[group];
    if (masking === 'bernoulli') {
      const weight = schedule.lossWeight(level);
      const chance = 1 - schedule.alpha(level);
      for (const at of positions) if (rng.next() < chance) weightAt[at] = weight;
    } else {
      const L = positions.length;
      const share = whole?.[positions[0]] ? 1 : leastMasked + (1 - leastMasked) * level;
      const count = Math.min(L, 1 + Math.floor(share * L));
      const chosen = order ? latest(positions, count, order) : choose(positions, count, rng);
      for (const at of chosen) weightAt[at] = L / count;
    }
  });
  const masked = Int32Array.from(positionsWhere(weightAt));
  const noisy = ids.slice();
  for (const at of masked) noisy[at] = maskTokenId;
  return {
    noisy,
    masked,
    weights: Float32Array.from(masked, (at) => weightAt[at]),
    eligible: members.reduce((n, positions) => n + positions.length, 0),
  };
}

function* positionsWhere(weights: Float32Array): Generator<number> {
  for (let at = 0; at < weights.length; at++) if (weights[at] > 0) yield at;
}

/** The `count` positions that are committed last. */
function latest(positions: readonly number[], count: number, order: Float32Array): number[] {
  return positions.toSorted((a, b) => order[b] - order[a] || b - a).slice(0, count);
}
