/** Published samplers for block-causal attention: SDAR, Fast-dLLM v2, LLaDA2, Stable-DiffCoder, A2D's BD3LM. */
import { appendCanvas, MASKED } from '../canvas.ts';
import { floorCounts, linearCounts } from './counts.ts';
import { createGridContext } from './grid-context.ts';
import { counted, jointEdit, sureEnough, sureOrCounted } from './policies.ts';
import { createPrefixContext } from './prefix-context.ts';
import { gridSpans, planOfSpans, spansFrom } from './recipe.ts';
import type { OfficialRun, StopView } from './recipe.ts';
import { firstOf, mustDivide } from './values.ts';
import type { Request } from './values.ts';

/** A canvas of `length` positions that begins with the prompt. */
const canvasOf = (prompt: readonly number[], length: number) => appendCanvas(prompt, length - prompt.length);

const roundUp = (x: number, unit: number): number => Math.ceil(x / unit) * unit;
const roundDown = (x: number, unit: number): number => Math.floor(x / unit) * unit;

export function planSdar(
  { prompt, values, eos }: Request,
  order: 'confidence' | 'position' = 'confidence',
): OfficialRun {
  const { blockLength: B, maxTokens, threshold, confidenceTopK } = values;
  const P = prompt.length;
  const length = roundUp(P + maxTokens, B);
  const counts = floorCounts(B, values.steps ?? B);
  return {
    canvas: canvasOf(prompt, length),
    recipe: {
      name: 'sdar',
      plan: planOfSpans(spansFrom(roundDown(P, B), length, B)),
      policy: sureOrCounted(threshold > 1 ? Infinity : threshold, counts, {
        confidenceTopK,
        order,
        overwrites: true,
        endsAfterCounts: true,
      }),
      context: (denoiser) => createGridContext(denoiser, { blockLength: B, stores: { atEnd: 'always' } }),
      stop: ({ ids, finished }) => finished && firstOf(eos, ids, P) >= 0,
    },
    result: (ids) => [...ids],
  };
}

export function planFastDllmV2({ prompt, values, eos }: Request): OfficialRun {
  const { blockLength: B, subBlockLength, maxTokens, threshold, cache } = values;
  mustDivide(B, subBlockLength, 'blockLength / subBlockLength');
  const P = prompt.length;
  const start = roundDown(P, B);
  const end = start + roundDown(maxTokens, B);
  // A prompt of exactly one block is neither taken in nor part of the block that follows: the official test is P > B.
  const unseen = P === B ? B : 0;
  return {
    // The first token of the block that would follow comes with the last stored block.
    canvas: canvasOf(prompt, Math.max(end, P) + 1),
    recipe: {
      name: 'fast-dllm-v2',
      plan: planOfSpans(spansFrom(start, end, subBlockLength)),
      policy: sureEnough(({ probability }) => probability > threshold),
      context: (denoiser) =>
        createGridContext(denoiser, {
          blockLength: B,
          shifted: true,
          stores: { atEnd: 'never' },
          predictsNext: true,
          unseen,
          partCache: cache === 'dual',
        }),
      stop: ({ ids }) => {
        const at = firstOf(eos, ids, P);
        return at >= 0 && !ids.subarray(P, at).includes(MASKED);
      },
    },
    result: (ids) => {
      const at = firstOf(eos, ids, P);
      return ids.slice(0, at >= 0 ? at + 1 : undefined);
    },
  };
}

/** The canvas and what both versions of LLaDA2 share. */
function llada2Frame({ prompt, values, eos }: Request) {
  const { blockLength: B, maxTokens } = values;
  const P = prompt.length;
  const length = roundUp(P + maxTokens, B);
  return {
    canvas: canvasOf(prompt, length),
    plan: planOfSpans(spansFrom(roundDown(P, B), length, B)),
    context: (denoiser: Parameters<typeof createGridContext>[0]) =>
      createGridContext(denoiser, { blockLength: B, stores: null }),
    /** The answer alone, up to its first end of text. */
    result: (ids: readonly number[]): number[] => {
      const at = firstOf(eos, ids, P, P + maxTokens);
      return ids.slice(P, at >= 0 ? at + 1 : P + maxTokens);
    },
  };
}

