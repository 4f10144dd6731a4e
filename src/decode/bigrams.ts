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
 * Guesses of what comes next where no forward has looked are made of counts as well, in this text of contexts of up to
 * four tokens, a longer one counted beside the shorter (PPM, Cleary and Witten 1984): drafts for `verify`, which an
 * autoregressive model can check too (Inference with Reference, 2304.04487, drafts from the prompt so).
 */
import type { BigramTable } from '../model/bigrams.ts';
import { MASKED, type Span } from './canvas.ts';
import type { CommittedToken } from './events.ts';
import type { Candidate, Likely } from './policies/policy.ts';

export interface Bigrams {
  /** Best tokens of each mask that it weighs. */
  readonly topK: number;
  /** Takes in text that stands, where the text before it ended. */
  learn(ids: Iterable<number>): void;
  /** What masks say when those right before them hold their candidates. @param candidates ascending, with their best */
  link(candidates: readonly Candidate[]): Candidate[];
  /**
   * Tokens for the masks of a span, the likeliest behind the likeliest. Each costs whoever checks them a row, and a wrong
   * one makes what was drafted behind it useless, so the chain ends where it is unlikely. It ends before `ends` too.
   */
  guess(ids: Int32Array, span: Span, ends: readonly number[]): CommittedToken[];
}

interface Followers {
  total: number;
  counts: Map<number, number>;
}

const TOP_K = 32;
/** Tokens that a guess looks back at, at most. */
export const SIGHT = 4;
/** How likely a guess must be, with all before it. */
const LEAST_GUESS = 0.2;
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
  guess: () => [],
};

/**
 * @param weight w above; 0: candidates stay as they are
 * @param sight tokens that a guess looks back at; 1 where nothing guesses, since longer contexts take time to count
 */
export function createBigrams(
  weight: number,
  vocabSize: number,
  table: BigramTable | undefined,
  sight = SIGHT,
): Bigrams {
  const singles = new Map<number, number>();
  /** Of contexts of 1, 2, … tokens: how often each token follows, and how often any. */
  const orders = Array.from({ length: sight }, () => new Map<number, Followers>());
  /** The last tokens, latest first. */
  let recent: number[] = [];
  let length = 0;

  /** A context as one number. Of several tokens of a large vocabulary the oldest blur, which only makes guesses worse. */
  const keyOf = (latestFirst: readonly number[], order: number): number => {
    let key = 0;
    for (let i = 0; i < order; i++) key = key * vocabSize + latestFirst[i];
    return key;
  };
  /** Probability of a token behind another one, or behind several: longer contexts are counted beside shorter ones. */
  const shareBehind = (latestFirst: readonly number[], id: number): number => {
    let share = table?.shareBehind(latestFirst[0], id) ?? shareOf(id);
    for (let order = 1; order <= Math.min(sight, latestFirst.length); order++) {
      const seen = orders[order - 1].get(keyOf(latestFirst, order));
      if (seen === undefined) break;
      share = ((seen.counts.get(id) ?? 0) + PRIOR * share) / (seen.total + PRIOR);
    }
    return share;
  };
  const shareOf = (id: number): number =>
    table?.share(id) ?? ((singles.get(id) ?? 0) + LEAST) / (length + LEAST * vocabSize);
  /** How much more often a token stands behind another than anywhere. */
  const lift = (behind: readonly number[], id: number): number => shareBehind(behind, id) / shareOf(id);

  function linked(candidate: Candidate, previous: Candidate): Candidate {
    const behind = [previous.id];
    const weighed = candidate.top.map(({ id, probability }) => ({
      id,
      probability: probability * lift(behind, id) ** weight,
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

  /** The likeliest token behind some; null where nothing is known of the last one. */
  function follower(latestFirst: readonly number[]): Likely | null {
    const common = table?.follower(latestFirst[0]);
    const known = orders[0].get(latestFirst[0])?.counts.keys() ?? [];
    let best: Likely | null = null;
    for (const id of common === undefined ? known : [...known, common]) {
      const probability = shareBehind(latestFirst, id);
      if (probability > (best?.probability ?? 0)) best = { id, probability };
    }
    return best;
  }

  return {
    topK: weight > 0 ? TOP_K : 1,
    learn(ids) {
      for (const id of ids) {
        for (let order = 1; order <= recent.length; order++) {
          const key = keyOf(recent, order);
          const seen = orders[order - 1].get(key) ?? { total: 0, counts: new Map<number, number>() };
          seen.total++;
          seen.counts.set(id, (seen.counts.get(id) ?? 0) + 1);
          orders[order - 1].set(key, seen);
        }
        singles.set(id, (singles.get(id) ?? 0) + 1);
        length++;
        recent = [id, ...recent.slice(0, sight - 1)];
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
    guess(ids, { start, end }, ends) {
      const all: CommittedToken[] = [];
      const latestFirst = Array.from(ids.subarray(Math.max(0, start - sight), start)).reverse();
      let likely = 1;
      for (let position = start; position < end; position++) {
        let id = ids[position];
        if (id === MASKED) {
          const guess = follower(latestFirst);
          likely *= guess?.probability ?? 0;
          if (guess === null || likely < LEAST_GUESS || ends.includes(guess.id)) break;
          all.push({ position, ...guess });
          id = guess.id;
        }
        latestFirst.unshift(id);
      }
      return all;
    },
  };
}
