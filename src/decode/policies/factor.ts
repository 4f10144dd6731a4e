/**
 * The surer the positions, the more of them at once: commit the n surest for the largest n with
 * p₁ of the n-th ≥ 1 − f/(n + 1) (Fast-dLLM 2505.22618, factor-based decoding). Theorem 1 there: where every one of n
 * tokens has p₁ > 1 − ε with (n + 1)ε ≤ 1, the most probable tokens are also the most probable text, so f = 1 is the
 * bound of the theorem and a larger f trusts more than is proven. Confidence falls with n while the bound rises, so
 * that the first n to fail ends the search.
 */
import { orSurest } from './policy.ts';
import type { UnmaskPolicy } from './policy.ts';

export function factor(factor: number): UnmaskPolicy {
  return {
    name: `factor(${factor})`,
    needs: { topK: 1, entropy: false },
    choose(view) {
      const surestFirst = [...view.candidates].sort((a, b) => b.probability - a.probability);
      const failing = surestFirst.findIndex(({ probability }, i) => probability < 1 - factor / (i + 2));
      return orSurest(failing < 0 ? surestFirst : surestFirst.slice(0, failing), view);
    },
  };
}
