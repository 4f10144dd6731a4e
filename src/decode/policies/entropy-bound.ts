/**
 * As many positions as depend on each other by little enough: in ascending order of entropy, the largest prefix U with
 * Σ_U H − max_U H ≤ γ (EB-Sampler 2505.24857, algorithm 1; DiffusionGemma's default is γ = 0.1). The left side bounds from
 * above what is lost by drawing the tokens of U independently, the divergence from their joint distribution: their
 * joint entropy is at least the largest single one. One token alone loses nothing, so that there is always one.
 *
 * A block ahead of its turn commits beside the block before it, and a sliding window beside its first token; those are
 * in the same joint draw. The largest entropy is then not free: without `mustCommit` the whole sum stays within γ.
 */
import type { UnmaskPolicy } from './policy.ts';

/** `gamma` in nats. */
export function entropyBound(gamma: number): UnmaskPolicy {
  return {
    name: `entropyBound(${gamma})`,
    needs: { topK: 1, entropy: true },
    choose({ candidates, mustCommit }) {
      const surestFirst = [...candidates].sort((a, b) => a.entropy - b.entropy);
      let sum = 0;
      const failing = surestFirst.findIndex(({ entropy }) => {
        const before = sum;
        sum += entropy;
        // Ascending, so the largest entropy of a prefix is its last.
        return (mustCommit ? before : sum) > gamma;
      });
      return { commit: failing < 0 ? surestFirst : surestFirst.slice(0, failing) };
    },
  };
}
