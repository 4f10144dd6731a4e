/**
 * The sampler of DiffusionGemma, whose canvas has no masks (transformers, generation_diffusion_gemma.py). In the words of this
 * house: what a step accepts is committed, everything else is masked again, and a mask is shown as noise. A block ends when
 * its best tokens stand still and are sure, or after so many steps, and then its best tokens are the text.
 */
import { TintypeError } from '../../errors.ts';
import { appendCanvas } from '../canvas.ts';
import type { Candidate, UnmaskPolicy } from '../policies/policy.ts';
import { planOfSpans, spansFrom } from './recipe.ts';
import type { OfficialRun } from './recipe.ts';
import { createUniformContext } from './uniform-context.ts';
import { firstOf } from './values.ts';
import type { Request } from './values.ts';

export function planUniformEntropy({ config, prompt: given, values, eos, padId }: Request): OfficialRun {
  const {
    blockLength: B,
    maxTokens,
    gamma,
    stableSteps,
    meanEntropy,
    lowTemperature,
    highTemperature,
  } = values;
  const steps = values.steps ?? B;
  wantText(given, config.gemma?.imageToken ?? null);
  // Something has to be encoded before the first canvas.
  const first = config.tokens.bos ?? eos[0];
  const prompt = given.length > 0 || first === undefined ? given : [first];
  const P = prompt.length;
  const end = P + Math.ceil(maxTokens / B) * B;
  // Step 0 of the official count is the one after the last.
  const temperature = (step: number): number =>
    lowTemperature + (highTemperature - lowTemperature) * ((steps - step) / steps);
  return {
    canvas: appendCanvas(prompt, end - P),
    recipe: {
      name: 'diffusion-gemma',
      plan: planOfSpans(spansFrom(P, end, B)),
      policy: acceptOrRenoise({ gamma, steps, stableSteps, meanEntropy }),
      context: (denoiser, seed) => createUniformContext(denoiser, { seed, temperature }),
      textEnd: P + maxTokens,
      stop: ({ ids, block, finished }) => finished && firstOf(eos, ids, block.start, block.end) >= 0,
    },
    result: (ids, worked) => {
      const at = firstOf(eos, ids, P);
      return ids.slice(0, worked).map((id, p) => (at >= 0 && p > at && padId !== null ? padId : id));
    },
  };
}

/** Errors: `unsupported`. */
function wantText(prompt: readonly number[], imageToken: number | null): void {
  const at = imageToken === null ? -1 : prompt.indexOf(imageToken);
  if (at < 0) return;
  throw new TintypeError('unsupported', {
    what: 'the prompt has an image, and this program reads text alone',
    got: `the image token ${imageToken} at position ${at}`,
    next: 'leave images out of the prompt',
  });
}

/**
 * The largest set of positions whose entropies without the largest sum to at most gamma gets its tokens (EB-Sampler
 * 2505.24857), all others are masked again, accepted before or not. The last step of a block writes its best tokens.
 */
export function acceptOrRenoise({
  gamma,
  steps,
  stableSteps,
  meanEntropy,
}: {
  /** Nats. */
  gamma: number;
  /** Most steps of a block. */
  steps: number;
  /** Steps before this one that must have had the same best tokens. */
  stableSteps: number;
  /** Nats, under which the mean of the block's entropies must be. */
  meanEntropy: number;
}): UnmaskPolicy<{ best: string[] }> {
  let isLast = false;
  return {
    name: 'acceptOrRenoise',
    needs: { topK: 1, entropy: true, blocks: true, committed: true, redraws: true },
    finished: () => isLast,
    start: () => ({ best: [] }),
    choose: ({ candidates, committed, step }, memory) => {
      const block = [...candidates, ...committed].sort((a, b) => a.position - b.position);
      if (step === 0) memory.best = [];
      const best = String(block.map(({ top }) => top[0].id));
      const stable = memory.best.length >= stableSteps && memory.best.every((each) => each === best);
      memory.best = stableSteps === 0 ? [] : [...memory.best, best].slice(-stableSteps);
      const mean = block.reduce((sum, { entropy }) => sum + entropy, 0) / block.length;
      isLast = step + 1 >= steps || (stable && mean < meanEntropy);
      const changed = ({ id, current }: Candidate): boolean => id !== current;
      if (isLast) return { commit: block.map((each) => ({ ...each, ...each.top[0] })).filter(changed) };

      let before = 0;
      const accepted = new Set<Candidate>();
      for (const candidate of block.toSorted((a, b) => a.entropy - b.entropy)) {
        if (before > gamma) break;
        accepted.add(candidate);
        before += candidate.entropy;
      }
      return {
        commit: [...accepted].filter(changed),
        remask: committed.filter((each) => !accepted.has(each)).map(({ position }) => position),
      };
    },
  };
}
