/**
 * What families call their tensors. Inside the package every parameter has the name that Qwen3 gives it; a family that
 * uses others has a map from those names to its own. Parameters that map to one stored name are one matrix there, rows
 * below rows, in the order of `parameterShapes`.
 */
import { elementCount, type ModelConfig, parameterShapes, type ParameterShape } from './config.ts';

/**
 * Modules by Qwen3's path; `*` stands for the number of a layer, then of an expert. What is not listed keeps its name. A
 * parameter whose last part is called otherwise too is listed as a whole. A name without the second star is one tensor of
 * all experts, [E, .., ..].
 */
export type NameMap = Readonly<Record<string, string>>;

/** Qwen2, Qwen3, Llama and all that keep their names. */
export const QWEN_NAMES: NameMap = {};

/** OLMo's names (CHECKPOINTS.md 2.1): `ff_proj` is the gate, and `ff_out` is a down projection as well as the head. */
export const LLADA_NAMES: NameMap = {
  'model.embed_tokens': 'model.transformer.wte',
  'model.layers.*.input_layernorm': 'model.transformer.blocks.*.attn_norm',
  'model.layers.*.self_attn.q_proj': 'model.transformer.blocks.*.q_proj',
  'model.layers.*.self_attn.k_proj': 'model.transformer.blocks.*.k_proj',
  'model.layers.*.self_attn.v_proj': 'model.transformer.blocks.*.v_proj',
  'model.layers.*.self_attn.o_proj': 'model.transformer.blocks.*.attn_out',
  'model.layers.*.post_attention_layernorm': 'model.transformer.blocks.*.ff_norm',
  'model.layers.*.mlp.gate_proj': 'model.transformer.blocks.*.ff_proj',
  'model.layers.*.mlp.up_proj': 'model.transformer.blocks.*.up_proj',
  'model.layers.*.mlp.down_proj': 'model.transformer.blocks.*.ff_out',
  'model.norm': 'model.transformer.ln_f',
  lm_head: 'model.transformer.ff_out',
};

/** Queries, keys and values are one matrix (CHECKPOINTS.md 2.4). */
export const LLADA2_NAMES: NameMap = {
  'model.embed_tokens': 'model.word_embeddings',
  'model.layers.*.self_attn.q_proj': 'model.layers.*.attention.query_key_value',
  'model.layers.*.self_attn.k_proj': 'model.layers.*.attention.query_key_value',
  'model.layers.*.self_attn.v_proj': 'model.layers.*.attention.query_key_value',
  'model.layers.*.self_attn.q_norm': 'model.layers.*.attention.query_layernorm',
  'model.layers.*.self_attn.k_norm': 'model.layers.*.attention.key_layernorm',
  'model.layers.*.self_attn.o_proj': 'model.layers.*.attention.dense',
};

const LAYER_MODULES = [
  'input_layernorm',
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'post_attention_layernorm',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
];

/** Llama's leaves under another root (CHECKPOINTS.md 2.12). */
export const NEMOTRON_NAMES: NameMap = {
  'model.embed_tokens': 'encoder.embed_tokens',
  ...Object.fromEntries(LAYER_MODULES.map((leaf) => [`model.layers.*.${leaf}`, `encoder.layers.*.${leaf}`])),
  'model.norm': 'encoder.norm',
  lm_head: 'diffusion_head',
};

/** The diffusion transformers of MDLM and BD3-LM (CHECKPOINTS.md 2.16). */
export const DIT_NAMES: NameMap = {
  'model.embed_tokens.weight': 'backbone.vocab_embed.embedding',
  'model.layers.*.input_layernorm': 'backbone.blocks.*.norm1',
  'model.layers.*.self_attn.q_proj': 'backbone.blocks.*.attn_qkv',
  'model.layers.*.self_attn.k_proj': 'backbone.blocks.*.attn_qkv',
  'model.layers.*.self_attn.v_proj': 'backbone.blocks.*.attn_qkv',
  'model.layers.*.self_attn.o_proj': 'backbone.blocks.*.attn_out',
  'model.layers.*.post_attention_layernorm': 'backbone.blocks.*.norm2',
  'model.layers.*.mlp.up_proj': 'backbone.blocks.*.mlp.0',
  'model.layers.*.mlp.down_proj': 'backbone.blocks.*.mlp.2',
  'model.layers.*.modulation': 'backbone.blocks.*.adaLN_modulation',
  'model.noise.first': 'backbone.sigma_map.mlp.0',
  'model.noise.second': 'backbone.sigma_map.mlp.2',
  'model.norm': 'backbone.output_layer.norm_final',
  'model.modulation': 'backbone.output_layer.adaLN_modulation',
  lm_head: 'backbone.output_layer.linear',
};

