/**
 * The published samplers by name, with the defaults of their official functions (where those and the model card disagree,
 * the card's). `rule` is the name under which CHECKPOINTS.md, section 3, lists what they commit. Anything that a
 * checkpoint's own code does differently from the next one's is a row here and a plan in the files beside.
 */
import type { ModelConfig } from '../../model/config.ts';
import {
  planA2dCard,
  planDllmBd3lm,
  planFastDllmV2,
  planLlada20,
  planLlada21,
  planSdar,
  planStableDiffcoder,
} from './block-samplers.ts';
import { planWedlm, planWedlmBlocks } from './causal-samplers.ts';
import {
  planD3llm,
  planDllmMdlm,
  planDparallel,
  planDream,
  planDreamOrigin,
  planFastDllmV1,
  planFastDllmV1Dream,
  planLlada,
  planP2,
  planRnd1,
} from './full-samplers.ts';
import { planBd3lm, planMdlm, planMdlmSemiAr, planSedd } from './research-samplers.ts';
import { planUniformEntropy } from './uniform-samplers.ts';
import type { OfficialRun } from './recipe.ts';
import type { OfficialValues, Request } from './values.ts';

export const RULES = [
  'lowconf-static',
  'lowconf-linear',
  'timestep',
  'p2',
  'threshold',
  'threshold-min-k',
  'joint-edit',
  'entropy-threshold',
  'entropy-schedule',
  'uniform-entropy',
  'ddpm',
  'first-hitting',
  'analytic',
] as const;
export type Rule = (typeof RULES)[number];

export interface OfficialSampler {
  rule: Rule;
  /** One line: whose it is and what it does. */
  doc: string;
  /** Where its code is published. */
  source: string;
  /** Attention that it is for; `causal`: where masks see all known tokens. */
  layout: 'full' | 'blockCausal' | 'causal' | 'causalContext';
  /** What stands where nothing is decided. Default: the mask token. */
  noise?: ModelConfig['noise'];
  /** It reads log scores and says noise levels (`Dit`). */
  isToldNoise?: true;
  /** `steps` of the whole answer or of each block. */
  stepsOf: 'answer' | 'block';
  /** Parameters that it reads, with their published defaults. */
  defaults: Partial<OfficialValues>;
  plan: (request: Request) => OfficialRun;
}

