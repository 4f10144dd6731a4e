/**
 * The transformer, written once for training and inference: pre-norm RMSNorm, grouped-query attention with per-head
 * RMSNorm of queries and keys before rotary embedding, SwiGLU, no biases (the Qwen3 and SDAR block).
 * What differs between uses is injected: how weights are multiplied (`project`) and what attends to what (`attention`).
 */
import type { Value } from '../graph/graph.ts';
import { rmsNorm, rope, type RotaryTables } from '../graph/layers.ts';
import { add, mul, reshape, silu, transpose } from '../graph/ops.ts';
import type { Dim } from '../graph/shape.ts';
import type { Graph } from '../graph/graph.ts';
import type { ModelConfig } from './config.ts';

/** Multiplies x by each of the named weights: x Wᵀ. Inference fuses them into one product. */
export type Project = (x: Value, names: readonly string[]) => Value[];

/** Queries [B, K, G, T, d], keys and values [B, K, T, d] of one layer to its attention output [B, K, G, T, d]. */
export type Attention = (heads: { q: Value; k: Value; v: Value }, layer: number) => Value;

export interface TransformerParts {
  /** A vector parameter (norm weights) as a value of the graph. */
  vector: (name: string) => Value;
  project: Project;
  attention: Attention;
  rotary: RotaryTables;
}

/** Softmax temperature of attention. */
export const attentionScale = (config: ModelConfig): number => 1 / Math.sqrt(config.headDim);

/** [B, T, K·d] to [B, K, T, d]. */
function splitHeads(x: Value, heads: number): Value {
  const [B, T, width] = x.shape as [Dim, Dim, number];
  return transpose(reshape(x, [B, T, heads, width / heads]), [0, 2, 1, 3]);
}

/** Embedded tokens x [B, T, D] to normalised hidden states [B, T, D], ready for the head. */
export function transformer(config: ModelConfig, x: Value, parts: TransformerParts): Value {
  const { heads: H, kvHeads: K, headDim, normEps } = config;
  const { vector, project, attention, rotary } = parts;
  const G = H / K;
  const [B, T] = x.shape as [Dim, Dim];

  /** Normalises each head, then turns it by its position. */
  const place = (y: Value, heads: number, weight: string): Value => {
    const perHead = reshape(y, [B, T, heads, headDim]);
    return rope(reshape(rmsNorm(perHead, vector(weight), normEps), [B, T, heads * headDim]), rotary);
  };

  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    const a = rmsNorm(x, vector(`${at}.input_layernorm.weight`), normEps);
    const [q, k, v] = project(
      a,
      ['q_proj', 'k_proj', 'v_proj'].map((p) => `${at}.self_attn.${p}.weight`),
    ) as [Value, Value, Value];
    // Query head k·G + g reads key head k.
    const queries = reshape(place(q, H, `${at}.self_attn.q_norm.weight`), [B, T, K, G, headDim]);
    const out = attention(
      {
        q: transpose(queries, [0, 2, 3, 1, 4]),
        k: splitHeads(place(k, K, `${at}.self_attn.k_norm.weight`), K),
        v: splitHeads(v, K),
      },
      layer,
    );
    const merged = reshape(transpose(out, [0, 3, 1, 2, 4]), [B, T, H * headDim]);
    x = add(x, project(merged, [`${at}.self_attn.o_proj.weight`])[0]);

    const m = rmsNorm(x, vector(`${at}.post_attention_layernorm.weight`), normEps);
    const [gate, up] = project(m, [`${at}.mlp.gate_proj.weight`, `${at}.mlp.up_proj.weight`]) as [
      Value,
      Value,
    ];
    x = add(x, project(mul(silu(gate), up), [`${at}.mlp.down_proj.weight`])[0]);
  }
  return rmsNorm(x, vector('model.norm.weight'), normEps);
}

/** cos and sin of position · theta^(−2i/d), [positions, d/2] each; angles in f64, stored as f32. */
export function rotaryTables(
  graph: Graph,
  config: ModelConfig,
  positions: Value,
  length: number,
): RotaryTables {
  const half = config.headDim / 2;
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (let i = 0; i < half; i++) {
    // torch computes the frequencies in f32; rounding them likewise keeps far positions in step with it.
    const frequency = Math.fround(1 / Math.fround(config.ropeTheta ** ((2 * i) / config.headDim)));
    for (let p = 0; p < length; p++) {
      const angle = Math.fround(p * frequency);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return {
    cos: graph.constant('cos', cos, [length, half]),
    sin: graph.constant('sin', sin, [length, half]),
    positions,
  };
}
