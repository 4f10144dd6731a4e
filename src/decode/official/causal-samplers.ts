/** Published samplers for causal attention whose masks see all known tokens: WeDLM. */
import { appendCanvas } from '../canvas.ts';
import type { LayoutPlan } from '../layouts.ts';
import { nearestSure, sureEnough } from './policies.ts';
import { planOfSpans, spansFrom } from './recipe.ts';
import type { OfficialRun } from './recipe.ts';
import { createReorderedContext } from './reordered-context.ts';
import { firstOf } from './values.ts';
import type { Request } from './values.ts';

/**
 * The engine's window: it begins at the first mask, whatever stands behind it. The window reaches beyond the longest
 * answer; an end of text counts when everything before it is known, in the forward after.
 */
export function planWedlm({ config, prompt, values, eos }: Request): OfficialRun {
  const { maxTokens, windowLength } = values;
  const P = prompt.length;
  const end = P + maxTokens;
  const room = Math.max(end, Math.min(end + windowLength, config.contextLength));
  const plan: LayoutPlan = {
    ...planOfSpans([]),
    reach: ({ start }) => ({ start, end: start + windowLength }),
  };
  return {
    canvas: appendCanvas(prompt, room - P),
    recipe: {
      name: 'wedlm',
      plan,
      policy: nearestSure(values),
      context: (denoiser) => createReorderedContext(denoiser, { windowLength, prefills: true }),
      textEnd: end,
      stop: ({ ids, block: { start } }) => start >= end || firstOf(eos, ids, P, start) >= 0,
    },
    result: (ids) => {
      const at = firstOf(eos, ids, P, end);
      return ids.slice(0, at >= 0 ? at + 1 : end);
    },
  };
}

/** The generate function beside the weights: standing blocks, no end but the last block's. */
export function planWedlmBlocks({ prompt, values }: Request): OfficialRun {
  const { maxTokens, blockLength, threshold } = values;
  const P = prompt.length;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'wedlm-blocks',
      plan: planOfSpans(spansFrom(P, P + maxTokens, blockLength)),
      policy: sureEnough(({ probability }) => probability >= threshold, {
        // The mask token counts as written there.
        steps: (masksAtStart) => masksAtStart,
      }),
      context: (denoiser) => createReorderedContext(denoiser, { windowLength: null, prefills: false }),
      stop: () => false,
    },
    result: (ids) => [...ids],
  };
}
