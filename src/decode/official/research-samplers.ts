/**
 * Samplers of the research checkpoints: MDLM's ancestral one with and without strides, BD3-LM's first-hitting one and
 * SEDD's analytic one.
 * They draw tokens at temperature 1, which has to be asked for; the draws themselves are this house's, since torch's cannot
 * be replayed. The mask is never drawn, as their models say it themselves (`dit.ts`).
 */
import type { Denoiser } from '../../model/denoiser.ts';
import { noiseOf } from '../../model/dit.ts';
import { appendCanvas } from '../canvas.ts';
import type { Context } from '../context.ts';
import { createFrozenContext } from '../frozen.ts';
import { createGridContext } from './grid-context.ts';
import { analytic, ancestral, oneAtRandom } from './policies.ts';
import { gridSpans, planOfSpans, spansFrom } from './recipe.ts';
import type { OfficialRun } from './recipe.ts';
import { firstOf } from './values.ts';
import type { Request } from './values.ts';

/** The official code begins every text with this token. */
const started = ({ prompt, config, eos }: Request): readonly number[] => {
  const first = config.tokens.bos ?? eos[0];
  return prompt.length > 0 || first === undefined ? prompt : [first];
};

/**
 * `ddpm_cache`: at time t each mask becomes a token with probability 1 − s/t, where s is the next time; the model is asked
 * again only when the text has changed. What is masked after all steps gets its best token.
 */
export function planMdlm(request: Request): OfficialRun {
  const { maxTokens, steps, eps } = request.values;
  const prompt = started(request);
  const count = steps ?? maxTokens;
  const time = (i: number): number => 1 + ((eps - 1) * i) / count;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'mdlm',
      plan: planOfSpans(spansFrom(prompt.length, prompt.length + maxTokens, maxTokens)),
      policy: ancestral(count, (i) => 1 - time(i + 1) / time(i)),
      context: (denoiser) => createFrozenContext(denoiser, { mode: 'none', refreshEvery: Infinity }),
      stop: () => false,
    },
    result: (ids) => [...ids],
  };
}

/** Strides from left to right, each with all steps; what stands behind a stride is not there yet. */
export function planMdlmSemiAr(request: Request): OfficialRun {
  const { maxTokens, blockLength, steps } = request.values;
  const prompt = started(request);
  const count = steps ?? maxTokens;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'mdlm-semi-ar',
      plan: planOfSpans(spansFrom(prompt.length, prompt.length + maxTokens, blockLength)),
      policy: ancestral(count, (i) => 1 / (count - i)),
      context: (denoiser): Context => {
        const inner = createFrozenContext(denoiser, { mode: 'none', refreshEvery: Infinity });
        return {
          ...inner,
          look: (look, want) => inner.look({ ...look, ids: look.ids.subarray(0, look.window.end) }, want),
        };
      },
      stop: () => false,
    },
    result: (ids) => [...ids],
  };
}

/**
 * Blocks on a grid from position 0. Each forward uncovers one mask of its block, any of them alike: what is left of an
 * ancestral sampler when steps that change nothing are passed over (2409.02908, section 4.1).
 */
export function planBd3lm(request: Request): OfficialRun {
  const { values, eos } = request;
  const { maxTokens, blockLength, earlyStop } = values;
  const prompt = started(request);
  const P = prompt.length;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'bd3lm',
      plan: planOfSpans(gridSpans(P, P + maxTokens, blockLength)),
      policy: oneAtRandom(),
      context: (denoiser) => createGridContext(denoiser, { blockLength, stores: { atEnd: 'always' } }),
      // The official code asks from the 257th token on.
      stop: ({ ids, block, finished }) =>
        earlyStop && finished && block.end > 256 && firstOf(eos, ids, P, block.end) >= 0,
    },
    result: (ids) => {
      const at = earlyStop ? firstOf(eos, ids, P) : -1;
      return at >= 0 ? ids.slice(0, at + 1) : [...ids];
    },
  };
}

/**
 * `analytic` with `denoise`: at time t each mask becomes a token with the probability that the scores say of the way to
 * the next time, and what is left at the end becomes one too. The model is told the time in every forward, so it is asked
 * in every step while there are masks. Texts do not begin with a token of their own.
 */
export function planSedd({ prompt, values: { maxTokens, steps, eps } }: Request): OfficialRun {
  const count = steps ?? maxTokens;
  const noise = (i: number): number => noiseOf(1 + ((eps - 1) * i) / count);
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'sedd',
      plan: planOfSpans(spansFrom(prompt.length, prompt.length + maxTokens, maxTokens)),
      policy: analytic(count, (i) => Math.expm1(noise(i) - noise(i + 1))),
      context: (denoiser) => {
        let step = 0;
        const told: Denoiser = {
          ...denoiser,
          forward: (runs, want) =>
            denoiser.forward(
              runs.map((run) => ({ ...run, noise: noise(step) })),
              want,
            ),
        };
        const inner = createFrozenContext(told, { mode: 'none', refreshEvery: Infinity });
        return { ...inner, look: (look, want) => inner.look(look, want).finally(() => step++) };
      },
      stop: () => false,
    },
    result: (ids) => [...ids],
  };
}
