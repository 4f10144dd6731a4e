/** What an unmasking policy is: a pure function from the statistics of the masked positions to those it commits. */
import type { Rng } from '../../rng.ts';

/** What the model says about one masked position. */
export interface Candidate {
  position: number;
  /** The token that would be committed: the best one, or the sampled one. Never the mask token. */
  id: number;
  /** Its probability under the model's own distribution (temperature 1, nothing truncated). */
  probability: number;
  /** Probability of the best other token; 0 unless `needs.topK` is 2 or more. */
  runnerUp: number;
  /** Nats; NaN unless `needs.entropy`. */
  entropy: number;
}

/** One step inside one block. */
export interface StepView {
  /** The block's masked positions, ascending; at least one. */
  candidates: readonly Candidate[];
  /** Steps that this block has had before. */
  step: number;
  /** Masked positions of the block before its first step. */
  masksAtStart: number;
  /** For policies that draw; the same seed gives the same choices. */
  rng: Rng;
}

/** Write your own by implementing this type and passing it as `policy`. */
export interface UnmaskPolicy {
  name: string;
  /** Statistics that it reads: topK 1 for the best token, 2 for the runner-up as well. */
  needs: { topK: number; entropy: boolean };
  /** The candidates to commit now, at least one, in any order. */
  choose(view: StepView): readonly Candidate[];
}

/** How many positions step `step` of `steps` commits so that all `masks` are gone after exactly `steps` of them. */
export function evenShare(masks: number, steps: number, step: number): number {
  // The remainder goes to the first steps, as in LLaDA's `get_num_transfer_tokens`.
  return Math.max(1, Math.floor(masks / steps) + (step < masks % steps ? 1 : 0));
}
