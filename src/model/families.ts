/**
 * The dialects of `config.json`, as data: which keys a family uses, which layouts it can state and which features
 * its files may not switch on. Adding a family is adding a row (CHECKPOINTS.md 0.3).
 */
import { TintypeError } from '../errors.ts';
import type { Layout, ModelConfig, SpecialTokens } from './config.ts';
import type { FloatDtype } from './safetensors.ts';

export type Json = Record<string, unknown>;

/** Facts that stand in config.json as one number each. */
type Dimension =
  | 'width'
  | 'layers'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'ffnWidth'
  | 'vocabSize'
  | 'contextLength';

interface Family {
  modelType: string;
  /** `architectures[0]`; models of another one with the same `model_type` are not this family. */
  architecture: string;
  keys: Record<Dimension, string>;
  /** What `attention_layout` may say; the first is meant where it is silent, if `layoutKey` is optional. */
  layouts: readonly [Layout, ...Layout[]];
  /** Where the layout stands: nowhere (there is but one), perhaps, or always. */
  layoutKey: 'absent' | 'optional' | 'required';
  /** Key of the block length, and the value that files without it mean. */
  blockKey: { key: string; silent: number | null };
  /** Keys that engines for this family want to see in a new file, beyond the facts. */
  extra: Json;
}

const QWEN_KEYS: Record<Dimension, string> = {
  width: 'hidden_size',
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  kvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  ffnWidth: 'intermediate_size',
  vocabSize: 'vocab_size',
  contextLength: 'max_position_embeddings',
};

const QWEN_EXTRA: Json = {
  attention_bias: false,
  attention_dropout: 0,
  hidden_act: 'silu',
  initializer_range: 0.02,
  rope_scaling: null,
  use_cache: true,
};

const FAMILIES: readonly Family[] = [
  {
    // Also the native causal twin and `causalContext`: any autoregressive engine loads them as the Qwen3 models
    // they are and passes over the keys it does not know.
    modelType: 'qwen3',
    architecture: 'Qwen3ForCausalLM',
    keys: QWEN_KEYS,
    layouts: ['causal', 'causalContext'],
    layoutKey: 'optional',
    blockKey: { key: 'block_length', silent: null },
    extra: QWEN_EXTRA,
  },
  {
    modelType: 'tintype',
    architecture: 'TintypeForMaskedDiffusion',
    keys: QWEN_KEYS,
    layouts: ['blockCausal', 'full'],
    layoutKey: 'required',
    blockKey: { key: 'block_length', silent: null },
    extra: QWEN_EXTRA,
  },
  {
    // An early SDAR-4B-Chat has no block_size; its blocks are four tokens (CHECKPOINTS.md 2.9).
    modelType: 'sdar',
    architecture: 'SDARForCausalLM',
    keys: QWEN_KEYS,
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 4 },
    extra: QWEN_EXTRA,
  },
];

/** Settings that would change the mathematics; a file may only hold these values, or not have the key. */
const SUPPORTED: Record<string, (value: unknown) => boolean> = {
  hidden_act: (value) => value === 'silu',
  attention_bias: (value) => value === false,
  rope_scaling: (value) => value === null,
  use_sliding_window: (value) => value === false,
  quantization_config: (value) => value === null,
  layer_types: (value) => Array.isArray(value) && value.every((type) => type === 'full_attention'),
  rope_parameters: (value) =>
    value === null ||
    (isJson(value) && [undefined, 'default'].includes(value['rope_type'] as string | undefined)),
  partial_rotary_factor: (value) => value === 1 || value === null,
};

/** What stands beside config.json and bears on it. */
export interface Surroundings {
  /** generation_config.json; null where there is none. */
  generation: Json | null;
  /** Id of the tokenizer's mask token, if it has one. */
  tokenizerMask: number | null;
  /** Names the folder in errors. */
  where: string;
}