export function planLlada20(request: Request): OfficialRun {
  const { prompt, values, eos } = request;
  const { blockLength: B, maxTokens, threshold, earlyStop, minCommit } = values;
  const P = prompt.length;
  const steps = Math.max(1, Math.min(values.steps ?? B, Math.floor(maxTokens / minCommit)));
  const { canvas, plan, context, result } = llada2Frame(request);
  const stop = ({ ids, block, finished, written }: StopView): boolean => {
    const at = firstOf(eos, ids, P, block.end);
    if (at < 0) return false;
    if (finished) return true;
    return earlyStop && written.some((id) => eos.includes(id)) && !ids.subarray(P, at).includes(MASKED);
  };
  const policy = sureOrCounted(threshold > 1 ? Infinity : threshold, floorCounts(B, steps), { steps });
  return {
    canvas,
    recipe: { name: 'llada2.0', plan, policy, context, stop, textEnd: P + maxTokens },
    result,
  };
}

export function planLlada21(request: Request): OfficialRun {
  const { prompt, values, eos } = request;
  const { threshold, editThreshold, rounds, earlyStop, minCommit } = values;
  const P = prompt.length;
  const { canvas, plan, context, result } = llada2Frame(request);
  const stop = ({ ids, block, finished }: StopView): boolean =>
    earlyStop &&
    finished &&
    !ids.subarray(P, block.end).includes(MASKED) &&
    firstOf(eos, ids, P, block.end) >= 0;
  const policy = jointEdit({ threshold, editThreshold, least: minCommit, rounds });
  return {
    canvas,
    recipe: { name: 'llada2.1', plan, policy, context, stop, textEnd: P + values.maxTokens },
    result,
  };
}

export function planStableDiffcoder({ prompt, values, eos }: Request): OfficialRun {
  const { blockLength: B, maxTokens, threshold } = values;
  mustDivide(maxTokens, B, 'maxTokens / blockLength');
  const steps = values.steps ?? maxTokens;
  mustDivide(steps, maxTokens / B, 'steps / blocks');
  const each = steps / (maxTokens / B);
  const P = prompt.length;
  // Steps without a token are passed over.
  const counts = (masks: number): number[] => floorCounts(masks, each).filter((count) => count > 0);
  let ended: { at: number; end: number } | null = null;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'stable-diffcoder',
      plan: planOfSpans(gridSpans(P, P + maxTokens, B)),
      policy:
        threshold > 1
          ? counted(counts, 'confidence', { fullAfter: 1 })
          : sureEnough(({ probability }) => probability >= threshold, {
              steps: (masks) => counts(masks).length,
            }),
      context: (denoiser) =>
        createGridContext(denoiser, { blockLength: B, stores: { atEnd: 'unlessStopped' } }),
      stop: ({ ids, block, finished }) => {
        const at = firstOf(eos, ids, block.start, block.end);
        if (!finished || at < 0 || ids.subarray(block.start, block.end).includes(MASKED)) return false;
        ended = { at, end: block.end };
        return true;
      },
    },
    result: (ids) =>
      ended === null
        ? [...ids]
        : ids.slice(0, ended.end).map((id, position) => (position >= ended!.at ? eos[0] : id)),
  };
}

/** dllm's sampler: the prompt is padded on the left to whole blocks, and a block with an end of text is the last. */
export function planDllmBd3lm({ prompt, values, eos, padId }: Request): OfficialRun {
  const { blockLength: B, maxTokens } = values;
  const padding = roundUp(prompt.length, B) - prompt.length;
  const padded = [...Array.from({ length: padding }, () => padId ?? 0), ...prompt];
  const steps = Math.ceil((values.steps ?? maxTokens) / Math.ceil(maxTokens / B));
  const end = padded.length + maxTokens;
  return {
    canvas: appendCanvas(padded, maxTokens),
    recipe: {
      name: 'dllm-bd3lm',
      plan: planOfSpans(spansFrom(padded.length, end, B)),
      policy: counted((masks) => linearCounts(masks, steps), 'confidence', { fullAfter: 1 }),
      context: (denoiser) => createPrefixContext(denoiser, { blockLength: B, padId }),
      stop: ({ ids, block, finished }) => finished && firstOf(eos, ids, block.start, block.end) >= 0,
    },
    result: (ids, worked) => ids.slice(0, worked),
  };
}

/** The quick start of the model card: no padding, and an end of text ends everything at once. */
export function planA2dCard({ prompt, values, eos, padId }: Request): OfficialRun {
  const { blockLength: B, maxTokens } = values;
  const steps = Math.ceil((values.steps ?? maxTokens) / Math.ceil(maxTokens / B));
  const P = prompt.length;
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'a2d-card-bd3lm',
      plan: planOfSpans(gridSpans(P, P + maxTokens, B)),
      policy: counted((masks) => floorCounts(masks, steps)),
      context: (denoiser) => createPrefixContext(denoiser, { blockLength: B, padId }),
      stop: ({ ids, block }) => firstOf(eos, ids, block.start, block.end) >= 0,
    },
    result: (ids, worked) => ids.slice(0, worked),
  };
}
