/** Published samplers for full attention: LLaDA, dllm's MDLM, Fast-dLLM v1, Dream, Open-dCoder, dParallel, d3LLM, RND1. */
import { appendCanvas, MASKED } from '../canvas.ts';
import type { Canvas, Span } from '../canvas.ts';
import type { CacheMode, Context } from '../context.ts';
import { createFrozenContext } from '../frozen.ts';
import type { UnmaskPolicy } from '../policies/policy.ts';
import { floorCounts, linearCounts } from './counts.ts';
import { createGuidedContext } from './guided.ts';
import { createInFlight } from './in-flight.ts';
import {
  counted,
  entropySchedule,
  firstAlone,
  p2,
  sureEnough,
  timesteps,
  timestepsAtRandom,
} from './policies.ts';
import { planOfSpans, spansFrom } from './recipe.ts';
import type { OfficialRun } from './recipe.ts';
import { firstOf, mustDivide } from './values.ts';
import type { Request } from './values.ts';
import type { Denoiser } from '../../model/denoiser.ts';

interface FullPlan {
  name: string;
  canvas: Canvas;
  blockLength: number;
  policy: UnmaskPolicy;
  cache?: CacheMode;
  guidance?: number;
  /** Masks that earlier blocks left behind are filled by later ones. */
  fillsBehind?: boolean;
  alone?: boolean;
}

/** The whole canvas is there from the start, and nothing ends early. */
function fullRun({ name, canvas, blockLength, policy, ...plan }: FullPlan): OfficialRun {
  const { answerStart, ids } = canvas;
  const { cache = 'none', guidance = 0, fillsBehind = false, alone = false } = plan;
  const behind = ({ end }: Span): Span => ({ start: answerStart, end });
  const make = (denoiser: Denoiser): Context =>
    createFrozenContext(denoiser, { mode: cache, refreshEvery: Infinity }, { alone });
  const withoutGiven = (current: Int32Array): Int32Array =>
    current.map((id, position) => (position < answerStart ? MASKED : id));
  return {
    canvas,
    recipe: {
      name,
      plan: planOfSpans(spansFrom(answerStart, ids.length, blockLength), fillsBehind ? behind : undefined),
      policy,
      context: (denoiser) =>
        guidance === 0
          ? make(denoiser)
          : createGuidedContext(denoiser, make, { scale: guidance, withoutGiven, calls: 1 }),
      stop: () => false,
    },
    result: (final) => [...final],
  };
}

/** Steps of each block where the official code wants everything to divide. */
function stepsOfBlock({ values }: Request, blockLength: number): number {
  const { maxTokens } = values;
  mustDivide(maxTokens, blockLength, 'maxTokens / blockLength');
  const steps = values.steps ?? maxTokens;
  mustDivide(steps, maxTokens / blockLength, 'steps / blocks');
  return steps / (maxTokens / blockLength);
}

const shortBlock = ({ values }: Request): number => Math.min(values.blockLength, values.maxTokens);

export function planLlada(request: Request): OfficialRun {
  const blockLength = shortBlock(request);
  const steps = stepsOfBlock(request, blockLength);
  return fullRun({
    name: 'llada',
    canvas: appendCanvas(request.prompt, request.values.maxTokens),
    blockLength,
    policy: counted((masks) => floorCounts(masks, steps)),
    guidance: request.values.guidance,
    fillsBehind: true,
  });
}

export function planDllmMdlm(request: Request): OfficialRun {
  const { maxTokens, blockLength, steps } = request.values;
  const each = Math.ceil((steps ?? maxTokens) / Math.ceil(maxTokens / blockLength));
  return fullRun({
    name: 'dllm-mdlm',
    canvas: appendCanvas(request.prompt, maxTokens),
    blockLength,
    policy: counted((masks) => linearCounts(masks, each)),
    guidance: request.values.guidance,
    fillsBehind: true,
  });
}

/** Each block: one forward over the whole canvas, then, with a cache, at least one over what is not frozen. */
export function planFastDllmV1(request: Request): OfficialRun {
  const { threshold, cache } = request.values;
  const blockLength = shortBlock(request);
  const steps = stepsOfBlock(request, blockLength);
  const leastSteps = cache === 'none' ? 1 : 2;
  return fullRun({
    name: 'fast-dllm-v1',
    canvas: appendCanvas(request.prompt, request.values.maxTokens),
    blockLength,
    policy:
      threshold > 1
        ? counted((masks) => floorCounts(masks, steps), 'confidence', { fullAfter: leastSteps })
        : sureEnough(({ probability }) => probability >= threshold, { leastSteps }),
    cache,
  });
}

export function planFastDllmV1Dream(request: Request): OfficialRun {
  const { threshold, cache, eps, order } = request.values;
  const blockLength = shortBlock(request);
  const steps = stepsOfBlock(request, blockLength);
  const policy =
    threshold > 1 ? timesteps(steps, eps, order) : sureEnough(({ probability }) => probability >= threshold);
  return fullRun({
    name: 'fast-dllm-v1-dream',
    canvas: appendCanvas(request.prompt, request.values.maxTokens),
    blockLength,
    policy: firstAlone(policy),
    cache: cache === 'none' ? 'prefix' : cache,
    alone: true,
  });
}

/** The whole answer is one block from the start; without a number of steps there is one for each token. */
function wholeRun(
  name: string,
  { prompt, values }: Request,
  policy: (steps: number) => UnmaskPolicy,
): OfficialRun {
  const { maxTokens, steps } = values;
  return fullRun({
    name,
    canvas: appendCanvas(prompt, maxTokens),
    blockLength: maxTokens,
    policy: policy(steps ?? maxTokens),
  });
}

export const planDream = (request: Request): OfficialRun =>
  wholeRun('dream', request, (steps) => timesteps(steps, request.values.eps, request.values.order));

export const planDreamOrigin = (request: Request): OfficialRun =>
  wholeRun('dream', request, (steps) => timestepsAtRandom(steps, request.values.eps));

export const planP2 = (request: Request): OfficialRun => wholeRun('open-dcoder-p2', request, p2);

export function planDparallel(request: Request): OfficialRun {
  const { maxTokens, entropyThreshold } = request.values;
  return fullRun({
    name: 'dparallel',
    canvas: appendCanvas(request.prompt, maxTokens),
    blockLength: shortBlock(request),
    policy: sureEnough(({ entropy }) => entropy < entropyThreshold, { order: 'entropy' }),
  });
}

/** Without its delayed cache, which is approximate. @param isDream the one for Dream is stricter by a sign, and by a rule */
export function planD3llm(request: Request, isDream = false): OfficialRun {
  const { prompt, values, eos } = request;
  const { maxTokens, blockLength, entropyThreshold, activateAt, earlyStop } = values;
  mustDivide(maxTokens, blockLength, 'maxTokens / blockLength');
  const P = prompt.length;
  const ends = earlyStop ? eos : [];
  return {
    canvas: appendCanvas(prompt, maxTokens),
    recipe: {
      name: 'd3llm',
      ...createInFlight({
        blocks: spansFrom(P, P + maxTokens, blockLength),
        activateAt,
        isSure: ({ entropy }) => (isDream ? entropy < entropyThreshold : entropy <= entropyThreshold),
        surestToo: !isDream,
        eos: ends,
      }),
    },
    result: (ids) => {
      const at = firstOf(ends, ids, P);
      return ids.map((id, position) => (at >= 0 && position > at ? ids[at] : id));
    },
  };
}

/** The official code keeps one position back for the end of text and fills it with padding. */
export const planRnd1 = (request: Request): OfficialRun => wholeRun('rnd1', request, entropySchedule);
