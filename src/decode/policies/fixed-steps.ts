/**
 * A fixed number of forwards a block: step t of n commits k_t = ⌊M/n⌋ + [t < M mod n] of its M masks, the
 * surest first. What "sure" means is the order:
 * - `confidence` p₁, the probability of the token (LLaDA 2502.09992 "low_confidence"; MaskGIT 2202.04200, eq. 4);
 * - `margin` p₁ − p₂ (Dream 2508.15487 "topk_margin"; 2502.06768, section 4);
 * - `entropy` −H, the negative entropy (Dream "entropy").
 */
import { evenShare } from './policy.ts';
import type { Candidate, UnmaskPolicy } from './policy.ts';

export type SurenessOrder = 'confidence' | 'margin' | 'entropy';

const SURENESS: Record<SurenessOrder, (candidate: Candidate) => number> = {
  confidence: ({ probability }) => probability,
  margin: ({ probability, runnerUp }) => probability - runnerUp,
  entropy: ({ entropy }) => -entropy,
};

/** Uses min(n, M) forwards: more forwards than masks would commit nothing. */
export function fixedSteps(steps: number, order: SurenessOrder = 'confidence'): UnmaskPolicy {
  const sureness = SURENESS[order];
  return {
    name: `fixedSteps(${steps}, ${order})`,
    needs: { topK: order === 'margin' ? 2 : 1, entropy: order === 'entropy', blocks: true },
    choose({ candidates, step, masksAtStart }) {
      // Sorting is stable, so that equals are committed from left to right.
      const surestFirst = [...candidates].sort((a, b) => sureness(b) - sureness(a));
      return { commit: surestFirst.slice(0, evenShare(masksAtStart, steps, step)) };
    },
  };
}
