/**
 * From statistics to one candidate token for each position.
 *
 * - temperature 0: the best token.
 * - temperature only: the denoiser's own draw from softmax(logits / temperature) over all of V, exact.
 * - with top-k or top-p: a draw among the 64 best tokens. The nucleus is cut from the model's own distribution,
 *   whose normaliser is known, and temperature reshapes what is left (the order of llama.cpp).
 *
 * Each position has one uniform number of its own, made from the seed and its place, for all the times that it is
 * asked about. So what is drawn depends neither on the order in which positions are asked nor on what else is decoded,
 * and text that is drafted and then verified equals, draw for draw, what one token at a time would have drawn.
 *
 * Whatever the temperature, `probability` is what the model gives the token at temperature 1: a policy asks how sure
 * the model is, not how it was sampled. The mask token is never a candidate; where it wins, the best other token
 * takes its place, and probabilities are left as they are (not renormalised).
 */
import type { ModelConfig } from '../model/config.ts';
import type { Statistics, StatisticsRequest } from '../model/denoiser.ts';
import { createRng } from '../rng.ts';
import type { Candidate, Likely, UnmaskPolicy } from './policies/policy.ts';

export interface Sampling {
  /** 0 is greedy. */
  temperature: number;
  /** Keep the k most probable tokens; null keeps all. */
  topK: number | null;
  /** Keep the fewest tokens whose probabilities reach this sum; 1 keeps all. */
  topP: number;
  /** Same seed, same draws. */
  seed: number;
}

/** Candidates a row that leave the graph when tokens are drawn here. */
export const MOST_CANDIDATES = 64;

export interface Sampler {
  /** What to ask of a forward about these positions. */
  request(positions: readonly number[]): StatisticsRequest;
  /** One candidate for each queried position. `ids`: the canvas. */
  read(statistics: Statistics, positions: readonly number[], ids: Int32Array): Candidate[];
  /** A position that was masked again gets another number. */
  redraw(position: number): void;
}

export function createSampler(
  sampling: Sampling,
  needs: UnmaskPolicy['needs'],
  { vocabSize, tokens }: ModelConfig,
): Sampler {
  const { temperature, topP, seed } = sampling;
  const isTruncated = sampling.topK !== null || topP < 1;
  const draws = temperature > 0 && isTruncated;
  const drawsInGraph = temperature > 0 && !isTruncated;
  // One of the best may be the mask token, so where there is one, one more than the policy reads.
  const read = needs.topK + (tokens.mask === null ? 0 : 1);
  const topK = Math.min(draws ? MOST_CANDIDATES : read, vocabSize);

  const visits = new Map<number, number>();
  // 24 bits, since more would round to 1 in a float32.
  const uniform = (position: number): number =>
    createRng(seed, 'sample', position, visits.get(position) ?? 0).int(2 ** 24) / 2 ** 24;

  const redraw = (position: number): void => void visits.set(position, (visits.get(position) ?? 0) + 1);

  /** Place among the row's candidates of the one drawn. */
  function draw(position: number, all: readonly Likely[]): Likely {
    const nucleus: Likely[] = [];
    let mass = 0;
    for (const likely of all.slice(0, sampling.topK ?? all.length)) {
      nucleus.push(likely);
      mass += likely.probability;
      if (mass >= topP) break;
    }
    // Relative to the best one, so that small temperatures neither overflow nor vanish.
    const weights = nucleus.map(
      ({ probability }) => (probability / nucleus[0].probability) ** (1 / temperature),
    );
    let rest = uniform(position) * weights.reduce((sum, weight) => sum + weight, 0);
    return nucleus.at(weights.findIndex((weight) => (rest -= weight) < 0))!;
  }

  return {
    request(positions) {
      const want: StatisticsRequest = { topK, entropy: needs.entropy };
      if (!drawsInGraph) return want;
      return { ...want, sample: { temperature, uniforms: Float32Array.from(positions, uniform) } };
    },

    read(statistics, positions, ids) {
      const { logits, logSumExp, entropy, sampled, sampledLogits } = statistics;
      const candidates = positions.map((position, row) => {
        const probabilityOf = (logit: number): number => Math.exp(logit - logSumExp[row]);
        const best: Likely[] = [];
        for (let place = row * topK; place < (row + 1) * topK; place++) {
          const id = statistics.ids[place];
          if (id !== tokens.mask) best.push({ id, probability: probabilityOf(logits[place]) });
        }
        let { id, probability } = draws ? draw(position, best) : best[0];
        if (drawsInGraph && sampled[row] !== tokens.mask) {
          id = sampled[row];
          probability = probabilityOf(sampledLogits[row]);
        }
        const rival = needs.topK > 1 ? best.find((other) => other.id !== id) : undefined;
        return {
          position,
          id,
          probability,
          runnerUp: rival?.probability ?? 0,
          entropy: needs.entropy ? entropy[row] : NaN,
          logSumExp: logSumExp[row],
          top: best.slice(0, needs.topK),
          current: ids[position] >= 0 ? ids[position] : null,
        };
      });
      if (needs.redraws) positions.forEach(redraw);
      return candidates;
    },

    redraw,
  };
}
