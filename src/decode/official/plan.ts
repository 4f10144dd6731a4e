/** From a published sampler's name and what a caller says to a run of it. */
import { TintypeError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { OfficialRun } from './recipe.ts';
import { SAMPLER_NAMES, SAMPLERS, type OfficialSampler, type SamplerName } from './samplers.ts';
import { UNREAD, type OfficialValues } from './values.ts';

/** What a caller may say of a sampler's parameters; those of others are ignored. */
export type OfficialOptions = { [N in keyof OfficialValues]?: OfficialValues[N] | undefined } & {
  /** Tokens that end the text; the model's by default, none with []. */
  eos?: readonly number[] | undefined;
  /** Padding; the model's by default. */
  padId?: number | null | undefined;
};

/** Whether a sampler is made for a model's attention. */
export function suits(name: SamplerName, config: ModelConfig): boolean {
  const { layout, reordersKnown = false, noise = 'mask', tokens, dit } = config;
  const sampler: OfficialSampler = SAMPLERS[name];
  if (layout !== sampler.layout || noise !== (sampler.noise ?? 'mask')) return false;
  if (sampler.isToldNoise && dit?.isToldNoise !== true) return false;
  return noise === 'uniform' || (tokens.mask !== null && (layout !== 'causal' || reordersKnown));
}

/** The same sampler serves checkpoints of several block lengths. */
const ownBlocks = (name: SamplerName, { layout, blockLength }: ModelConfig): Partial<OfficialValues> =>
  layout !== 'full' && layout !== 'causal' && SAMPLERS[name].layout === layout ? { blockLength } : {};

/** The published length of an answer, or half the context of a small model, in whole blocks. */
export function defaultLength(name: SamplerName, config: ModelConfig): number {
  const { contextLength } = config;
  const { defaults }: OfficialSampler = SAMPLERS[name];
  const { maxTokens, blockLength } = { ...UNREAD, blockLength: 1, ...defaults, ...ownBlocks(name, config) };
  const room = Math.max(1, Math.floor(contextLength / 2));
  return maxTokens <= room ? maxTokens : Math.max(Math.min(room, blockLength), room - (room % blockLength));
}

/** A run of a published sampler. Errors: `bad_option` for what it cannot do with this model or these numbers. */
export function planOfficial(
  name: SamplerName,
  config: ModelConfig,
  prompt: readonly number[],
  options: OfficialOptions = {},
): OfficialRun {
  const sampler: OfficialSampler = SAMPLERS[name];
  if (!suits(name, config)) {
    throw new TintypeError('bad_option', {
      what: `the sampler ${name} is not for this model`,
      got: `a model with layout ${config.layout}`,
      wanted: `layout ${sampler.layout}${sampler.isToldNoise ? ', told its noise level (SEDD)' : ''}`,
      next: `use ${SAMPLER_NAMES.filter((other) => suits(other, config)).join(', ') || 'a policy'}`,
    });
  }
  const { eos = config.tokens.eos, padId = config.tokens.pad ?? eos[0] ?? null, ...said } = options;
  const read = Object.keys(sampler.defaults);
  const given = Object.entries(said).filter(([key, value]) => read.includes(key) && value !== undefined);
  const values: OfficialValues = {
    ...UNREAD,
    ...sampler.defaults,
    ...ownBlocks(name, config),
    ...Object.fromEntries(given),
  };
  return sampler.plan({ config, prompt, values, eos, padId });
}
