/**
 * The block of DiffusionGemma: Gemma 4's, in which every part stands between two norms and a dense network and a mixture
 * work side by side (transformers, modeling_diffusion_gemma.py).
 *
 * The same weights encode the context, causally, and denoise the canvas, whose rows see the context and each other. Two
 * things tell a canvas row from one of the context: a factor after each layer, and self-conditioning (2208.04202): to its
 * embedding comes what the forward before expected there, the mean embedding under its distribution, through a network.
 */
import type { Value } from '../graph/graph.ts';
import { topK } from '../graph/experts.ts';
import { gelu, rmsNorm, softmax } from '../graph/layers.ts';
import { add, concat, matmul, mul, reshape, split, sub } from '../graph/ops.ts';
import { product } from '../graph/shape.ts';
import type { ModelConfig } from './config.ts';
import { headsOf } from './heads.ts';
import { gated, mix, type Routed, shares } from './mixture.ts';
import type { TransformerParts } from './transformer.ts';

type Parts = Pick<TransformerParts, 'project' | 'vector' | 'attention' | 'keep' | 'canvas'>;

/** Embedded tokens x [B, T, D] to normalised hidden states [B, T, D], ready for the head. */
export function gemma(config: ModelConfig, x: Value, parts: Parts): Value {
  const { layers, normEps, width } = config;
  const { project, vector, attention, keep } = parts;
  const norm = (y: Value, module: string): Value => rmsNorm(y, vector(`${module}.weight`), normEps);
  let isCanvas = parts.canvas!.rows;
  /** One of two values for each row, [.., 1]; exact, since one of the factors is 0. */
  const choose = (canvas: Value, context: Value): Value =>
    add(mul(canvas, isCanvas), mul(context, sub(x.graph.scalar(1), isCanvas)));

  x = embedded(config, x);
  const signal = gated(
    norm(parts.canvas!.expected, 'model.self_conditioning.pre_norm'),
    'model.self_conditioning',
    parts,
    gelu,
  );
  x = choose(unscaledNorm(add(x, signal), normEps), x);

  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    const seen = attention(norm(x, `${at}.input_layernorm`), layer);
    if (keep && layer === layers - 1) [x, isCanvas] = [keep(x), keep(isCanvas)];
    const [mixed] = project(seen, [`${at}.self_attn.o_proj.weight`]) as [Value];
    x = add(x, norm(mixed, `${at}.post_attention_layernorm`));

    const dense = gated(norm(x, `${at}.pre_feedforward_layernorm`), `${at}.mlp`, parts, gelu);
    const rows = reshape(x, [product(x.shape.slice(0, -1)), width]);
    const input = norm(rows, `${at}.pre_feedforward_layernorm_2`);
    const sparse = mix(config.mixture!, input, route(config, rows, at, parts), `${at}.mlp`, parts, gelu);
    const both = add(
      norm(dense, `${at}.post_feedforward_layernorm_1`),
      norm(reshape(sparse, x.shape), `${at}.post_feedforward_layernorm_2`),
    );
    x = add(x, norm(both, `${at}.post_feedforward_layernorm`));
    x = mul(x, choose(vector(`${at}.canvas_scalar`), vector(`${at}.context_scalar`)));
  }
  return norm(x, 'model.norm');
}

/** Experts of each row by what stands in the residual stream, whatever they get to see of it. x [N, D] */
function route(
  { mixture, normEps, width }: ModelConfig,
  x: Value,
  at: string,
  { project, vector }: Parts,
): Routed {
  const scaled = mul(rmsNorm(x, vector(`${at}.mlp.gate.scale`), normEps), x.graph.scalar(width ** -0.5));
  const probabilities = softmax(project(scaled, [`${at}.mlp.gate.weight`])[0]); // [N, E]
  const { values, indices } = topK(probabilities, mixture!.perToken);
  const scales = x.graph.op({
    op: 'Gather',
    inputs: [vector(`${at}.mlp.gate.expert_scale`), indices],
    shape: indices.shape,
  });
  return { picked: indices, weights: mul(shares(values, 0), scales) };
}

/** x / rms(x) over the last axis. */
export function unscaledNorm(x: Value, epsilon: number): Value {
  const length = x.shape.at(-1) as number;
  return rmsNorm(x, x.graph.constant(`ones${length}`, new Float32Array(length).fill(1), [length]), epsilon);
}

const embedded = ({ gemma: facts }: ModelConfig, x: Value): Value =>
  mul(x, x.graph.scalar(facts!.embeddingScale));

/** The mean embedding under softmax(logits). [M, V] and the embedding [V, D] to [M, D] */
export const expectedEmbedding = (config: ModelConfig, logits: Value, embedding: Value): Value =>
  embedded(config, matmul(softmax(logits), embedding));

/** softcap · tanh(logits / softcap) */
export function softcapped({ gemma: facts }: ModelConfig, logits: Value): Value {
  const g = logits.graph;
  const { softcap } = facts!;
  const bent = g.op({ op: 'Tanh', inputs: [mul(logits, g.scalar(1 / softcap))], shape: logits.shape });
  return mul(bent, g.scalar(softcap));
}

/**
 * Products of q and k, or of q, k and v, side by side, to the same with values of their own, normalised; those of q and k
 * are left as they are. [1, N, ..] to [1, N, (H + 2K)·d]
 */
export function withValues(config: ModelConfig, products: Value, layer: number): Value {
  const { heads: H, normEps } = config;
  const { kvHeads: K, headDim: d, valuesAreKeys } = headsOf(config, layer);
  const sizes = valuesAreKeys ? [H * d, K * d] : [H * d, K * d, K * d];
  const parts = split(products, 2, sizes);
  const N = products.shape[1];
  const plain = parts.at(-1)!;
  const normed = reshape(unscaledNorm(reshape(plain, [N, K, d]), normEps), plain.shape);
  return concat([parts[0], parts[1], normed], 2);
}
