/** What rows of `families.ts` have in common. */
import type { Family } from './family.ts';
import { DIT_NAMES, QWEN_NAMES } from './names.ts';

export const QWEN_KEYS = {
  width: 'hidden_size',
  layers: 'num_hidden_layers',
  heads: 'num_attention_heads',
  kvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  ffnWidth: 'intermediate_size',
  vocabSize: 'vocab_size',
  contextLength: 'max_position_embeddings',
} as const;

const QWEN_EXTRA: Family['extra'] = {
  attention_bias: false,
  attention_dropout: 0,
  hidden_act: 'silu',
  initializer_range: 0.02,
  rope_scaling: null,
  use_cache: true,
};

/** What the block of Qwen2, Qwen3 and Llama has in common. */
export const QWEN3 = {
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
export const QWEN2 = { ...QWEN3, qkvBias: true, qkNorm: false, derivesHeadDim: true } as const;

export const LLAMA = { ...QWEN3, qkNorm: false, derivesHeadDim: true } as const;

export const QWEN_TURNS = ['<|im_end|>'];
export const ROLE_TURNS = ['<|role_end|>'];

/** Qwen3-MoE: every layer is a mixture. */
export const QWEN3_MOE = {
  ...QWEN3,
  mixture: {
    router: 'softmaxRenorm',
    experts: 'num_experts',
    perToken: 'num_experts_per_tok',
    width: 'moe_intermediate_size',
  },
  settings: { ...QWEN3.settings, decoder_sparse_step: [1], mlp_only_layers: [], norm_topk_prob: [true] },
} as const satisfies Partial<Family>;

/** The diffusion transformer of MDLM, BD3-LM and SEDD (2.16). The mask comes behind the tokens of GPT-2's tokenizer. */
export const DIT = {
  ...QWEN3,
  keys: {
    width: 'hidden_dim',
    layers: 'n_blocks',
    heads: 'n_heads',
    kvHeads: 'n_heads',
    headDim: 'head_dim',
    ffnWidth: 'ffn_dim',
    vocabSize: 'vocab_size',
    contextLength: 'model_length',
  },
  derivesHeadDim: true,
  qkNorm: false,
  dit: { condition: 'cond_dim' },
  implied: { ffnRatio: 4, normEps: 1e-5, ropeTheta: 10_000 },
  layoutKey: 'absent',
  names: DIT_NAMES,
  maskTokenId: 50257,
  tokenizerFrom: 'openai-community/gpt2',
  turnEnds: ['<|endoftext|>'],
  settings: { time_conditioning: [false] },
  extra: { dropout: 0.1, time_conditioning: false },
} as const satisfies Partial<Family>;
