/**
 * When a decoder would commit each token, so that training meets the canvases that decoding meets. Uniformly random
 * masks are mostly canvases that no decoder ever makes: it commits the easy tokens early, and over a causal context
 * it moves on from the left. Orders go to `corrupt`, which masks the latest of a group.
 *
 * The easy tokens are found by asking the model as it is now, once, with everything masked: what it gives the truth
 * there stands for the round in which a decoder would write it. d3LLM (2601.07568) records whole trajectories of a
 * frozen teacher instead; one forward of the model itself costs a third of a step, follows it as it learns, and needs
 * nothing that a resumed run would have to find again.
 */
import type { Rng } from '../rng.ts';

/** Chance that the cheap order has a token committed ahead of its turn. */
const ISLAND_RATE = 0.15;
/** Probabilities from which a simulated decoder commits ahead: one is drawn for each block from here to 1. */
const LOWEST_THRESHOLD = 0.5;

/** Calls `visit` for each eligible token with its place among those of its group, from 0. */
function forEachPlace(
  eligible: Uint8Array,
  groups: Int32Array,
  visit: (at: number, place: number, isFirst: boolean) => void,
): void {
  let last: number | null = null;
  let place = 0;
  for (let at = 0; at < eligible.length; at++) {
    if (!eligible[at]) continue;
    if (groups[at] !== last) place = 0;
    last = groups[at];
    visit(at, place, place === 0);
    place++;
  }
}

/**
 * From left to right, with a few tokens ahead of their turn at random: a decoder over a causal context without a
 * forward to ask. Place 0 is committed by the causal row in any case and never ahead.
 */
export function suffixOrder(eligible: Uint8Array, groups: Int32Array, rng: Rng): Float32Array {
  const order = new Float32Array(eligible.length);
  forEachPlace(eligible, groups, (at, place, isFirst) => {
    const isIsland = rng.next() < ISLAND_RATE && !isFirst;
    order[at] = isIsland ? rng.next() - 1 : place;
  });
  return order;
}

/**
 * From left to right, and ahead of its turn what passes a threshold: decoding over a causal context, where each
 * forward commits the leftmost mask and every sure one.
 * @param nll of the truth with the whole block masked, nats. [N]
 */
export function slidingOrder(
  eligible: Uint8Array,
  groups: Int32Array,
  nll: Float32Array,
  rng: Rng,
): Float32Array {
  const order = new Float32Array(eligible.length);
  let threshold = 1;
  forEachPlace(eligible, groups, (at, place, isFirst) => {
    if (isFirst) threshold = LOWEST_THRESHOLD + (1 - LOWEST_THRESHOLD) * rng.next();
    const probability = Math.exp(-nll[at]);
    order[at] = !isFirst && probability >= threshold ? -probability : place;
  });
  return order;
}
