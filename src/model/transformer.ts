/**
 * The transformer, written once for training and inference: pre-norm RMSNorm, grouped-query attention with rotary
 * embedding, SwiGLU or a mixture (`mixture.ts`); or another block (`dit.ts`, `gemma.ts`). What families differ in (per-head norms, biases, how much of a head turns) is data of the config.
 * What differs between uses is injected: how weights are multiplied (`project`), how the residual stream is summed and
 * normalised (`addNorm`), and what attends to what (`attention`; `headwise` is the differentiable one).
 */
import type { Value } from '../graph/graph.ts';
import { rmsNorm, rope, type RotaryTables } from '../graph/layers.ts';
import { add, mul, reshape, transpose } from '../graph/ops.ts';
import type { Dim } from '../graph/shape.ts';
import { hasQkNorm, type ModelConfig } from './config.ts';
import { dit } from './dit.ts';
import { gemma } from './gemma.ts';
import { feedForward } from './mixture.ts';
import { queryScale } from './rotary.ts';

/**
 * Multiplies x by each of the named weights: x Wᵀ. `join` leaves the results side by side, as one value, which inference
 * computes as one product.
 */
export type Project = (x: Value, names: readonly string[], options?: { join?: boolean }) => Value[];

/** Normalised input [.., D] of a layer to its attention output before the last product, [.., H·d]. */
export type Attention = (x: Value, layer: number) => Value;

export interface TransformerParts {
  project: Project;
  /** A parameter as it is. */
  vector: (name: string) => Value;
  /** The sum of the residual stream and what a layer adds to it (null at the start), and that sum normalised. */
  addNorm: (x: Value, delta: Value | null, weight: string) => { sum: Value; normed: Value };
  attention: Attention;
  /** Which rows of the residual stream are still wanted in the last layer, once every row has left its keys. */
  keep?: (x: Value) => Value;
  /** What stands for the noise level of each row, of models that are told it. [.., NOISE_FEATURES] */
  noise?: Value | null;
  /**
   * Gemma's block: 1 for rows of the canvas and 0 for those of the context, [B, T, 1], and what the forward before
   * expected at each row, 0 where nothing, [B, T, D].
   */
  canvas?: { rows: Value; expected: Value };
}

/** Softmax temperature of attention. */
export const attentionScale = ({ gemma: isNormed, headDim }: ModelConfig): number =>
  isNormed ? 1 : 1 / Math.sqrt(headDim);

export const projections = (layer: number, names: readonly string[]): string[] =>
  names.map((name) => `model.layers.${layer}.${name}.weight`);

export const QKV = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const;

/** The biases of the same products. */
export const qkvBiases = (layer: number): string[] => QKV.map((name) => `model.layers.${layer}.${name}.bias`);

/** Embedded tokens x [B, T, D] to normalised hidden states [B, T, D], ready for the head. */
export function transformer(config: ModelConfig, x: Value, parts: TransformerParts): Value {
  if (config.dit) return dit(config, x, parts);
  if (config.gemma) return gemma(config, x, parts);
  const { project, addNorm, attention, keep } = parts;
  let delta: Value | null = null;
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    const before = addNorm(x, delta, `${at}.input_layernorm.weight`);
    const out = attention(before.normed, layer);
    x = keep && layer === config.layers - 1 ? keep(before.sum) : before.sum;

    const [mixed] = project(out, projections(layer, ['self_attn.o_proj'])) as [Value];
    const after = addNorm(x, mixed, `${at}.post_attention_layernorm.weight`);
    x = after.sum;
    delta = feedForward(config, after.normed, layer, parts);
  }
  return addNorm(x, delta, 'model.norm.weight').normed;
}

/** The differentiable form of `addNorm`. */
export const plainAddNorm =
  (vector: (name: string) => Value, { normEps }: ModelConfig): TransformerParts['addNorm'] =>
  (x, delta, weight) => {
    const sum = delta ? add(x, delta) : x;
    return { sum, normed: rmsNorm(sum, vector(weight), normEps) };
  };

/** [B, T, K·d] to [B, K, T, d]. */
function splitHeads(x: Value, heads: number): Value {
  const [B, T, width] = x.shape as [Dim, Dim, number];
  return transpose(reshape(x, [B, T, heads, width / heads]), [0, 2, 1, 3]);
}

/**
 * Attention with a head axis, for training.
 * @param mix queries [B, K, G, T, d], keys and values [B, K, T, d] of one layer to [B, K, G, T, d]
 */
export function headwise(
  config: ModelConfig,
  { vector, project, rotary }: { vector: (name: string) => Value; project: Project; rotary: RotaryTables },
  mix: (heads: { q: Value; k: Value; v: Value }) => Value,
): Attention {
  const { heads: H, kvHeads: K, headDim, normEps } = config;
  const G = H / K;
  const scale = queryScale(config, rotary);
  return (x, layer) => {
    const [B, T] = x.shape as [Dim, Dim];
    /** Normalises each head, then turns it by its position. */
    const place = (y: Value, heads: number, name: string): Value => {
      if (!hasQkNorm(config)) return rope(y, rotary, heads);
      const perHead = reshape(y, [B, T, heads, headDim]);
      const [weight] = projections(layer, [name]) as [string];
      return rope(reshape(rmsNorm(perHead, vector(weight), normEps), [B, T, heads * headDim]), rotary, heads);
    };
    const plain = project(x, projections(layer, QKV));
    const biases = config.qkvBias ? qkvBiases(layer) : [];
    const [q, k, v] = plain.map((y, i) => (biases[i] ? add(y, vector(biases[i])) : y)) as [
      Value,
      Value,
      Value,
    ];
    // Query head k·G + g reads key head k.
    const placed = place(q, H, 'self_attn.q_norm');
    const queries = reshape(scale ? mul(placed, scale) : placed, [B, T, K, G, headDim]);
    const out = mix({
      q: transpose(queries, [0, 2, 3, 1, 4]),
      k: splitHeads(place(k, K, 'self_attn.k_norm'), K),
      v: splitHeads(v, K),
    });
    return reshape(transpose(out, [0, 3, 1, 2, 4]), [B, T, H * headDim]);
  };
}
