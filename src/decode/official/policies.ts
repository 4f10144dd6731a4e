/**
 * What published samplers commit. Of equal scores the first position wins everywhere. Counts and thresholds are those of
 * the official code, comparisons included: `>` where it says so, `>=` where it says that.
 */
import { TintypeError } from '../../errors.ts';
import type { Candidate, Choice, UnmaskPolicy } from '../policies/policy.ts';
import { timestepCount } from './counts.ts';
import { torchTopK } from './torch-topk.ts';

type Score = (candidate: Candidate) => number;

/** What the official code orders positions by. */
export const ORDERS = {
  confidence: ({ probability }) => probability,
  margin: ({ top }) => top[0].probability - (top[1]?.probability ?? 0),
  entropy: ({ entropy }) => -entropy,
} satisfies Record<string, Score>;
export type Order = keyof typeof ORDERS;

const needsOf = (order: Order): UnmaskPolicy['needs'] => ({
  topK: order === 'margin' ? 2 : 1,
  entropy: order === 'entropy',
  blocks: true,
});

/** The `count` candidates with the highest scores. */
const best = (candidates: readonly Candidate[], count: number, score: Score): Candidate[] =>
  candidates.toSorted((a, b) => score(b) - score(a)).slice(0, count);

/**
 * A block that is left only when it is full gains a token with every step, unless the model predicts the mask itself. Then
 * the official loops fail or never end; this one says so.
 */
function mustProgress(step: number, most: number): void {
  if (step < most) return;
  throw new TintypeError('diverged', {
    what: 'the model predicts its mask token, and this sampler does not end before every mask is gone',
    got: `masks after ${step} forwards of one block`,
    next: 'use another sampler, or none: policies of this program never write a mask',
  });
}
const PATIENCE = 4;

const isFull = ({ masksLeft }: { masksLeft: number }): boolean => masksLeft === 0;

/** Fixed numbers of positions. `counts` by the masks that the block begins with. */
export function counted(
  counts: (masksAtStart: number) => readonly number[],
  order: Order = 'confidence',
  { fullAfter = Infinity }: { /** Steps after which a full block is finished. */ fullAfter?: number } = {},
): UnmaskPolicy {
  return {
    name: 'counted',
    needs: needsOf(order),
    finished: ({ step, masksAtStart, masksLeft }) =>
      step >= counts(masksAtStart).length || (masksLeft === 0 && step >= fullAfter),
    choose: ({ candidates, step, masksAtStart }) => ({
      commit: best(candidates, counts(masksAtStart)[step] ?? 0, ORDERS[order]),
    }),
  };
}

/** All that are sure enough, and always the surest. */
export function sureEnough(
  isSure: (candidate: Candidate) => boolean,
  {
    order = 'confidence',
    steps = Infinity,
    leastSteps = 0,
  }: {
    order?: 'confidence' | 'entropy';
    /** Most steps of a block, which may leave masks. */
    steps?: number | ((masksAtStart: number) => number);
    /** Steps that a block has even when it is full. */
    leastSteps?: number;
  } = {},
): UnmaskPolicy {
  const most = typeof steps === 'function' ? steps : () => steps;
  return {
    name: 'sureEnough',
    needs: needsOf(order),
    finished: ({ step, masksAtStart, masksLeft }) =>
      step >= most(masksAtStart) || (masksLeft === 0 && step >= leastSteps),
    choose: ({ candidates, step, masksAtStart }) => {
      if (candidates.length > 0) mustProgress(step, PATIENCE * masksAtStart + leastSteps);
      const [first] = best(candidates, 1, ORDERS[order]);
      return { commit: candidates.filter((candidate) => candidate === first || isSure(candidate)) };
    },
  };
}

/**
 * All above the threshold if they are at least as many as the step's count, else so many of the best (LLaDA2, SDAR).
 * @param counts by step, the same for every block; without an end a block goes on with the last
 */
