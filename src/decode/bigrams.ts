/**
 * What neighbouring masks have to do with each other. One forward says of every mask what may stand there, each for
 * itself: behind `const` a name, behind a name `=`, but not which name goes with which value, so that tokens committed
 * together need not fit together. What joins them here is the cheapest model of pairs that there is, counts of which
 * token follows which, in a corpus (`model/bigrams.ts`) and in this very text:
 *
 *   log p(x | previous) = log p(x) + w · log( follows(x | previous) / share(x) ) + const
 *
 * over the best candidates of a mask whose neighbour to the left is a mask too and gets its own candidate, from left to
 * right. Marginals from the denoiser and dependence from elsewhere are the idea of Discrete Copula Diffusion (2410.01949),
 * a chain of pairs over the best candidates that of NART-CRF (1910.11555); counts instead of a trained model are ours. A
 * mask whose neighbour is known needs none of it: the denoiser has seen that token.
 *
 * The probability of a linked candidate is that of the whole chain up to it, so that a threshold on it asks how likely
 * all that would be committed together is right.
 *
 * The same counts guess what comes next where no forward has looked: drafts for `verify`, which an autoregressive model
 * can check as well (Inference with Reference, 2304.04487, drafts from the prompt so).
 */
import type { BigramTable } from '../model/bigrams.ts';
import type { Candidate, Likely } from './policies/policy.ts';

export interface Bigrams {
  /** Best tokens of each mask that it weighs. */
  readonly topK: number;
  /** Takes in text that stands, where the text before it ended. */
  learn(ids: Iterable<number>): void;
  /** What masks say when those right before them hold their candidates. @param candidates ascending, with their best */
  link(candidates: readonly Candidate[]): Candidate[];
  /** The likeliest token behind another one; null where nothing is known of it. */
  follower(previous: number): Likely | null;
}

const TOP_K = 32;
/** Weight of the bigrams where a model has a table of them and nobody says another. */
export const BIGRAM_WEIGHT = 0.6;
/** Pseudo-counts of what the corpus says beside what this text says. */
const PRIOR = 1;
/** Without a corpus: pseudo-counts of each token, so that every share is above 0. */
const LEAST = 0.1;

/** For who reads none. */
export const NO_BIGRAMS: Bigrams = {
  topK: 1,
  learn: () => {},
  link: (candidates) => [...candidates],
  follower: () => null,
};

/** @param weight w above; 0: candidates stay as they are */
export function createBigrams(weight: number, vocabSize: number, table: BigramTable | undefined): Bigrams {
  const singles = new Map<number, number>();
  /** By token: how often each other one follows it. */
  const followers = new Map<number, Map<number, number>>();
  let length = 0;
  let last: number | null = null;

  /** Probability of a token behind another one. */
  const shareBehind = (previous: number, id: number): number => {
    const prior = table?.shareBehind(previous, id) ?? shareOf(id);
    const seen = followers.get(previous)?.get(id) ?? 0;
    return (seen + PRIOR * prior) / ((singles.get(previous) ?? 0) + PRIOR);
  };
  const shareOf = (id: number): number =>
    table?.share(id) ?? ((singles.get(id) ?? 0) + LEAST) / (length + LEAST * vocabSize);
  /** How much more often a token stands behind another than anywhere. */
  const lift = (previous: number, id: number): number => shareBehind(previous, id) / shareOf(id);

  function linked(candidate: Candidate, previous: Candidate): Candidate {
    const weighed = candidate.top.map(({ id, probability }) => ({
      id,
      probability: probability * lift(previous.id, id) ** weight,
    }));
    const sum = (all: readonly { probability: number }[]): number =>
      all.reduce((total, { probability }) => total + probability, 0);
    // What the best have together they keep, in other shares; what is behind them stays.
    const scale = (sum(candidate.top) / sum(weighed)) * previous.probability;
    const top = weighed
      .map(({ id, probability }) => ({ id, probability: probability * scale }))
      .sort((a, b) => b.probability - a.probability);
    return { ...candidate, ...top[0], runnerUp: top[1]?.probability ?? 0, top };
  }

  return {
    topK: weight > 0 ? TOP_K : 1,
    learn(ids) {
      for (const id of ids) {
        if (last !== null) {
          const behind = followers.get(last) ?? new Map<number, number>();
          followers.set(last, behind.set(id, (behind.get(id) ?? 0) + 1));
        }
        singles.set(id, (singles.get(id) ?? 0) + 1);
        length++;
        last = id;
      }
    },
    link(candidates) {
      if (weight === 0) return [...candidates];
      const all: Candidate[] = [];
      for (const candidate of candidates) {
        const before = all.at(-1);
        const isBehindMask =
          before?.position === candidate.position - 1 &&
          before.current === null &&
          candidate.current === null;
        all.push(isBehindMask ? linked(candidate, before) : candidate);
      }
      return all;
    },
    follower(previous) {
      const common = table?.follower(previous);
      const known = [...(followers.get(previous)?.keys() ?? []), ...(common === undefined ? [] : [common])];
      let best: Likely | null = null;
      for (const id of known) {
        const probability = shareBehind(previous, id);
        if (probability > (best?.probability ?? 0)) best = { id, probability };
      }
      return best;
    },
  };
}