const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads config.json. Errors: `bad_config` (a key is missing, of the wrong type or contradicts another), `unsupported`. */
export function configFromJson(raw: Json, around: Surroundings): ModelConfig {
  const { where, generation } = around;
  const family = familyOf(raw, where);
  for (const [key, isSupported] of Object.entries(SUPPORTED)) {
    if (key in raw && !isSupported(raw[key])) {
      throw new TintypeError('unsupported', {
        what: `${where} uses a feature that is not there yet: ${key}`,
        got: JSON.stringify(raw[key]),
        next: 'convert the checkpoint, or use another one',
      });
    }
  }
  const integer = (key: string): number => {
    const value = raw[key];
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw wrongKey(where, key, value, 'a positive integer');
  };
  const number = (key: string, value: unknown): number => {
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
    throw wrongKey(where, key, value, 'a positive number');
  };
  const layout = layoutOf(family, raw, where);
  const keys = family.keys;
  const contextLength = integer(keys.contextLength);
  const { key: blockKey, silent } = family.blockKey;
  const blockLength =
    layout === 'causal'
      ? 1
      : layout === 'full'
        ? contextLength
        : silent !== null && !(blockKey in raw)
          ? silent
          : integer(blockKey);
  const tied = raw['tie_word_embeddings'] ?? false;
  if (typeof tied !== 'boolean') throw wrongKey(where, 'tie_word_embeddings', tied, 'true or false');

  const config: ModelConfig = {
    modelType: family.modelType,
    layout,
    width: integer(keys.width),
    layers: integer(keys.layers),
    heads: integer(keys.heads),
    kvHeads: integer(keys.kvHeads),
    headDim: integer(keys.headDim),
    ffnWidth: integer(keys.ffnWidth),
    vocabSize: integer(keys.vocabSize),
    tiedHead: tied,
    normEps: number('rms_norm_eps', raw['rms_norm_eps']),
    // Since transformers 5 theta stands inside rope_parameters.
    ropeTheta: number(
      'rope_theta',
      (raw['rope_parameters'] as Json | undefined)?.['rope_theta'] ?? raw['rope_theta'],
    ),
    contextLength,
    blockLength,
    tokens: { mask: null, ...tokenIds(raw, generation, where) },
  };
  if (layout !== 'causal') config.tokens.mask = maskOf(raw, around);
  checkConfig(config, where);
  return config;
}

