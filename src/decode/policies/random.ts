/**
 * The order of the plain masked diffusion sampler: which positions are committed has nothing to do with how sure
 * the model is. MDLM (2406.07524, eq. 6) uncovers each mask of step t of n independently with probability
 * (α_s − α_t)/(1 − α_t), which is 1/(n − t) on a linear schedule; here the expected number is taken instead of a
 * binomial one (as LLaDA's "random" does), so that n forwards are always enough.
 */
import { choose } from '../../rng.ts';
import { evenShare } from './policy.ts';
import type { UnmaskPolicy } from './policy.ts';

export function random(steps: number): UnmaskPolicy {
  return {
    name: `random(${steps})`,
    needs: { topK: 1, entropy: false, blocks: true },
    choose({ candidates, step, masksAtStart, rng }) {
      const count = Math.min(evenShare(masksAtStart, steps, step), candidates.length);
      return { commit: choose(candidates, count, rng) };
    },
  };
}
