/** A `ModelConfig` to `config.json` and `generation_config.json`, in the dialect of its family. */
import { TintypeError } from '../errors.ts';
import { familyName, hasQkNorm, type Mixture, type ModelConfig } from './config.ts';
import { gemmaToJson } from './config-gemma.ts';
import { checkConfig, configFromJson } from './config-json.ts';
import { FAMILIES } from './families.ts';
import { type Dimension, type Family, FAMILY_KEY, firstKey, isJson, type Json } from './family.ts';
import type { FloatDtype } from './safetensors.ts';

const DTYPE_NAMES: Record<FloatDtype, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/**
 * Writes config.json and generation_config.json. Files that the model was read from (`raw`) are handed back as
 * they are where they already say what `config` says, and are corrected otherwise. A native model with a causal
 * context is written as the Qwen3 model that it is. Errors: `bad_config` where the family cannot state the layout.
 */
export function configToJson(
  config: ModelConfig,
  dtype: FloatDtype,
  raw: Json | null,
  generation: Json | null,
): { config: Json; generation: Json } {
  const isNativeCausal = config.modelType === 'tintype' && config.layout.startsWith('causal');
  const written = isNativeCausal ? { ...config, modelType: 'qwen3' } : config;
  const family = FAMILIES.find(({ id }) => id === familyName(written));
  if (!family?.layouts.includes(written.layout)) {
    throw new TintypeError('bad_config', {
      what: `a ${familyName(written)} config.json cannot state the layout ${written.layout}`,
      wanted: family ? family.layouts.join(' or ') : FAMILIES.map((f) => f.id).join(', '),
      next: 'use modelType tintype',
    });
  }
  const stated = (json: Json): Json => {
    const key = 'dtype' in json ? 'dtype' : 'torch_dtype';
    return { ...json, [key]: DTYPE_NAMES[dtype] };
  };
  if (family.textKey !== undefined) {
    if (raw)
      return {
        config: stated({ ...raw, [family.blockKey.key]: config.blockLength }),
        generation: { ...generation, ...tokenFacts(written) },
      };
    return { config: stated(nested(written, family)), generation: tokenFacts(written) };
  }
  if (raw && saysTheSame(written, raw, generation)) {
    // LLaDA's files do not say what the weights are stored as.
    const isSilent = !('dtype' in raw || 'torch_dtype' in raw);
    return { config: isSilent ? raw : stated(raw), generation: generation ?? tokenFacts(written) };
  }
  checkConfig(written, 'the model');
  const json = { ...(raw ?? family.extra), ...facts(written, family), ...ropeFacts(written, raw) };
  return { config: stated(json), generation: { ...generation, ...tokenFacts(written) } };
}

/** Where facts of the language model stand in an object of their own. */
function nested(config: ModelConfig, family: Family): Json {
  const { gemma, tokens } = config;
  const { architectures, model_type, ...text } = facts(config, family);
  const own = gemma ? gemmaToJson({ ...config, gemma }) : { file: {}, text: {} };
  const file = { architectures, model_type, [family.blockKey.key]: config.blockLength, ...own.file };
  // One number is written here; the others stand in generation_config.json.
  return { ...file, [family.textKey!]: { ...text, ...own.text, eos_token_id: tokens.eos[0] } };
}

/** Whether a reader of these files, without tokenizer, folder name or options, would get this config. */
function saysTheSame(config: ModelConfig, raw: Json, generation: Json | null): boolean {
  const around = { generation, tokenizerMask: null, where: 'config.json' };
  try {
    return JSON.stringify(sorted(configFromJson(raw, around))) === JSON.stringify(sorted(config));
  } catch (error) {
    // What was read with options (another family, a layout) does not stand in the files.
    if (error instanceof TintypeError) return false;
    throw error;
  }
}

/** Key order is no difference. */
const sorted = (config: ModelConfig): unknown =>
  Object.entries({ ...config, ...config.tokens, tokens: null }).toSorted(([a], [b]) => (a < b ? -1 : 1));