export const SAMPLERS = {
  llada: {
    rule: 'lowconf-static',
    doc: 'LLaDA: equal shares of each block, the surest first; guidance',
    source: 'ML-GSAI/LLaDA generate.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: null, blockLength: 128, guidance: 0 },
    plan: planLlada,
  },
  'dllm-mdlm': {
    rule: 'lowconf-linear',
    doc: 'dllm for A2D and others: shares of a linear schedule, rounded; steps without a token are dropped',
    source: 'ZHZisZZ/dllm dllm/core/samplers/mdlm.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: null, blockLength: 128, guidance: 0 },
    plan: planDllmMdlm,
  },
  'dllm-bd3lm': {
    rule: 'lowconf-linear',
    doc: 'dllm for A2D block diffusion: the prompt is padded on the left to whole blocks',
    source: 'ZHZisZZ/dllm dllm/core/samplers/bd3lm.py',
    layout: 'blockCausal',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: null, blockLength: 32 },
    plan: planDllmBd3lm,
  },
  'a2d-card-bd3lm': {
    rule: 'lowconf-static',
    doc: 'model card of A2D block diffusion: blocks from position 0, ends inside a block',
    source: 'dllm-hub model cards, quick start',
    layout: 'blockCausal',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: null, blockLength: 32 },
    plan: planA2dCard,
  },
  sdar: {
    rule: 'threshold-min-k',
    doc: 'SDAR and TraDo: all above the threshold, or the count of the step; threshold above 1 is static',
    source: 'JetAstra/SDAR generate.py',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: {
      maxTokens: 2048,
      steps: null,
      blockLength: 4,
      threshold: 0.85,
      confidenceTopK: 0,
    },
    plan: (request) => planSdar(request),
  },
  'sdar-sequential': {
    rule: 'lowconf-static',
    doc: 'SDAR: the count of the step, from left to right',
    source: 'JetAstra/SDAR generate.py',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: { maxTokens: 2048, steps: null, blockLength: 4 },
    plan: (request) => planSdar(request, 'position'),
  },
  'fast-dllm-v1': {
    rule: 'threshold',
    doc: 'Fast-dLLM v1 for LLaDA: at least the threshold, and always the surest; prefix and dual cache',
    source: 'NVlabs/Fast-dLLM llada/generate.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: null, blockLength: 32, threshold: 0.9, cache: 'dual' },
    plan: planFastDllmV1,
  },
  'fast-dllm-v1-dream': {
    rule: 'threshold',
    doc: 'Fast-dLLM v1 for Dream: the same, but the first position of a block is written unasked',
    source: 'NVlabs/Fast-dLLM dream/model/generation_utils_block.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: {
      maxTokens: 128,
      steps: null,
      blockLength: 32,
      threshold: 0.9,
      cache: 'dual',
      order: 'entropy',
      eps: 1e-3,
    },
    plan: planFastDllmV1Dream,
  },
  'fast-dllm-v2': {
    rule: 'threshold',
    doc: 'Fast-dLLM v2: sub-blocks from left to right, all above the threshold; a stored block predicts the next token',
    source: 'Efficient-Large-Model/Fast_dLLM_v2_7B modeling.py',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: { maxTokens: 2048, blockLength: 32, subBlockLength: 8, threshold: 0.9, cache: 'block' },
    plan: planFastDllmV2,
  },
  dream: {
    rule: 'timestep',
    doc: 'Dream, Dream-Coder, DiffuCoder: a falling share of all masks, by entropy, confidence or margin',
    source: 'Dream-org generation_utils.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 512, steps: null, order: 'entropy', eps: 1e-3 },
    plan: planDream,
  },
  'dream-origin': {
    rule: 'timestep',
    doc: 'Dream: each mask with the same probability, in no order (the default of its config)',
    source: 'Dream-org generation_utils.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 512, steps: null, eps: 1e-3 },
    plan: planDreamOrigin,
  },
  'open-dcoder-p2': {
    rule: 'p2',
    doc: 'Open-dCoder: the least sure share of the answer is masked again in each step',
    source: 'pengzhangzhi/Open-dLLM sample.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 128, steps: 128 },
    plan: planP2,
  },
  dparallel: {
    rule: 'entropy-threshold',
    doc: 'dParallel: all positions of the block under the entropy, and always the surest',
    source: 'czg1225/dParallel generate.py',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 256, blockLength: 32, entropyThreshold: 0.45 },
    plan: planDparallel,
  },
  d3llm: {
    rule: 'entropy-threshold',
    doc: 'd3LLM for LLaDA: several blocks in flight, all up to the entropy, and always the surest; no cache',
    source: 'hao-ai-lab/d3LLM d3llm_llada_generate_util.py (generate_multi_block)',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 256, blockLength: 32, entropyThreshold: 0.5, activateAt: 0.1, earlyStop: true },
    plan: (request) => planD3llm(request),
  },
  'd3llm-dream': {
    rule: 'entropy-threshold',
    doc: 'd3LLM for Dream: several blocks in flight, all under the entropy, one at least in the first; no cache',
    source: 'hao-ai-lab/d3LLM d3llm_dream_generate_util.py (generate_multi_block)',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 256, blockLength: 32, entropyThreshold: 0.5, activateAt: 0.1, earlyStop: true },
    plan: (request) => planD3llm(request, true),
  },
  rnd1: {
    rule: 'entropy-schedule',
    doc: 'RND1: the positions with the highest entropies stay masked, fewer from step to step',
    source: 'RadicalNumerics/RND1 generation code',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 256, steps: 256 },
    plan: planRnd1,
  },
  'llada2.0': {
    rule: 'threshold-min-k',
    doc: 'LLaDA2.0: all above the threshold if they are enough, else the count of the step',
    source: 'inclusionAI/LLaDA2.0 modeling_llada2_moe.py',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: {
      maxTokens: 2048,
      steps: null,
      blockLength: 32,
      threshold: 0.95,
      minCommit: 1,
      earlyStop: false,
    },
    plan: planLlada20,
  },
  'llada2.1': {
    rule: 'joint-edit',
    doc: 'LLaDA2.1: the same, and decoded tokens give way to others that are sure enough',
    source: 'inclusionAI/LLaDA2.1 modeling_llada2_moe.py',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: {
      maxTokens: 2048,
      blockLength: 32,
      threshold: 0.95,
      editThreshold: 0.9,
      rounds: 16,
      minCommit: 1,
      earlyStop: false,
    },
    plan: planLlada21,
  },
  'stable-diffcoder': {
    rule: 'threshold',
    doc: 'Stable-DiffCoder: at least the threshold, and always the surest; above 1: equal shares',
    source: 'ByteDance-Seed/Stable-DiffCoder modeling_stable_diffcoder.py',
    layout: 'blockCausal',
    stepsOf: 'answer',
    defaults: { maxTokens: 512, steps: null, blockLength: 4, threshold: 0.95 },
    plan: planStableDiffcoder,
  },
  wedlm: {
    rule: 'entropy-threshold',
    doc: 'WeDLM: a window from the first mask on; all under the entropy, the nearer ones sooner',
    source: 'Tencent/WeDLM wedlm/engine',
    layout: 'causal',
    stepsOf: 'answer',
    defaults: { maxTokens: 64, windowLength: 16, entropyThreshold: 0.4, distancePenalty: 0.02 },
    plan: planWedlm,
  },
  'wedlm-blocks': {
    rule: 'threshold',
    doc: "WeDLM's generate beside the weights: standing blocks, at least the threshold, else the surest",
    source: 'Tencent/WeDLM hf_compat/modeling_wedlm.py',
    layout: 'causal',
    stepsOf: 'answer',
    defaults: { maxTokens: 64, blockLength: 16, threshold: 2 },
    plan: planWedlmBlocks,
  },
  'diffusion-gemma': {
    rule: 'uniform-entropy',
    doc: 'DiffusionGemma: accepts while entropies sum to gamma, renoises the rest; made for --temperature 1',
    source: 'huggingface/transformers generation_diffusion_gemma.py',
    layout: 'causalContext',
    noise: 'uniform',
    stepsOf: 'block',
    defaults: {
      maxTokens: 256,
      steps: 48,
      blockLength: 256,
      gamma: 0.1,
      stableSteps: 1,
      meanEntropy: 0.005,
      highTemperature: 0.8,
      lowTemperature: 0.4,
    },
    plan: planUniformEntropy,
  },
  mdlm: {
    rule: 'ddpm',
    doc: 'MDLM: each mask becomes a token with a probability that rises; made for --temperature 1',
    source: 'kuleshov-group/mdlm diffusion.py (ddpm_cache)',
    layout: 'full',
    stepsOf: 'answer',
    defaults: { maxTokens: 1024, steps: 128, eps: 1e-5 },
    plan: planMdlm,
  },
  'mdlm-semi-ar': {
    rule: 'ddpm',
    doc: 'MDLM in strides from left to right; made for --temperature 1',
    source: 'kuleshov-group/mdlm diffusion.py (sample_subs_guidance)',
    layout: 'full',
    stepsOf: 'block',
    defaults: { maxTokens: 1024, steps: 1000, blockLength: 512 },
    plan: planMdlmSemiAr,
  },
  bd3lm: {
    rule: 'first-hitting',
    doc: 'BD3-LM: blocks from position 0, one mask a forward, any of them alike; made for --temperature 1',
    source: 'kuleshov-group/bd3lms diffusion.py (semi_ar, first_hitting)',
    layout: 'blockCausal',
    stepsOf: 'block',
    defaults: { maxTokens: 1024, blockLength: 4, earlyStop: false },
    plan: planBd3lm,
  },
  sedd: {
    rule: 'analytic',
    doc: 'SEDD: a forward for each noise level, and at each a share of the masks that the scores say; made for --temperature 1',
    source: 'louaaron/Score-Entropy-Discrete-Diffusion sampling.py (analytic, denoise)',
    layout: 'full',
    isToldNoise: true,
    stepsOf: 'answer',
    defaults: { maxTokens: 1024, steps: 1024, eps: 1e-5 },
    plan: planSedd,
  },
} satisfies Record<string, OfficialSampler>;

export type SamplerName = keyof typeof SAMPLERS;
export const SAMPLER_NAMES = Object.keys(SAMPLERS) as [SamplerName, ...SamplerName[]];
