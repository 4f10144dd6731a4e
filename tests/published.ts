/** What published repositories say of themselves, by their dimensions alone: config.json, and the sizes that were counted. */
import type { ModelConfig } from '../src/model/config.ts';
import type { Overrides } from '../src/model/config-json.ts';
import type { Json } from '../src/model/family.ts';

export interface Published {
  repository: string;
  raw: Json;
  overrides?: Overrides;
  parameters: number;
  facts: Partial<ModelConfig>;
  mask: number | null;
}

const qwen = (
  width: number,
  layers: number,
  [heads, kvHeads]: [number, number],
  ffn: number,
  vocabulary = 151936,
): Json => ({
  hidden_size: width,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  intermediate_size: ffn,
  vocab_size: vocabulary,
  max_position_embeddings: 32768,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  rope_scaling: null,
  tie_word_embeddings: false,
});
const head128 = { head_dim: 128, attention_bias: false };
const tied = { tie_word_embeddings: true };
const as = (modelType: string, architecture: string): Json => ({
  model_type: modelType,
  architectures: [architecture],
});

const LLADA: Json = {
  ...as('llada', 'LLaDAModelLM'),
  d_model: 4096,
  n_layers: 32,
  n_heads: 32,
  n_kv_heads: 32,
  mlp_hidden_size: 12288,
  mlp_ratio: 4,
  vocab_size: 126464,
  embedding_size: 126464,
  weight_tying: false,
  layer_norm_type: 'rms',
  rms_norm_eps: 1e-5,
  block_type: 'llama',
  rope_theta: 5e5,
  max_sequence_length: 4096,
  mask_token_id: 126336,
  multi_query_attention: null,
};

const DIT: Json = {
  vocab_size: 50258,
  model_length: 1024,
  hidden_dim: 768,
  cond_dim: 128,
  n_blocks: 12,
  n_heads: 12,
  dropout: 0.1,
  time_conditioning: false,
};

const LLADA2: Json = {
  ...as('llada2_moe', 'LLaDA2MoeModelLM'),
  ...qwen(2048, 20, [16, 4], 5120, 157184),
  head_dim: 128,
  first_k_dense_replace: 1,
  moe_intermediate_size: 512,
  num_experts: 256,
  num_experts_per_tok: 8,
  num_shared_experts: 1,
  n_group: 8,
  topk_group: 4,
  routed_scaling_factor: 2.5,
  score_function: 'sigmoid',
  norm_topk_prob: true,
  partial_rotary_factor: 0.5,
  rotary_dim: 64,
  rope_theta: 6e5,
};

const QWEN3_30B: Json = {
  ...qwen(2048, 48, [32, 4], 6144),
  ...head128,
  num_experts: 128,
  num_experts_per_tok: 8,
  moe_intermediate_size: 768,
  norm_topk_prob: true,
  decoder_sparse_step: 1,
  mlp_only_layers: [],
};

const FULL = { layout: 'full' } as const;
const blocks = (blockLength: number) => ({ layout: 'blockCausal', blockLength }) as const;
const DREAM = { family: 'dream', ...FULL, logitShift: 'sequence', qkvBias: true, qkNorm: false } as const;

