/**
 * The published families, as data: by which names their files are known, which keys they use, which layouts they can
 * state, and the facts that no key states. Adding a family is adding a row (CHECKPOINTS.md 0.3); `config-json.ts` reads it.
 */
import { TintypeError } from '../errors.ts';
import { familyName, type Layout, type LogitShift, type ModelConfig } from './config.ts';
import { LLADA_NAMES, type NameMap, QWEN_NAMES } from './names.ts';

export type Json = Record<string, unknown>;

/** Facts that stand in config.json as one number each. */
export type Dimension =
  | 'width'
  | 'layers'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'ffnWidth'
  | 'vocabSize'
  | 'contextLength';

/** A fact of the whole family, or one that stands under a key; `silent` is what files without the key mean. */
export type Fact = boolean | { key: string; silent: boolean };

export interface Family {
  /** How options and errors name it. */
  id: string;
  modelType: string;
  /**
   * Classes that `architectures[0]` or `auto_map` may name; the first is written. None: files do not tell this family
   * from another one, so it must be asked for.
   */
  classes: readonly string[];
  /** Of several keys the first that is there counts. */
  keys: Record<Dimension, string | readonly string[]>;
  /** Without its key a head is width / heads wide. */
  derivesHeadDim?: boolean;
  tiedKey: string;
  /** What `attention_layout` may say; the first is meant where it is silent, if `layoutKey` is optional. */
  layouts: readonly [Layout, ...Layout[]];
  /** Where the layout stands: nowhere (there is but one), perhaps, or always. */
  layoutKey: 'absent' | 'optional' | 'required';
  /** Files of one config.json come in several layouts or block lengths, so what is assumed has to be said. */
  isAmbiguous?: boolean;
  /** Key of the block length, and the value that files without it mean. */
  blockKey: { key: string; silent: number | null };
  qkvBias: Fact;
  qkNorm: Fact;
  logitShift: LogitShift;
  names: NameMap;
  /** The mask where neither config.json nor the tokenizer knows it. */
  maskTokenId: number | null;
  /** Tokens that end a turn of the family's chat template: they end a text as well. */
  turnEnds: readonly string[];
  /** Settings that would change the mathematics, and the values a file may hold (besides null). */
  settings: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that engines for this family want to see in a new file, beyond the facts. */
  extra: Json;
}

const QWEN_KEYS = {
  width: 'hidden_size',
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  kvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  ffnWidth: 'intermediate_size',
  vocabSize: 'vocab_size',
  contextLength: 'max_position_embeddings',
} as const;

const QWEN_EXTRA: Json = {
  attention_bias: false,
  attention_dropout: 0,
  hidden_act: 'silu',
  initializer_range: 0.02,
  rope_scaling: null,
  use_cache: true,
};

/** What the block of Qwen2, Qwen3 and Llama has in common. */
const QWEN3 = {
  keys: QWEN_KEYS,
  tiedKey: 'tie_word_embeddings',
  layoutKey: 'optional',
  blockKey: { key: 'block_length', silent: null },
  qkvBias: false,
  qkNorm: true,
  logitShift: 'none',
  names: QWEN_NAMES,
  maskTokenId: null,
  turnEnds: [],
  settings: { hidden_act: ['silu'], attention_bias: [false], mlp_bias: [false], use_sliding_window: [false] },
  extra: QWEN_EXTRA,
} as const satisfies Partial<Family>;

/** Qwen2.5's block: biases on q, k and v, no norms on them. */
const QWEN2 = { ...QWEN3, qkvBias: true, qkNorm: false, derivesHeadDim: true } as const;

const LLAMA = { ...QWEN3, qkNorm: false, derivesHeadDim: true } as const;

const QWEN_TURNS = ['<|im_end|>'];

