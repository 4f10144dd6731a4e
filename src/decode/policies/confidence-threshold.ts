/**
 * Commits everything that the model is sure of at once: commit {i : p₁(i) ≥ τ}, and the surest one when there is none
 * (Fast-dLLM 2505.22618, algorithm 1, line 8). The number of forwards follows the difficulty of the text; with
 * τ > 1 it is one token a step.
 */
import { orSurest } from './policy.ts';
import type { UnmaskPolicy } from './policy.ts';

export function confidenceThreshold(threshold: number): UnmaskPolicy {
  return {
    name: `confidenceThreshold(${threshold})`,
    needs: { topK: 1, entropy: false },
    choose: (view) =>
      orSurest(
        view.candidates.filter(({ probability }) => probability >= threshold),
        view,
      ),
  };
}
