/**
 * From −log p at masked positions to a bound on −log p of a whole text. For L tokens, S the masked ones,
 *
 *   NELBO = ∫ w(t) · E_S|t [ Σ_{i ∈ S} −log p(x_i | tokens outside S) ] dt = Σ_S Σ_{i ∈ S} −log p(x_i | …) / (|S| · C(L, |S|))
 *
 * The left side is 2406.07524 equation 10; t drops out on the right (`corrupt.ts` has the integral), so every schedule
 * gives the same number. The right side is also the mean cost of generating one token at a time in a uniformly random
 * order (2110.02037 equation 4; 2406.03736 section 3.3), hence, by Jensen, a bound on −log of the mixture of all orders.
 * Between blocks the chain rule is exact: the bound of a row is the sum over its blocks (2503.09573 equation 8), and
 * blocks of one token are autoregressive. The tests check each of these statements.
 */
import { assert } from '../errors.ts';
import type { Corrupted } from './corrupt.ts';

/**
 * Unbiased estimate of the bound from one corruption: Σ weight · nll. It can lie on either side of the bound.
 * @param nll −log p of the true token at each masked position, nats. [M]
 * @returns nats of all eligible tokens together; divide by `corrupted.eligible` for nats a token
 */
export function estimateBound({ weights }: Pick<Corrupted, 'weights'>, nll: ArrayLike<number>): number {
  assert(nll.length === weights.length, 'one loss for each masked position');
  return weights.reduce((sum, weight, i) => sum + weight * nll[i], 0);
}

/**
 * The bound itself, by running through all 2^L − 1 masks: for blocks of a few tokens.
 * @param loss Σ −log p over the masked positions (ascending, never empty), nats
 * @returns nats of all L tokens together
 */
export function exactBound(length: number, loss: (masked: number[]) => number): number {
  let nats = 0;
  for (let mask = 1; mask < 2 ** length; mask++) {
    const masked = Array.from({ length }, (_, i) => i).filter((i) => mask & (1 << i));
    nats += loss(masked) / (masked.length * choose(length, masked.length));
  }
  return nats;
}

/** Binomial coefficient n over k. */
function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return ways;
}
