/**
 * Which published sampler is meant, and which one belongs to a model.
 *
 * Models decode by this house's own policy unless a sampler is asked for: it ends where the text ends, never runs a
 * finished block again, and reaches the quality of the published loops in fewer forwards (Fast-dLLM 2505.22618, table 1:
 * LLaDA on GSM8K 79.3 at one token a forward, 78.5 with a threshold of .9). Who compares with published numbers asks for
 * the published loop: `official` is the one of the model's family.
 */
import { TintypeError } from '../../errors.ts';
import { familyName } from '../../model/config.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { CompleteOptions } from '../complete.ts';
import { suits } from './plan.ts';
import { RULES, SAMPLER_NAMES, SAMPLERS } from './samplers.ts';
import type { Rule, SamplerName } from './samplers.ts';

/** What `sampler` may say. */
export const SAMPLER_CHOICES = ['official', ...SAMPLER_NAMES, ...RULES] as const;
export type SamplerChoice = (typeof SAMPLER_CHOICES)[number];

/** Samplers of a family, its default first. LLaDA2.0 and 2.1 have one config.json; 2.1 has to be asked for. */
export const FAMILY_SAMPLERS: Readonly<Record<string, readonly SamplerName[]>> = {
  llada: ['llada', 'fast-dllm-v1', 'dparallel', 'd3llm'],
  'llada-moe': ['llada', 'fast-dllm-v1'],
  illada: ['llada', 'fast-dllm-v1'],
  llada2: ['llada2.0', 'llada2.1'],
  dream: ['dream', 'dream-origin', 'fast-dllm-v1-dream', 'dparallel', 'd3llm-dream'],
  'open-dcoder': ['dream', 'open-dcoder-p2'],
  rnd1: ['rnd1'],
  'a2d-qwen3': ['dllm-mdlm', 'llada', 'dllm-bd3lm', 'a2d-card-bd3lm'],
  'a2d-qwen2': ['dllm-mdlm', 'llada', 'dllm-bd3lm', 'a2d-card-bd3lm'],
  sdar: ['sdar', 'sdar-sequential'],
  'sdar-moe': ['sdar', 'sdar-sequential'],
  'fast-dllm-v2': ['fast-dllm-v2'],
  'stable-diffcoder': ['stable-diffcoder'],
  'dream-reasoner': ['sdar'],
  wedlm: ['wedlm', 'wedlm-blocks'],
  'diffusion-gemma': ['diffusion-gemma'],
  mdlm: ['mdlm', 'mdlm-semi-ar'],
  bd3lm: ['bd3lm'],
  sedd: ['sedd'],
};

/** Samplers that fit a model's attention, those of its family first. */
export function samplersFor(config: ModelConfig): SamplerName[] {
  const own = FAMILY_SAMPLERS[familyName(config)] ?? [];
  return [...new Set([...own, ...SAMPLER_NAMES])].filter((name) => suits(name, config));
}

/** The sampler that is meant for this model. Throws `bad_option` where there is none. */
export function chooseSampler(choice: SamplerChoice, config: ModelConfig): SamplerName {
  const fitting = samplersFor(config);
  const own = FAMILY_SAMPLERS[familyName(config)] ?? [];
  const name =
    choice === 'official'
      ? fitting.find((each) => own.includes(each))
      : isRule(choice)
        ? fitting.find((each) => SAMPLERS[each].rule === choice)
        : choice;
  if (name !== undefined) return name;
  throw new TintypeError('bad_option', {
    what: `no published sampler is meant by ${choice} for this model`,
    got: `family ${familyName(config)}, layout ${config.layout}`,
    wanted: fitting.length > 0 ? fitting.join(', ') : 'a diffusion model',
    next: 'name one of those, or leave --sampler out',
  });
}

/**
 * The sampler that a request means: the one that it names, or that of a model with uniform noise, since this house's own
 * policies fill masks; null: a policy. Throws `bad_option` where there is none.
 */
export const samplerOf = (choice: SamplerChoice | undefined, config: ModelConfig): SamplerName | null =>
  choice === undefined && config.noise !== 'uniform' ? null : chooseSampler(choice ?? 'official', config);

const isRule = (choice: string): choice is Rule => (RULES as readonly string[]).includes(choice);

/**
 * What this house's own policies take by default for a published family. With full attention the model has no block
 * length; LLaDA's and Dream's instruct models fill the end of a long block with ends of text first, so their answers
 * grow in blocks of 32, as Fast-dLLM runs them.
 */
export function ownDefaults(config: ModelConfig): CompleteOptions {
  const isPublished = familyName(config) in FAMILY_SAMPLERS;
  return isPublished && config.layout === 'full' ? { blockLength: Math.min(32, config.contextLength) } : {};
}
