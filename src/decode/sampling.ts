/**
 * From statistics to one candidate token for each masked position.
 *
 * - temperature 0: the best token.
 * - temperature only: the denoiser's own draw from softmax(logits / temperature) over all of V, exact.
 * - with top-k or top-p: a draw among the 64 best tokens. The nucleus is cut from the model's own distribution,
 *   whose normaliser is known, and temperature reshapes what is left (the order of llama.cpp).
 *
 * Whatever the temperature, `probability` is what the model gives the token at temperature 1: a policy asks how sure
 * the model is, not how it was sampled. The mask token is never a candidate; where it wins, the best other token
 * takes its place, and probabilities are left as they are (not renormalised).
 */
import type { ModelConfig } from '../model/config.ts';
import type { Statistics, StatisticsRequest } from '../model/denoiser.ts';
import type { Rng } from '../rng.ts';
import type { Candidate, UnmaskPolicy } from './policies/policy.ts';

export interface Sampling {
  /** 0 is greedy. */
  temperature: number;
  /** Keep the k most probable tokens; null keeps all. */
  topK: number | null;
  /** Keep the fewest tokens whose probabilities reach this sum; 1 keeps all. */
  topP: number;
}

/** Candidates a row that leave the graph when tokens are drawn here. */
export const MOST_CANDIDATES = 64;

export interface Sampler {
  /** What to ask of a forward with this many queried rows. */
  request(rows: number): StatisticsRequest;
  /** One candidate for each queried position. */
  read(statistics: Statistics, positions: readonly number[]): Candidate[];
}

export function createSampler(
  sampling: Sampling,
  needs: UnmaskPolicy['needs'],
  { vocabSize, tokens }: ModelConfig,
  rng: Rng,
): Sampler {
  const { temperature, topP } = sampling;
  const isTruncated = sampling.topK !== null || topP < 1;
  const draws = temperature > 0 && isTruncated;
  const drawsInGraph = temperature > 0 && !isTruncated;
  // One of the best may be the mask token, so where there is one, one more than the policy reads.
  const read = needs.topK + (tokens.mask === null ? 0 : 1);
  const topK = Math.min(draws ? MOST_CANDIDATES : read, vocabSize);

  /** Place among the row's candidates of the one drawn. */
  function draw(places: number[], probabilityAt: (place: number) => number): number {
    const nucleus: number[] = [];
    let mass = 0;
    for (const place of places.slice(0, sampling.topK ?? places.length)) {
      nucleus.push(place);
      mass += probabilityAt(place);
      if (mass >= topP) break;
    }
    // Relative to the best one, so that small temperatures neither overflow nor vanish.
    const weights = nucleus.map(
      (place) => (probabilityAt(place) / probabilityAt(nucleus[0])) ** (1 / temperature),
    );
    let rest = rng.next() * weights.reduce((sum, weight) => sum + weight, 0);
    const drawn = weights.findIndex((weight) => (rest -= weight) < 0);
    return nucleus.at(drawn)!;
  }

  return {
    request(rows) {
      const want: StatisticsRequest = { topK, entropy: needs.entropy };
      if (!drawsInGraph) return want;
      // 24 bits, since more would round to 1 in a float32.
      const uniforms = Float32Array.from({ length: rows }, () => rng.int(2 ** 24) / 2 ** 24);
      return { ...want, sample: { temperature, uniforms } };
    },

    read(statistics, positions) {
      const { ids, logits, logSumExp, entropy, sampled, sampledLogits } = statistics;
      return positions.map((position, row) => {
        const probabilityOf = (logit: number): number => Math.exp(logit - logSumExp[row]);
        const probabilityAt = (place: number): number => probabilityOf(logits[place]);
        const places = Array.from({ length: topK }, (_, k) => row * topK + k).filter(
          (place) => ids[place] !== tokens.mask,
        );
        const place = draws ? draw(places, probabilityAt) : places[0];
        let id = ids[place];
        let probability = probabilityAt(place);
        if (drawsInGraph && sampled[row] !== tokens.mask) {
          id = sampled[row];
          probability = probabilityOf(sampledLogits[row]);
        }
        const rival = places.find((other) => ids[other] !== id);
        return {
          position,
          id,
          probability,
          runnerUp: needs.topK > 1 && rival !== undefined ? probabilityAt(rival) : 0,
          entropy: needs.entropy ? entropy[row] : NaN,
        };
      });
    },
  };
}
