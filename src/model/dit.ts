/**
 * The block of MDLM (2406.07524) and BD3-LM (2503.09573): a diffusion transformer (2212.09748) with LayerNorm, rotary
 * positions and a plain GELU network. What it adds and how much of it counts follows from the noise level by adaptive
 * layer norms. These models are trained at noise level 0 throughout (`time_conditioning: false`), so a level enters as a
 * constant, and the runtime computes whatever follows from it once, when a graph is loaded.
 */
import type { Value } from '../graph/graph.ts';
import { gelu, layerNorm } from '../graph/layers.ts';
import { add, linear, mul, silu, split } from '../graph/ops.ts';
import { NOISE_FEATURES, type ModelConfig } from './config.ts';
import type { TransformerParts } from './transformer.ts';
import { HIDDEN } from './visibility.ts';

type Parts = Pick<TransformerParts, 'project' | 'vector' | 'attention' | 'keep'>;

/** Embedded tokens x [B, T, D] to normalised hidden states [B, T, D], ready for the head. */
export function dit(config: ModelConfig, x: Value, { project, vector, attention, keep }: Parts): Value {
  const { layers, width: D, normEps } = config;
  const times = (y: Value, module: string): Value =>
    add(linear(y, vector(`${module}.weight`)), vector(`${module}.bias`));
  const level = noiseLevel(config, x, times);
  /** What the noise level asks of a layer, [1, D] each. */
  const modulation = (module: string, count: number): Value[] =>
    level
      ? split(
          times(level, module),
          1,
          Array.from({ length: count }, () => D),
        )
      : [];
  const normed = (y: Value, weight: string, shift?: Value, scale?: Value): Value => {
    const plain = layerNorm(y, vector(weight), normEps);
    return shift && scale ? add(mul(plain, add(scale, x.graph.scalar(1))), shift) : plain;
  };
  const gated = (y: Value, gate?: Value): Value => (gate ? mul(y, gate) : y);

  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    const [shiftA, scaleA, gateA, shiftF, scaleF, gateF] = modulation(`${at}.modulation`, 6);
    const mixed = attention(normed(x, `${at}.input_layernorm.weight`, shiftA, scaleA), layer);
    if (keep && layer === layers - 1) x = keep(x);
    x = add(x, gated(project(mixed, [`${at}.self_attn.o_proj.weight`])[0], gateA));

    const input = normed(x, `${at}.post_attention_layernorm.weight`, shiftF, scaleF);
    const product = (y: Value, name: string): Value =>
      add(project(y, [`${at}.mlp.${name}.weight`])[0], vector(`${at}.mlp.${name}.bias`));
    x = add(x, gated(product(gelu(product(input, 'up_proj')), 'down_proj'), gateF));
  }
  const [shift, scale] = modulation('model.modulation', 2);
  return normed(x, 'model.norm.weight', shift, scale);
}

/**
 * The head's bias [V], in which the mask has no probability: what its row of the head came to be in training means nothing
 * (SUBS, 2406.07524, section 3.2.3).
 */
export function headBias({ vocabSize, tokens }: ModelConfig, bias: Value): Value {
  if (tokens.mask === null) return bias;
  const never = new Float32Array(vocabSize);
  never[tokens.mask] = HIDDEN;
  return add(bias, bias.graph.constant('neverMask', never, [vocabSize]));
}

/** The embedding of noise level 0, [1, conditionWidth]; null where layers do not ask for it. */
function noiseLevel(
  { dit: facts }: ModelConfig,
  { graph }: Value,
  times: (y: Value, module: string) => Value,
): Value | null {
  if (!facts || facts.conditionWidth === 0) return null;
  // Cosines and sines of level · frequency: of 0 the former are 1.
  const features = new Float32Array(NOISE_FEATURES).fill(1, 0, NOISE_FEATURES / 2);
  const level = graph.constant('noiseFeatures', features, [1, NOISE_FEATURES]);
  return silu(times(silu(times(level, 'model.noise.first')), 'model.noise.second'));
}