export function sureOrCounted(
  threshold: number,
  counts: readonly number[],
  {
    steps = Infinity,
    order = 'confidence',
    confidenceTopK = 0,
    overwrites = false,
    endsAfterCounts = false,
  }: {
    /** Most steps of a block, which may leave masks. */
    steps?: number;
    order?: 'confidence' | 'position';
    /** Confidences are probabilities among so many best tokens (SDAR's top_k); 0: among all. */
    confidenceTopK?: number;
    /** Where a count is above the masks that are left, other positions of the block are written over (SDAR). */
    overwrites?: boolean;
    /** A step for which there is no count is an error (SDAR). */
    endsAfterCounts?: boolean;
  } = {},
): UnmaskPolicy {
  const confidence: Score = ({ probability, top }) =>
    confidenceTopK === 0
      ? probability
      : probability / top.reduce((sum, likely) => sum + likely.probability, 0);
  return {
    name: 'sureOrCounted',
    needs: {
      ...needsOf('confidence'),
      topK: Math.max(1, confidenceTopK),
      ...(overwrites ? { committed: 'given' } : {}),
    },
    finished: ({ step, masksLeft }) => step >= steps || masksLeft === 0,
    choose: ({ candidates, committed, step, masksAtStart }) => {
      if (steps === Infinity) mustProgress(step, endsAfterCounts ? counts.length : PATIENCE * masksAtStart);
      const sure = candidates.filter((candidate) => confidence(candidate) > threshold);
      const count = counts[step] ?? counts.at(-1)!;
      if (sure.length >= count) return { commit: sure };
      if (order === 'position') return { commit: candidates.slice(0, count) };
      if (!overwrites || candidates.length >= count) return { commit: best(candidates, count, confidence) };
      const block = [...candidates, ...committed].sort((a, b) => a.position - b.position);
      const values = block.map((each) => (each.current === null ? confidence(each) : -Infinity));
      return { commit: torchTopK(values, count).map((place) => block[place]) };
    },
  };
}

/**
 * The same with one token a round, and committed tokens give way to others that are sure enough (LLaDA2.1). A block is
 * left when a round that began without masks changed nothing, or after `rounds` such rounds.
 */
export function jointEdit({
  threshold,
  editThreshold,
  least,
  rounds,
}: {
  threshold: number;
  editThreshold: number;
  least: number;
  rounds: number;
}): UnmaskPolicy {
  const ofMasks = sureOrCounted(threshold, [least]);
  return {
    name: 'jointEdit',
    needs: { topK: 1, entropy: false, blocks: true, committed: true },
    polish: rounds + 1,
    choose: (view) => {
      const edits = view.committed.filter(
        ({ id, current, probability }) => id !== current && probability > editThreshold,
      );
      // Rounds of editing come when the masks are gone, and then nothing is there to be waited for.
      const masks = view.candidates.length > 0 ? ofMasks.choose(view, undefined).commit : [];
      return { commit: [...masks, ...edits] };
    },
  };
}

/**
 * All whose entropy, with a penalty for each position between them and the first mask, is below the threshold; else the
 * one with the least (WeDLM).
 */
export function nearestSure({
  entropyThreshold,
  distancePenalty,
  windowLength,
}: {
  entropyThreshold: number;
  distancePenalty: number;
  windowLength: number;
}): UnmaskPolicy {
  return {
    name: 'nearestSure',
    needs: needsOf('entropy'),
    choose: ({ candidates, step }) => {
      // A window stands while its first position is masked, and each step fills another of them.
      mustProgress(step, windowLength);
      const first = candidates[0]?.position ?? 0;
      const adjusted: Score = ({ entropy, position }) => entropy + distancePenalty * (position - first);
      const sure = candidates.filter((candidate) => adjusted(candidate) < entropyThreshold);
      return {
        commit: sure.length > 0 ? sure : best(candidates, 1, (candidate) => -adjusted(candidate)),
      };
    },
  };
}

/** A falling share of the masks (Dream); all steps are done. */
export function timesteps(steps: number, eps: number, order: Order): UnmaskPolicy {
  return {
    name: 'timesteps',
    needs: needsOf(order),
    finished: ({ step }) => step >= steps,
    choose: ({ candidates, step }) => ({
      commit: best(candidates, timestepCount(candidates.length, { step, steps, eps }), ORDERS[order]),
    }),
  };
}

/**
 * Each mask is written with probability 1 − s/t, in no order (Dream's `origin`). Draws are this house's: torch's cannot be
 * replayed.
 */
export function timestepsAtRandom(steps: number, eps: number): UnmaskPolicy {
  const time = (i: number): number => 1 + ((eps - 1) * i) / steps;
  return {
    name: 'timestepsAtRandom',
    needs: needsOf('confidence'),
    finished: ({ step }) => step >= steps,
    choose: ({ candidates, step, rng }) => {
      const share = step < steps - 1 ? 1 - time(step + 1) / time(step) : 1;
      return { commit: candidates.filter(() => rng.int(2 ** 24) / 2 ** 24 < share) };
    },
  };
}