export const FAMILIES: readonly Family[] = [
  {
    // Also the native causal twin and `causalContext`: any autoregressive engine loads them as the Qwen3 models
    // they are and passes over the keys it does not know.
    ...QWEN3,
    id: 'qwen3',
    modelType: 'qwen3',
    classes: ['Qwen3ForCausalLM'],
    layouts: ['causal', 'causalContext'],
  },
  { ...QWEN2, id: 'qwen2', modelType: 'qwen2', classes: ['Qwen2ForCausalLM'], layouts: ['causal'] },
  { ...LLAMA, id: 'llama', modelType: 'llama', classes: ['LlamaForCausalLM'], layouts: ['causal'] },
  {
    ...QWEN3,
    id: 'tintype',
    modelType: 'tintype',
    classes: ['TintypeForMaskedDiffusion'],
    layouts: ['blockCausal', 'full'],
    layoutKey: 'required',
  },
  {
    // Also TraDo. An early SDAR-4B-Chat has no block_size; its blocks are four tokens (CHECKPOINTS.md 2.9).
    ...QWEN3,
    id: 'sdar',
    modelType: 'sdar',
    classes: ['SDARForCausalLM'],
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 4 },
  },
  {
    // MDLM and BD3LM variants have the same config.json (2.7).
    ...QWEN3,
    id: 'a2d-qwen3',
    modelType: 'a2d-qwen3',
    classes: ['A2DQwen3LMHeadModel'],
    layouts: ['full', 'blockCausal'],
    isAmbiguous: true,
    blockKey: { key: 'block_size', silent: 32 },
    turnEnds: QWEN_TURNS,
  },
  {
    ...QWEN2,
    id: 'a2d-qwen2',
    modelType: 'a2d-qwen2',
    classes: ['A2DQwen2LMHeadModel'],
    layouts: ['full', 'blockCausal'],
    isAmbiguous: true,
    blockKey: { key: 'block_size', silent: 32 },
    turnEnds: QWEN_TURNS,
  },
  {
    // The mask is a default argument of the official code (2.8).
    ...QWEN2,
    id: 'fast-dllm-v2',
    modelType: 'Fast_dLLM_Qwen',
    classes: ['Fast_dLLM_QwenForCausalLM'],
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'bd_size', silent: 32 },
    logitShift: 'block',
    maskTokenId: 151665,
    turnEnds: QWEN_TURNS,
  },
  {
    // Also Dream-Coder, DiffuCoder, dParallel and d3LLM on Dream (2.5, 2.10).
    ...QWEN2,
    id: 'dream',
    modelType: 'Dream',
    classes: ['DreamModel'],
    layouts: ['full'],
    layoutKey: 'absent',
    logitShift: 'sequence',
    maskTokenId: 151666,
    turnEnds: QWEN_TURNS,
    settings: { ...QWEN2.settings, use_mrope: [false] },
  },
  {
    // Also LLaDA-1.5, dParallel and d3LLM on LLaDA (2.1, 2.10). embedding_size counts the rows, vocab_size the tokens.
    ...LLAMA,
    id: 'llada',
    modelType: 'llada',
    classes: ['LLaDAModelLM'],
    keys: {
      width: 'd_model',
      layers: 'n_layers',
      heads: 'n_heads',
      kvHeads: 'n_kv_heads',
      headDim: 'head_dim',
      ffnWidth: 'mlp_hidden_size',
      vocabSize: ['embedding_size', 'vocab_size'],
      contextLength: 'max_sequence_length',
    },
    tiedKey: 'weight_tying',
    layouts: ['full'],
    layoutKey: 'absent',
    names: LLADA_NAMES,
    maskTokenId: 126336,
    turnEnds: ['<|eot_id|>'],
    settings: {
      activation_type: ['silu'],
      alibi: [false],
      attention_layer_norm: [false],
      bias_for_layer_norm: [false],
      block_group_size: [1],
      block_type: ['llama'],
      include_bias: [false],
      include_qkv_bias: [false],
      input_emb_norm: [false],
      layer_norm_type: ['rms'],
      layer_norm_with_affine: [true],
      rope: [true],
      scale_logits: [false],
    },
    extra: { activation_type: 'silu', block_type: 'llama', layer_norm_type: 'rms', rope: true },
  },
  {
    // Hides behind model_type llama; an earlier one behind LlamaForCausalLM too, told by its auto_map (2.14).
    ...LLAMA,
    id: 'stable-diffcoder',
    modelType: 'llama',
    classes: ['StableDiffcoderForCausalLM', 'SeedDiffcoderForCausalLM'],
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 4 },
    maskTokenId: 5,
  },
];

