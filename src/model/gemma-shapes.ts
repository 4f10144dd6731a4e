/** Facts and parameters of DiffusionGemma's block (CHECKPOINTS.md 2.11; transformers, modeling_diffusion_gemma.py). */
import type { ModelConfig, ParameterShape } from './config.ts';
import { headsOf } from './heads.ts';

/**
 * Gemma 4's block, with weights of its own for what is encoded (causal rows) and for the canvas (the block of an `anchored`
 * run). `kvHeads`, `headDim` and `ropeTheta` of the config are those of the layers with a window.
 */
export interface Gemma {
  /** Positions that a row of the other layers sees, its own included. */
  window: number;
  /** Layers without a window, ascending. */
  fullLayers: readonly number[];
  /** Heads of full layers. */
  full: { kvHeads: number; headDim: number };
  /** Their rotation: the first `turning` of headDim/2 pairs turn, by theta^(−2i/headDim). */
  fullRope: { theta: number; turning: number };
  /** Factor of embeddings: √width as the dtype of the weights has it. */
  embeddingScale: number;
  /** Logits z become softcap · tanh(z / softcap). */
  softcap: number;
  /** Stands for an image in a prompt; null: there are none. */
  imageToken: number | null;
}

/** Every parameter under Qwen3's names, where it has one (`names.ts` has the published ones). */
export function gemmaShapes(config: ModelConfig): ParameterShape[] {
  const { width: D, heads: H, ffnWidth: F, vocabSize: V, layers, mixture } = config;
  const vector = (name: string, length = D): ParameterShape => ({ name, shape: [length] });
  const matrix = (name: string, rows: number, columns: number): ParameterShape => ({
    name: `${name}.weight`,
    shape: [rows, columns],
  });
  const gated = (at: string, inner: number): ParameterShape[] => [
    matrix(`${at}.gate_proj`, inner, D),
    matrix(`${at}.up_proj`, inner, D),
    matrix(`${at}.down_proj`, D, inner),
  ];
  const { experts: E, width: I } = mixture!;
  const layer = (index: number): ParameterShape[] => {
    const at = `model.layers.${index}`;
    const { kvHeads: K, headDim: d, valuesAreKeys } = headsOf(config, index);
    return [
      vector(`${at}.input_layernorm.weight`),
      matrix(`${at}.self_attn.q_proj`, H * d, D),
      matrix(`${at}.self_attn.k_proj`, K * d, D),
      ...(valuesAreKeys ? [] : [matrix(`${at}.self_attn.v_proj`, K * d, D)]),
      vector(`${at}.self_attn.q_norm.weight`, d),
      vector(`${at}.self_attn.k_norm.weight`, d),
      matrix(`${at}.self_attn.o_proj`, D, H * d),
      vector(`${at}.post_attention_layernorm.weight`),
      vector(`${at}.pre_feedforward_layernorm.weight`),
      ...gated(`${at}.mlp`, F),
      vector(`${at}.post_feedforward_layernorm_1.weight`),
      vector(`${at}.pre_feedforward_layernorm_2.weight`),
      matrix(`${at}.mlp.gate`, E, D),
      vector(`${at}.mlp.gate.scale`),
      vector(`${at}.mlp.gate.expert_scale`, E),
      ...Array.from({ length: E }, (_, expert) => gated(`${at}.mlp.experts.${expert}`, I)).flat(),
      vector(`${at}.post_feedforward_layernorm_2.weight`),
      vector(`${at}.post_feedforward_layernorm.weight`),
      vector(`${at}.canvas_scalar`, 1),
      vector(`${at}.context_scalar`, 1),
    ];
  };
  return [
    matrix('model.embed_tokens', V, D),
    vector('model.self_conditioning.pre_norm.weight'),
    ...gated('model.self_conditioning', F),
    ...Array.from({ length: layers }, (_, index) => layer(index)).flat(),
    vector('model.norm.weight'),
  ];
}