function facts(config: ModelConfig, family: Family): Json {
  const { layout } = config;
  const dimensions = Object.entries(family.keys).map(([fact, key]) => [
    firstKey(key),
    config[fact as Dimension],
  ]);
  const isBlockwise = layout === 'blockCausal' || layout === 'causalContext';
  const isPlain =
    family.layoutKey === 'absent' || (family.layoutKey === 'optional' && layout === family.layouts[0]);
  return {
    ...(family.classes.length > 0 ? { architectures: [family.classes[0]] } : { [FAMILY_KEY]: family.id }),
    model_type: family.modelType,
    ...Object.fromEntries(dimensions),
    ...mixtureFacts(config.mixture, family),
    ...ditFacts(config, family),
    ...switchFacts(config, family),
    [family.tiedKey]: config.tiedHead,
    rms_norm_eps: config.normEps,
    partial_rotary_factor: config.rotaryDim === undefined ? undefined : config.rotaryDim / config.headDim,
    attention_layout: isPlain ? undefined : layout,
    [family.blockKey.key]: isBlockwise ? config.blockLength : undefined,
    mask_token_id: config.tokens.mask ?? undefined,
    ...tokenFacts(config),
  };
}

function mixtureFacts(mixture: Mixture | undefined, { mixture: keys }: Family): Json {
  if (!mixture || !keys) return {};
  const { sharedWidth, router: _, ...numbers } = mixture;
  const facts = Object.entries(numbers).flatMap(([fact, value]) => {
    const key = keys[fact as keyof typeof numbers];
    return key === undefined ? [] : [[key, value]];
  });
  const shared = keys.shared === undefined ? {} : { [keys.shared]: sharedWidth / mixture.width };
  return { ...Object.fromEntries(facts), ...shared };
}

function ditFacts({ dit }: ModelConfig, { dit: keys }: Family): Json {
  if (!dit || !keys) return {};
  const isConditioned = dit.conditionWidth > 0;
  return {
    [keys.condition]: isConditioned ? dit.conditionWidth : undefined,
    ...(keys.isConditioned === undefined ? {} : { [keys.isConditioned]: isConditioned }),
  };
}

/** Biases and norms, where the family leaves them to the file. */
function switchFacts(config: ModelConfig, { qkvBias, qkNorm }: Family): Json {
  return {
    ...(typeof qkvBias === 'boolean' ? {} : { [qkvBias.key]: config.qkvBias ?? false }),
    ...(typeof qkNorm === 'boolean' ? {} : { [qkNorm.key]: hasQkNorm(config) }),
  };
}

/** Theta goes where the file has it, since a reader that knows both places believes only one. */
function ropeFacts({ ropeTheta, yarn }: ModelConfig, raw: Json | null): Json {
  const nested = raw?.['rope_parameters'];
  if (yarn) {
    const stretched = {
      rope_type: 'yarn',
      rope_theta: ropeTheta,
      factor: yarn.factor,
      original_max_position_embeddings: yarn.originalLength,
      beta_fast: yarn.betaFast,
      beta_slow: yarn.betaSlow,
      attention_factor: yarn.attentionFactor,
      llama_4_scaling_beta: yarn.queryBeta,
    };
    return { rope_scaling: undefined, rope_parameters: { ...(isJson(nested) ? nested : {}), ...stretched } };
  }
  return isJson(nested)
    ? { rope_parameters: { ...nested, rope_theta: ropeTheta } }
    : { rope_theta: ropeTheta };
}

function tokenFacts({ tokens: { eos, pad, bos } }: ModelConfig): Json {
  return {
    eos_token_id: eos.length === 1 ? eos[0] : eos.length > 1 ? eos : undefined,
    pad_token_id: pad ?? undefined,
    bos_token_id: bos ?? undefined,
  };
}