/**
 * Each mask becomes its token with a probability that the step says, independently (MDLM). Steps in which none does need
 * no forward, since the model would say the same again, so here they take none. After the last step what is masked gets
 * its best token.
 * @param share probability at step 0 to steps − 1 of a block
 */
export function ancestral(steps: number, share: (step: number) => number): UnmaskPolicy<{ step: number }> {
  return {
    name: 'ancestral',
    needs: needsOf('confidence'),
    start: () => ({ step: 0 }),
    choose: ({ candidates, step, rng }, memory) => {
      if (step === 0) memory.step = 0;
      while (memory.step < steps) {
        const probability = share(memory.step++);
        const commit = candidates.filter(() => rng.int(2 ** 24) / 2 ** 24 < probability);
        if (commit.length > 0) return { commit };
      }
      return { commit: candidates.map((candidate) => ({ ...candidate, ...candidate.top[0] })) };
    },
  };
}

/**
 * SEDD's analytic predictor (2310.16834, section 4.2) in the absorbing process: from σ to σ − Δσ a mask becomes a token with
 * probability (e^Δσ − 1) · Σ scores, where that is below 1, and which one by their scores alone. After the last step every
 * mask does (the denoising step).
 * @param leap e^Δσ − 1 of step 0 to steps − 1
 */
export function analytic(steps: number, leap: (step: number) => number): UnmaskPolicy {
  return {
    name: 'analytic',
    needs: needsOf('confidence'),
    finished: ({ step, masksLeft }) => step > steps || masksLeft === 0,
    choose: ({ candidates, step, rng }) => ({
      commit: candidates.filter(
        ({ logSumExp }) => step >= steps || rng.int(2 ** 24) / 2 ** 24 < leap(step) * Math.exp(logSumExp),
      ),
    }),
  };
}

/** One mask, any of them alike (first hitting, 2409.02908). */
export function oneAtRandom(): UnmaskPolicy {
  return {
    name: 'oneAtRandom',
    needs: needsOf('confidence'),
    choose: ({ candidates, rng }) => ({ commit: [candidates[rng.int(candidates.length)]] }),
  };
}

/**
 * Fast-dLLM v1 for Dream: the forward over the whole canvas at the start of a block writes the block's first position and
 * no other, whatever its confidence; the block then goes on by another policy, whose steps count from that forward.
 */
export function firstAlone(then: UnmaskPolicy): UnmaskPolicy {
  return {
    ...then,
    name: 'firstAlone',
    finished: (block) => block.step >= 2 && (then.finished?.(block) ?? isFull(block)),
    choose: (view, memory): Choice =>
      view.step > 0 ? then.choose(view, memory) : { commit: view.candidates.slice(0, 1) },
  };
}

/**
 * P2 (Open-dCoder): every position of the answer gets a confidence, decoded ones included; those with the lowest are masked
 * again, fewer from step to step. Masks that are not among them take their token, decoded tokens stay what they are.
 */
export function p2(steps: number): UnmaskPolicy {
  return {
    name: 'p2',
    needs: { topK: 1, entropy: false, blocks: true, committed: true },
    finished: ({ step, masksLeft }) => step >= steps || masksLeft === 0,
    choose: ({ candidates, committed, step }) => {
      const all = [...candidates, ...committed].sort((a, b) => a.position - b.position);
      const share = 1 - (step + 1) / steps;
      const low = new Set(best(all, Math.floor(all.length * share), ({ probability }) => -probability));
      return {
        commit: candidates.filter((candidate) => !low.has(candidate)),
        remask: committed.filter((candidate) => low.has(candidate)).map(({ position }) => position),
      };
    },
  };
}

/** RND1: of all positions a share that falls with the steps stays masked, those with the highest entropies. */
export function entropySchedule(steps: number): UnmaskPolicy {
  return {
    name: 'entropySchedule',
    needs: needsOf('entropy'),
    finished: ({ step }) => step >= steps,
    choose: ({ candidates, step, masksAtStart }) => {
      const decoded = Math.floor((masksAtStart * (step + 1)) / steps);
      const count = Math.max(0, decoded - (masksAtStart - candidates.length));
      return { commit: best(candidates, step >= steps - 1 ? candidates.length : count, ORDERS.entropy) };
    },
  };
}
