/**
 * The published families, as data: by which names their files are known, which keys they use, which layouts they can
 * state, and the facts that no key states. Adding a family is adding a row (CHECKPOINTS.md 0.3).
 */
import type { Family } from './family.ts';
import { DIFFUSION_GEMMA_NAMES, DIT_NAMES, LLADA2_NAMES, LLADA_NAMES, NEMOTRON_NAMES, QWEN_NAMES } from './names.ts';

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

const QWEN_EXTRA: Family['extra'] = {
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
const ROLE_TURNS = ['<|role_end|>'];

/** Qwen3-MoE: every layer is a mixture. */
const QWEN3_MOE = {
  ...QWEN3,
  mixture: {
    router: 'softmaxRenorm',
    experts: 'num_experts',
    perToken: 'num_experts_per_tok',
    width: 'moe_intermediate_size',
  },
  settings: { ...QWEN3.settings, decoder_sparse_step: [1], mlp_only_layers: [], norm_topk_prob: [true] },
} as const satisfies Partial<Family>;

/** MDLM's and BD3-LM's diffusion transformer (2.16). Their tokenizer is GPT-2's, with the mask behind its tokens. */
const DIT = {
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
  turnEnds: ['<|endoftext|>'],
  settings: { time_conditioning: [false] },
  extra: { dropout: 0.1, time_conditioning: false },
} as const satisfies Partial<Family>;

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
    ...QWEN3_MOE,
    id: 'sdar-moe',
    modelType: 'sdar_moe',
    classes: ['SDARMoeForCausalLM'],
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 4 },
    turnEnds: QWEN_TURNS,
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
    // A Qwen3 block under Dream's model_type, without Dream's shift (2.5).
    ...QWEN3,
    id: 'dream-reasoner',
    modelType: 'Dream',
    classes: ['DreamForCausalLM'],
    derivesHeadDim: true,
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 32 },
    maskTokenId: 151669,
    turnEnds: QWEN_TURNS,
  },
  {
    // Its files are those of an ordinary Qwen2 (2.6).
    ...QWEN2,
    id: 'open-dcoder',
    modelType: 'qwen2',
    classes: [],
    layouts: ['full'],
    layoutKey: 'absent',
    logitShift: 'sequence',
    turnEnds: QWEN_TURNS,
  },
  {
    ...QWEN3_MOE,
    id: 'rnd1',
    modelType: 'rnd1',
    classes: ['RND1LM'],
    layouts: ['full'],
    layoutKey: 'absent',
    logitShift: 'sequence',
    maskTokenId: 151669,
    turnEnds: QWEN_TURNS,
  },
  {
    // A canvas of random tokens after a causal context (2.11). Without the ties the encoder has weights of its own.
    ...QWEN3,
    id: 'diffusion-gemma',
    modelType: 'diffusion_gemma',
    classes: ['DiffusionGemmaForBlockDiffusion'],
    textKey: 'text_config',
    isGemma: true,
    noise: 'uniform',
    layouts: ['causalContext'],
    layoutKey: 'absent',
    blockKey: { key: 'canvas_length', silent: 256 },
    tiedSilent: true,
    mixture: {
      router: 'softmaxRenorm',
      experts: 'num_experts',
      perToken: 'top_k_experts',
      width: 'moe_intermediate_size',
    },
    names: DIFFUSION_GEMMA_NAMES,
    turnEnds: ['<turn|>', '<end_of_turn>'],
    settings: {
      attention_bias: [false],
      hidden_activation: ['gelu_pytorch_tanh'],
      layer_types: ['sliding_attention', 'full_attention'],
      tie_word_embeddings: [true],
      use_bidirectional_attention: ['vision'],
    },
  },
  {
    // The block of Qwen3-8B or of Qwen2.5-7B, as the file says (2.13).
    ...QWEN3,
    id: 'wedlm',
    modelType: 'wedlm',
    classes: ['WeDLMForCausalLM'],
    derivesHeadDim: true,
    layouts: ['causal'],
    layoutKey: 'absent',
    qkvBias: { key: 'attention_bias', silent: false },
    qkNorm: { key: 'qk_norm', silent: true },
    reordersKnown: true,
    turnEnds: QWEN_TURNS,
    settings: { ...QWEN3.settings, attention_bias: [false, true] },
  },
  {
    // The block of Ministral 3; causal for autoregression, a causal context for diffusion (2.12).
    ...LLAMA,
    id: 'nemotron-labs-diffusion',
    modelType: 'nemotron_labs_diffusion',
    classes: ['NemotronLabsDiffusionModel'],
    layouts: ['causalContext', 'causal'],
    blockKey: { key: 'block_size', silent: 32 },
    hasYarn: true,
    names: NEMOTRON_NAMES,
    maskTokenId: 100,
  },
  {
    // Llama's names and block, not LLaDA's (2.2). The mask stands in no file.
    ...LLAMA,
    id: 'illada',
    modelType: 'illada',
    classes: ['ILLaDAForCausalLM'],
    tiedSilent: true,
    layouts: ['full'],
    layoutKey: 'absent',
    maskTokenId: 5,
    settings: { ...LLAMA.settings, layer_norm_eps: [] },
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
    // Of LLaDA it has the model_type alone (2.3). No layer uses dense_intermediate_size.
    ...QWEN3,
    id: 'llada-moe',
    modelType: 'llada',
    classes: ['LLaDAMoEModelLM'],
    keys: { ...QWEN_KEYS, ffnWidth: 'dense_intermediate_size' },
    derivesHeadDim: true,
    layouts: ['full'],
    layoutKey: 'absent',
    qkNorm: { key: 'qk_layernorm', silent: true },
    mixture: {
      router: 'softmax',
      experts: 'num_experts',
      perToken: 'num_experts_per_tok',
      width: 'expert_intermediate_size',
      scale: 'routed_scaling_factor',
    },
    maskTokenId: 156895,
    turnEnds: ROLE_TURNS,
    settings: {
      ...QWEN3.settings,
      clip_qkv: [],
      moe_layer_freq: [1],
      moe_router_enable_expert_bias: [false],
      moe_router_score_function: ['softmax'],
      norm_topk_prob: [false],
      router_num_group: [],
      shared_expert_intermediate_size: [],
    },
  },
  {
    // 2.0, 2.1 and 2.2. The model normalises heads whatever use_qk_norm says (2.4).
    ...QWEN3,
    id: 'llada2',
    modelType: 'llada2_moe',
    classes: ['LLaDA2MoeModelLM'],
    layouts: ['blockCausal'],
    layoutKey: 'absent',
    blockKey: { key: 'block_size', silent: 32 },
    mixture: {
      router: 'sigmoidGroups',
      experts: 'num_experts',
      perToken: 'num_experts_per_tok',
      width: 'moe_intermediate_size',
      groups: 'n_group',
      groupsPerToken: 'topk_group',
      scale: 'routed_scaling_factor',
      shared: 'num_shared_experts',
      denseLayers: 'first_k_dense_replace',
    },
    names: LLADA2_NAMES,
    maskTokenId: 156895,
    endsWithPad: true,
    turnEnds: ROLE_TURNS,
    settings: {
      ...QWEN3.settings,
      moe_router_enable_expert_bias: [true],
      norm_head: [false],
      norm_softmax: [false],
      norm_topk_prob: [true],
      score_function: ['sigmoid'],
      use_bias: [false],
      use_qkv_bias: [false],
      use_rmsnorm: [true],
    },
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
  { ...DIT, id: 'mdlm', modelType: 'mdlm', classes: ['MDLM'], layouts: ['full'] },
  {
    ...DIT,
    id: 'bd3lm',
    modelType: 'bd3lm',
    classes: ['BD3LM'],
    layouts: ['blockCausal'],
    blockKey: { key: 'block_size', silent: 1 },
    dit: { condition: 'cond_dim', isConditioned: 'adaln' },
    settings: { ...DIT.settings, causal: [false], cross_attn: [true] },
    extra: { ...DIT.extra, causal: false, cross_attn: true, attn_backend: 'sdpa' },
  },
];