export const PUBLISHED: readonly Published[] = [
  {
    repository: 'GSAI-ML/LLaDA-8B-Instruct, LLaDA-1.5, dParallel-LLaDA, d3LLM_LLaDA',
    raw: LLADA,
    parameters: 8_015_581_184,
    facts: { ...FULL, qkNorm: false, headDim: 128 },
    mask: 126336,
  },
  {
    repository: 'GSAI-ML/iLLaDA-8B-Instruct',
    raw: {
      ...as('illada', 'ILLaDAForCausalLM'),
      ...qwen(4096, 32, [32, 8], 14336, 155136),
      ...tied,
      layer_norm_eps: null,
    },
    parameters: 7_615_025_152,
    facts: { ...FULL, tiedHead: true, qkNorm: false },
    mask: 5,
  },
  {
    repository: 'ByteDance-Seed/Stable-DiffCoder-8B-Instruct',
    raw: {
      ...as('llama', 'StableDiffcoderForCausalLM'),
      ...qwen(4096, 32, [32, 8], 14336, 155136),
      layer_norm_eps: null,
    },
    parameters: 8_250_462_208,
    facts: { ...blocks(4), family: 'stable-diffcoder' },
    mask: 5,
  },
  {
    repository: 'Dream-org/Dream-v0-Instruct-7B, Dream-Coder, apple/DiffuCoder-7B-cpGRPO, d3LLM_Dream',
    raw: {
      ...as('Dream', 'DreamModel'),
      ...qwen(3584, 28, [28, 4], 18944, 152064),
      mask_token_id: 151666,
      use_mrope: false,
    },
    parameters: 7_615_616_512,
    facts: DREAM,
    mask: 151666,
  },
  {
    repository: 'Dream-org/DreamReasoner-8B',
    raw: {
      ...as('Dream', 'DreamForCausalLM'),
      ...qwen(4096, 36, [32, 8], 12288),
      head_dim: null,
      block_size: 32,
    },
    parameters: 8_190_735_360,
    facts: { ...blocks(32), family: 'dream-reasoner' },
    mask: 151669,
  },
  {
    repository: 'Efficient-Large-Model/Fast_dLLM_v2_7B',
    raw: {
      ...as('Fast_dLLM_Qwen', 'Fast_dLLM_QwenForCausalLM'),
      ...qwen(3584, 28, [28, 4], 18944, 152064),
      bd_size: 32,
    },
    parameters: 7_615_616_512,
    facts: { ...blocks(32), logitShift: 'block', qkvBias: true },
    mask: 151665,
  },
  {
    repository: 'Efficient-Large-Model/Fast_dLLM_v2_1.5B',
    raw: {
      ...as('Fast_dLLM_Qwen', 'Fast_dLLM_QwenForCausalLM'),
      ...qwen(1536, 28, [12, 2], 8960),
      ...tied,
      bd_size: 32,
    },
    parameters: 1_543_714_304,
    facts: { ...blocks(32), tiedHead: true },
    mask: 151665,
  },
  {
    repository: 'dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-mdlm-v0.1',
    raw: { ...as('a2d-qwen2', 'A2DQwen2LMHeadModel'), ...qwen(896, 24, [14, 2], 4864), ...tied },
    overrides: { maskTokenId: 151665 },
    parameters: 494_032_768,
    facts: { ...FULL, qkvBias: true, headDim: 64 },
    mask: 151665,
  },
  {
    repository: 'fredzzp/open-dcoder-0.5B',
    raw: { ...as('qwen2', 'Qwen2ForCausalLM'), ...qwen(896, 24, [14, 2], 4864), ...tied },
    overrides: { family: 'open-dcoder', maskTokenId: 151665 },
    parameters: 494_032_768,
    facts: { ...FULL, family: 'open-dcoder', logitShift: 'sequence' },
    mask: 151665,
  },
  {
    repository: 'dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1',
    raw: { ...as('a2d-qwen3', 'A2DQwen3LMHeadModel'), ...qwen(1024, 28, [16, 8], 3072), ...head128, ...tied },
    overrides: { layout: 'blockCausal', maskTokenId: 151669 },
    parameters: 596_049_920,
    facts: { ...blocks(32), headDim: 128 },
    mask: 151669,
  },
  ...(
    [
      ['JetLM/SDAR-1.7B-Chat', qwen(2048, 28, [16, 8], 6144), 2_031_739_904],
      ['JetLM/SDAR-4B-Chat, Gen-Verse/TraDo-4B', qwen(2560, 36, [32, 8], 9728), 4_411_424_256],
      ['JetLM/SDAR-8B-Chat, Gen-Verse/TraDo-8B', qwen(4096, 36, [32, 8], 12288), 8_190_735_360],
    ] as const
  ).map(([repository, raw, parameters]): Published => ({
    repository,
    raw: { ...as('sdar', 'SDARForCausalLM'), ...raw, ...head128, mask_token_id: 151669 },
    parameters,
    facts: blocks(4),
    mask: 151669,
  })),
  {
    repository: 'JetLM/SDAR-30B-A3B-Chat',
    raw: { ...as('sdar_moe', 'SDARMoeForCausalLM'), ...QWEN3_30B, mask_token_id: 151669 },
    parameters: 30_532_122_624,
    facts: { ...blocks(4), family: 'sdar-moe' },
    mask: 151669,
  },
  {
    repository: 'radicalnumerics/RND1-Base-0910',
    raw: { ...as('rnd1', 'RND1LM'), ...QWEN3_30B, rope_scaling: false, sliding_window: false },
    parameters: 30_532_122_624,
    facts: { ...FULL, logitShift: 'sequence' },
    mask: 151669,
  },
  {
    repository: 'inclusionAI/LLaDA-MoE-7B-A1B-Instruct',
    raw: {
      ...as('llada', 'LLaDAMoEModelLM'),
      ...qwen(2048, 16, [16, 16], 0, 157184),
      intermediate_size: undefined,
      dense_intermediate_size: 8192,
      expert_intermediate_size: 1024,
      num_experts: 64,
      num_experts_per_tok: 8,
      qk_layernorm: true,
      partial_rotary_factor: 1,
      moe_layer_freq: Array.from({ length: 16 }, () => 1),
      norm_topk_prob: null,
      shared_expert_intermediate_size: null,
    },
    parameters: 7_356_880_896,
    facts: { ...FULL, family: 'llada-moe' },
    mask: 156895,
  },
  {
    repository: 'inclusionAI/LLaDA2.0-mini, LLaDA2.1-mini',
    raw: LLADA2,
    parameters: 16_255_643_392,
    facts: { ...blocks(32), family: 'llada2', rotaryDim: 64 },
    mask: 156895,
  },
  {
    repository: 'inclusionAI/LLaDA2.0-flash',
    raw: {
      ...LLADA2,
      hidden_size: 4096,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      intermediate_size: 9216,
      moe_intermediate_size: 1024,
    },
    parameters: 102_889_705_216,
    facts: { ...blocks(32), rotaryDim: 64 },
    mask: 156895,
  },
  {
    repository: 'nvidia/Nemotron-Labs-Diffusion-8B',
    raw: {
      ...as('nemotron_labs_diffusion', 'NemotronLabsDiffusionModel'),
      ...qwen(4096, 34, [32, 8], 14336, 131072),
      ...head128,
      rope_theta: undefined,
      max_position_embeddings: 262144,
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 1e6,
        factor: 16,
        original_max_position_embeddings: 16384,
        llama_4_scaling_beta: 0.1,
        mscale: 1,
        mscale_all_dim: 1,
      },
      mask_token_id: 100,
      block_size: 32,
    },
    parameters: 8_489_553_920,
    facts: {
      layout: 'causalContext',
      blockLength: 32,
      ropeTheta: 1e6,
      yarn: {
        factor: 16,
        originalLength: 16384,
        betaFast: 32,
        betaSlow: 1,
        attentionFactor: 1,
        queryBeta: 0.1,
      },
    },
    mask: 100,
  },
  {
    // Text alone, counted by the official code; its vision tower is not read.
    repository: 'google/diffusiongemma-26B-A4B-it',
    raw: {
      ...as('diffusion_gemma', 'DiffusionGemmaForBlockDiffusion'),
      canvas_length: 256,
      image_token_id: 258880,
      boi_token_id: 255999,
      eoi_token_id: 258882,
      dtype: 'bfloat16',
      ...tied,
      text_config: {
        model_type: 'diffusion_gemma_text',
        hidden_size: 2816,
        intermediate_size: 2112,
        num_hidden_layers: 30,
        num_attention_heads: 16,
        num_key_value_heads: 8,
        head_dim: 256,
        global_head_dim: 512,
        num_global_key_value_heads: 2,
        sliding_window: 1024,
        num_experts: 128,
        top_k_experts: 8,
        moe_intermediate_size: 704,
        hidden_activation: 'gelu_pytorch_tanh',
        final_logit_softcapping: 30,
        rms_norm_eps: 1e-6,
        vocab_size: 262144,
        max_position_embeddings: 262144,
        pad_token_id: 0,
        bos_token_id: 2,
        eos_token_id: 1,
        use_bidirectional_attention: 'vision',
        ...tied,
      },
    },
    parameters: 25_250_986_812,
    facts: {
      layout: 'causalContext',
      blockLength: 256,
      noise: 'uniform',
      ropeTheta: 1e4,
      mixture: {
        router: 'softmaxRenorm',
        experts: 128,
        perToken: 8,
        width: 704,
        groups: 1,
        groupsPerToken: 1,
        scale: 1,
        sharedWidth: 0,
        denseLayers: 0,
      },
      gemma: {
        window: 1024,
        fullLayers: [5, 11, 17, 23, 29],
        full: { headDim: 512, kvHeads: 2 },
        fullRope: { theta: 1e6, turning: 64 },
        embeddingScale: 53,
        softcap: 30,
        imageToken: 258880,
      },
    },
    mask: null,
  },
  {
    repository: 'kuleshov-group/mdlm-owt, mdlm-noeos-owt',
    raw: { ...as('mdlm', 'MDLM'), ...DIT },
    parameters: 169_627_218,
    facts: { layout: 'full', width: 768, ffnWidth: 3072, headDim: 64, dit: { conditionWidth: 128 } },
    mask: 50257,
  },
  ...(
    [
      ['louaaron/sedd-small', { hidden_size: 768, n_blocks: 12, n_heads: 12 }, 169_627_218],
      ['louaaron/sedd-medium', { hidden_size: 1024, n_blocks: 24, n_heads: 16 }, 424_477_010],
    ] as const
  ).map(([repository, dimensions, parameters]): Published => ({
    repository,
    raw: {
      tokens: 50257,
      graph: { type: 'absorb', file: 'data', report_all: false },
      noise: { type: 'loglinear', sigma_min: 1e-4, sigma_max: 20 },
      model: { type: 'ddit', cond_dim: 128, length: 1024, scale_by_sigma: true, dropout: 0.1, ...dimensions },
    },
    parameters,
    facts: { layout: 'full', modelType: 'sedd', dit: { conditionWidth: 128, isToldNoise: true } },
    mask: 50257,
  })),
  {
    repository: 'kuleshov-group/bd3lm-owt-block_size4, block_size8, block_size16',
    raw: {
      ...as('bd3lm', 'BD3LM'),
      ...DIT,
      block_size: 4,
      adaln: true,
      cross_attn: true,
      causal: false,
      attn_backend: 'flex',
      var_min: true,
    },
    parameters: 169_627_218,
    facts: { layout: 'blockCausal', blockLength: 4, dit: { conditionWidth: 128 } },
    mask: 50257,
  },
  {
    repository: 'tencent/WeDLM-8B-Instruct',
    raw: {
      ...as('wedlm', 'WeDLMForCausalLM'),
      ...qwen(4096, 36, [32, 8], 12288),
      ...head128,
      qk_norm: true,
      mask_token_id: 151666,
    },
    parameters: 8_190_735_360,
    facts: { layout: 'causal', reordersKnown: true },
    mask: 151666,
  },
  {
    repository: 'tencent/WeDLM-7B-Instruct',
    raw: {
      ...as('wedlm', 'WeDLMForCausalLM'),
      ...qwen(3584, 28, [28, 4], 18944, 152064),
      qk_norm: false,
      attention_bias: true,
      mask_token_id: 151666,
    },
    parameters: 7_615_616_512,
    facts: { layout: 'causal', reordersKnown: true, qkvBias: true, qkNorm: false },
    mask: 151666,
  },
];
