/**
 * What an unmasking policy is: a function from the statistics of the active positions to those it commits, and, for
 * policies that change their mind, to those it masks again. Pure but for a memory of its own, which the loop keeps for
 * each run, so that one policy object may serve many runs at once.
 */
import type { Rng } from '../../rng.ts';

/** A token and its probability under the model's own distribution (temperature 1, nothing truncated). */
export interface Likely {
  id: number;
  probability: number;
}

/** What the model says about one position. */
export interface Candidate extends Likely {
  position: number;
  /** Probability of the best other token; 0 unless `needs.topK` is 2 or more. */
  runnerUp: number;
  /** Nats; NaN unless `needs.entropy`. */
  entropy: number;
  /** log Σ exp of the position's logits: of a model whose logits are log scores, the log of what they sum to. */
  logSumExp: number;
  /** The `needs.topK` best tokens, the best first, without the mask token. */
  top: readonly Likely[];
  /** The token that stands there; null where the position is masked. */
  current: number | null;
}

/** One step inside one block. */
export interface StepView {
  /** The block's masked positions, ascending. `id` is the token to commit: the best one, or the sampled one. */
  candidates: readonly Candidate[];
  /** Positions of the block that hold a committed token, ascending; empty unless `needs.committed`. */
  committed: readonly Candidate[];
  /** Steps that this block has had before. */
  step: number;
  /** Masked positions of the block before its first step. */
  masksAtStart: number;
  /** Whether decoding would stand still without a commit: true but for a block that is active ahead of its turn. */
  mustCommit: boolean;
  /** For policies that draw; the same seed gives the same choices. */
  rng: Rng;
}

export interface Choice {
  /**
   * To commit now, in any order; with `mustCommit` at least one while there are masks. One of `committed` replaces
   * its token.
   */
  commit: readonly Candidate[];
  /** Committed positions to mask again. */
  remask?: readonly number[];
}

/** Write your own by implementing this type and passing it as `policy`: docs/add-a-policy.md. M: its memory of a run. */
export interface UnmaskPolicy<M = unknown> {
  name: string;
  needs: {
    /** Best tokens that it reads: 1, 2 for the runner-up as well, up to 63. */
    topK: number;
    entropy: boolean;
    /**
     * Statistics of committed positions too, so that they may be replaced or masked again. `given`: also of those that
     * the caller gave.
     */
    committed?: boolean | 'given';
    /** Every forward draws anew; by default a position keeps its draw until it is masked again. */
    redraws?: boolean;
    /** Counts the steps of a block, so blocks must be fixed: no window that slides. */
    blocks?: boolean;
  };
  /** Steps that a block without masks may still have while they change something. Default 0. */
  polish?: number;
  /**
   * Whether a block that has had a step needs no more; by default when no mask is left. With it a step may commit
   * nothing, and a block may end with masks.
   */
  finished?: (block: { step: number; masksAtStart: number; masksLeft: number }) => boolean;
  /** Called once a run. */
  start?: () => M;
  choose(view: StepView, memory: M): Choice;
}

/**
 * What a policy makes of one block, from all that was looked at in it. It sees no more than it asked for, so that what
 * somebody else wanted to be told never changes a choice. In a window that slides the first position is what one token
 * at a time would write next: it is committed whatever the policy says.
 * @param seen the block's positions, ascending; of committed ones those that the policy needs
 */
export function chooseFrom<M>(
  policy: UnmaskPolicy<M>,
  memory: M,
  block: Pick<StepView, 'step' | 'masksAtStart' | 'mustCommit'> & { slides: boolean },
  seen: readonly Candidate[],
  rng: Rng,
): Choice {
  const { topK, entropy } = policy.needs;
  const asked = seen.map((candidate) => ({
    ...candidate,
    runnerUp: topK > 1 ? candidate.runnerUp : 0,
    entropy: entropy ? candidate.entropy : NaN,
    top: candidate.top.slice(0, topK),
  }));
  const { step, masksAtStart, mustCommit } = block;
  const choice = policy.choose(
    {
      candidates: asked.filter(({ current }) => current === null),
      committed: asked.filter(({ current }) => current !== null),
      step,
      masksAtStart,
      mustCommit,
      rng,
    },
    memory,
  );
  if (!block.slides) return choice;
  const [lead] = asked;
  return { ...choice, commit: [lead, ...choice.commit.filter(({ position }) => position !== lead.position)] };
}

/** How many positions step `step` of `steps` commits so that all `masks` are gone after exactly `steps` of them. */
export function evenShare(masks: number, steps: number, step: number): number {
  // The remainder goes to the first steps, as in LLaDA's `get_num_transfer_tokens`.
  return Math.max(1, Math.floor(masks / steps) + (step < masks % steps ? 1 : 0));
}

/** The candidate with the highest score; of equals the leftmost. */
export function surest(
  candidates: readonly Candidate[],
  score: (candidate: Candidate) => number = ({ probability }) => probability,
): Candidate {
  return candidates.reduce((best, candidate) => (score(candidate) > score(best) ? candidate : best));
}

/** These, or the surest one when there is none and there must be one. */
export const orSurest = (chosen: readonly Candidate[], { candidates, mustCommit }: StepView): Choice => ({
  commit: chosen.length > 0 || !mustCommit || candidates.length === 0 ? chosen : [surest(candidates)],
});