/** SEDD's are the same without the root. */
export const SEDD_NAMES: NameMap = Object.fromEntries(
  Object.entries(DIT_NAMES).map(([ours, theirs]) => [ours, theirs.replace('backbone.', '')]),
);

const DECODER_LAYER = 'model.decoder.layers.*';

/**
 * DiffusionGemma's (CHECKPOINTS.md 2.11). The encoder's weights are the decoder's, which alone are stored, but for the factor
 * of each layer.
 */
export const DIFFUSION_GEMMA_NAMES: NameMap = {
  'model.embed_tokens': 'model.decoder.embed_tokens',
  ...Object.fromEntries(
    [
      ...LAYER_MODULES,
      'self_attn.q_norm',
      'self_attn.k_norm',
      'pre_feedforward_layernorm',
      'pre_feedforward_layernorm_2',
      'post_feedforward_layernorm',
      'post_feedforward_layernorm_1',
      'post_feedforward_layernorm_2',
    ].map((leaf) => [`model.layers.*.${leaf}`, `${DECODER_LAYER}.${leaf}`]),
  ),
  'model.layers.*.mlp.gate': `${DECODER_LAYER}.router.proj`,
  'model.layers.*.mlp.gate.scale': `${DECODER_LAYER}.router.scale`,
  'model.layers.*.mlp.gate.expert_scale': `${DECODER_LAYER}.router.per_expert_scale`,
  'model.layers.*.mlp.experts.*.gate_proj.weight': `${DECODER_LAYER}.experts.gate_up_proj`,
  'model.layers.*.mlp.experts.*.up_proj.weight': `${DECODER_LAYER}.experts.gate_up_proj`,
  'model.layers.*.mlp.experts.*.down_proj.weight': `${DECODER_LAYER}.experts.down_proj`,
  'model.layers.*.canvas_scalar': `${DECODER_LAYER}.layer_scalar`,
  'model.layers.*.context_scalar': 'model.encoder.language_model.layers.*.layer_scalar',
  'model.norm': 'model.decoder.norm',
  ...Object.fromEntries(
    ['pre_norm', 'gate_proj', 'up_proj', 'down_proj'].map((leaf) => [
      `model.self_conditioning.${leaf}`,
      `model.decoder.self_conditioning.${leaf}`,
    ]),
  ),
};

/** A tensor of a file and the parameters in it. */
export interface StoredShape {
  name: string;
  shape: readonly number[];
  /** In the order of their rows. */
  parts: readonly ParameterShape[];
}

const EXPERT = /\.experts\.(\d+)\./;

/** The stored name of a parameter. */
export function storedName(name: string, names: NameMap): string {
  const numbers: string[] = [];
  const path = name.replaceAll(/\.(\d+)(?=\.)/g, (_, number: string) => {
    numbers.push(number);
    return '.*';
  });
  const numbered = (stored: string): string => stored.replaceAll('*', () => numbers.shift()!);
  if (path in names) return numbered(names[path]);
  const cut = path.lastIndexOf('.');
  const module = names[path.slice(0, cut)];
  return module === undefined ? name : numbered(module) + path.slice(cut);
}

/** Every tensor that a file of the family holds, in the order of the parameters. */
export function storedShapes(config: ModelConfig, names: NameMap): StoredShape[] {
  const parts = new Map<string, ParameterShape[]>();
  for (const parameter of parameterShapes(config)) {
    const name = storedName(parameter.name, names);
    const together = parts.get(name);
    if (together) together.push(parameter);
    else parts.set(name, [parameter]);
  }
  return [...parts].map(([name, together]) => {
    const rows = together.reduce((n, { shape }) => n + shape[0], 0);
    const rest = together[0].shape.slice(1);
    const experts = new Set(together.map((part) => EXPERT.exec(part.name)?.[1])).size;
    return {
      name,
      shape: experts > 1 ? [experts, rows / experts, ...rest] : [rows, ...rest],
      parts: together,
    };
  });
}

/** Where each part of a stored tensor begins and ends, in elements. */
export function partSpans({
  parts,
}: StoredShape): { name: string; shape: readonly number[]; from: number; to: number }[] {
  let at = 0;
  return parts.map(({ name, shape }) => {
    const from = at;
    at += elementCount(shape);
    return { name, shape, from, to: at };
  });
}