function familyOf(raw: Json, where: string): Family {
  const architectures = raw['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const modelType = raw['model_type'];
  if (typeof modelType !== 'string') throw wrongKey(where, 'model_type', modelType, 'a string');
  // model_type alone is not enough: others hide their own models behind `llama` or `qwen2`.
  const family = FAMILIES.find(
    (f) => f.modelType === modelType && (architecture === undefined || f.architecture === architecture),
  );
  if (family) return family;
  throw new TintypeError('unsupported', {
    what: `${where} is of a family that is not known here`,
    got: `model_type ${JSON.stringify(modelType)}, architecture ${JSON.stringify(architecture)}`,
    wanted: FAMILIES.map((f) => `${f.modelType} (${f.architecture})`).join(', '),
  });
}

function layoutOf({ layouts, layoutKey }: Family, raw: Json, where: string): Layout {
  const stated = layoutKey === 'absent' ? undefined : raw['attention_layout'];
  if (stated === undefined && layoutKey !== 'required') return layouts[0];
  const layout = layouts.find((known) => known === stated);
  if (layout === undefined) throw wrongKey(where, 'attention_layout', stated, layouts.join(' or '));
  return layout;
}

/** The ids of a key that holds none, one or several. */
function idsOf(json: Json | null, key: string, where: string): number[] {
  const value = json?.[key];
  if (value === undefined || value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) return ids;
  throw wrongKey(where, key, value, 'a token id or a list of them');
}

/** Ends of text are a set: generation_config.json often knows more of them than config.json. */
function tokenIds(raw: Json, generation: Json | null, where: string): Omit<SpecialTokens, 'mask'> {
  const both = (key: string): number[] => [...idsOf(generation, key, where), ...idsOf(raw, key, where)];
  return {
    eos: [...new Set(both('eos_token_id'))],
    pad: both('pad_token_id')[0] ?? null,
    bos: both('bos_token_id')[0] ?? null,
  };
}

function maskOf(raw: Json, { tokenizerMask, where }: Surroundings): number {
  const mask = idsOf(raw, 'mask_token_id', where)[0] ?? tokenizerMask;
  if (mask !== null) return mask;
  throw new TintypeError('bad_config', {
    what: `${where} does not say which token is the mask`,
    wanted: 'mask_token_id in config.json, or a mask token in the tokenizer',
    next: 'add "mask_token_id" to config.json',
  });
}

function checkConfig({ heads, kvHeads, headDim, vocabSize, tokens }: ModelConfig, where: string): void {
  const bad = (what: string, got: string): TintypeError =>
    new TintypeError('bad_config', { what: `${where} contradicts itself: ${what}`, got });
  if (heads % kvHeads !== 0) throw bad('heads must be a multiple of kv-heads', `${heads} and ${kvHeads}`);
  if (headDim % 2 !== 0) throw bad('rotary positions need an even head_dim', `${headDim}`);
  for (const [name, id] of Object.entries({ mask: tokens.mask, pad: tokens.pad, bos: tokens.bos })) {
    if (id !== null && id >= vocabSize)
      throw bad(`the ${name} token lies outside the vocabulary`, `${id} of ${vocabSize}`);
  }
  const outside = tokens.eos.find((id) => id >= vocabSize);
  if (outside !== undefined)
    throw bad('an end-of-text token lies outside the vocabulary', `${outside} of ${vocabSize}`);
}

function wrongKey(where: string, key: string, got: unknown, wanted: string): TintypeError {
  return new TintypeError('bad_config', {
    what: got === undefined ? `${where} lacks the key ${key}` : `${where} has a bad value for ${key}`,
    got: got === undefined ? undefined : JSON.stringify(got),
    wanted: `${key}: ${wanted}`,
  });
}

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
  const family = FAMILIES.find(({ modelType }) => modelType === written.modelType);
  if (!family?.layouts.includes(written.layout)) {
    throw new TintypeError('bad_config', {
      what: `a ${written.modelType} config.json cannot state the layout ${written.layout}`,
      wanted: family ? family.layouts.join(' or ') : FAMILIES.map((f) => f.modelType).join(', '),
      next: 'use modelType tintype',
    });
  }
  if (!raw || !saysTheSame(written, raw, generation)) {
    raw = { ...raw, ...(raw ? {} : family.extra), ...facts(written, family), ...ropeFacts(written, raw) };
    generation = { ...generation, ...tokenFacts(written) };
    checkConfig(written, 'the model');
  }
  const dtypeKey = 'dtype' in raw ? 'dtype' : 'torch_dtype';
  return {
    config: { ...raw, [dtypeKey]: DTYPE_NAMES[dtype] },
    generation: generation ?? tokenFacts(written),
  };
}

function saysTheSame(config: ModelConfig, raw: Json, generation: Json | null): boolean {
  const around = { generation, tokenizerMask: config.tokens.mask, where: 'config.json' };
  return JSON.stringify(sorted(configFromJson(raw, around))) === JSON.stringify(sorted(config));
}

/** Key order is no difference. */
const sorted = (config: ModelConfig): unknown =>
  Object.entries({ ...config, ...config.tokens, tokens: null }).toSorted(([a], [b]) => (a < b ? -1 : 1));

function facts(config: ModelConfig, family: Family): Json {
  const { layout } = config;
  const dimensions = Object.entries(family.keys).map(([fact, key]) => [key, config[fact as Dimension]]);
  const isBlockwise = layout === 'blockCausal' || layout === 'causalContext';
  const isPlain =
    family.layoutKey === 'absent' || (family.layoutKey === 'optional' && layout === family.layouts[0]);
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    ...Object.fromEntries(dimensions),
    tie_word_embeddings: config.tiedHead,
    rms_norm_eps: config.normEps,
    attention_layout: isPlain ? undefined : layout,
    [family.blockKey.key]: isBlockwise ? config.blockLength : undefined,
    mask_token_id: config.tokens.mask ?? undefined,
    ...tokenFacts(config),
  };
}

/** Theta goes where the file has it, since a reader that knows both places believes only one. */
function ropeFacts({ ropeTheta }: ModelConfig, raw: Json | null): Json {
  const nested = raw?.['rope_parameters'];
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