/** Our own key of config.json: names the family where nothing else does. */
export const FAMILY_KEY = 'tintype_family';

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Under which of several keys a fact is written. */
export const firstKey = (keys: string | readonly string[]): string =>
  typeof keys === 'string' ? keys : keys[0];

/** The row of a family. Errors: `bad_option`. */
export function familyById(id: string): Family {
  const family = FAMILIES.find((each) => each.id === id);
  if (family) return family;
  throw new TintypeError('bad_option', {
    what: 'there is no such family of models',
    got: id,
    wanted: FAMILIES.map((each) => each.id).join(', '),
  });
}

/** How the family of a model names its tensors; Qwen3's way where it has no row. */
export const namesOf = (config: ModelConfig): NameMap =>
  FAMILIES.find(({ id }) => id === familyName(config))?.names ?? QWEN_NAMES;

/** Class names of `auto_map`: `modeling_x.SomeModel`, alone or in a list. */
const autoClasses = (raw: Json): string[] =>
  Object.values((raw['auto_map'] as Json | null | undefined) ?? {})
    .flat()
    .map((path) => String(path).split('.').at(-1)!);

/**
 * The family of a config.json. `model_type` alone is not enough: `llada` means two families, and others hide their
 * models behind `llama` or `qwen2`. Errors: `bad_config` without a model_type, `unsupported`.
 */
export function detectFamily(raw: Json, where: string): Family {
  const modelType = raw['model_type'];
  if (typeof modelType !== 'string') {
    throw new TintypeError('bad_config', {
      what: `${where} ${modelType === undefined ? 'lacks the key' : 'has a bad value for'} model_type`,
      got: modelType === undefined ? undefined : JSON.stringify(modelType),
      wanted: 'model_type: a string',
    });
  }
  const stated = raw[FAMILY_KEY];
  if (typeof stated === 'string') return familyById(stated);
  const architectures = raw['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const known = FAMILIES.filter((each) => each.modelType === modelType && each.classes.length > 0);
  const named = [...autoClasses(raw), ...(typeof architecture === 'string' ? [architecture] : [])];
  const byClass = named
    .map((name) => known.find(({ classes }) => classes.includes(name)))
    .find((family) => family !== undefined);
  if (byClass) return byClass;
  if (architecture === undefined && known.length === 1) return known[0];
  throw unknownFamily({ modelType, architecture, known, where });
}

function unknownFamily(facts: {
  modelType: string;
  architecture: unknown;
  /** Rows of the same model type. */
  known: readonly Family[];
  where: string;
}): TintypeError {
  const { modelType, architecture, known, where } = facts;
  const words = FAMILIES.flatMap((family) =>
    [family.id, family.modelType, ...family.classes].map((word) => ({ word, id: family.id })),
  );
  const likeness = (word: string): number =>
    Math.min(...[modelType, architecture].map((name) => distance(String(name), word)));
  const nearest = known[0]?.id ?? words.toSorted((a, b) => likeness(a.word) - likeness(b.word))[0].id;
  const named = FAMILIES.map(({ id, classes }) =>
    classes.length > 0 ? `${id} (${classes.join(', ')})` : id,
  );
  return new TintypeError('unsupported', {
    what: `${where} is of a family that is not known here`,
    got: `model_type ${JSON.stringify(modelType)}, architecture ${JSON.stringify(architecture)}`,
    wanted: named.join(', '),
    next: `name the family if it is one of these under another name; the nearest is --family ${nearest}`,
  });
}

/** Edits between two words, case aside (Levenshtein). */
function distance(a: string, b: string): number {
  const [from, to] = [a.toLowerCase(), b.toLowerCase()];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const swap = row[j - 1] + Number(from[i - 1] !== to[j - 1]);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[to.length];
}
