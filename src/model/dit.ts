/**
 * The block of SEDD (2310.16834), MDLM (2406.07524) and BD3-LM (2503.09573): a diffusion transformer (2212.09748) with
 * LayerNorm, rotary positions and a plain GELU network. What it adds and how much of it counts follows from the noise
 * level by adaptive layer norms. MDLM and BD3-LM are trained at noise level 0 throughout (`time_conditioning: false`), so
 * the level enters as a constant, and the runtime computes whatever follows from it once, when a graph is loaded.
 *
 * SEDD is told the level σ of each run, and its logits are log scores: exp of them estimates p(x with token y here) /
 * p(x with the mask here), which at a perfect model sums over y to 1/(e^σ − 1). The score of the mask itself, 1, is not
 * in them: as in the other models the mask is hidden, so that a softmax is the distribution of the token.
 */
import { TintypeError } from '../errors.ts';
import type { Value } from '../graph/graph.ts';
import { gelu, layerNorm } from '../graph/layers.ts';
import { add, linear, mul, silu, split } from '../graph/ops.ts';
import { NOISE_FEATURES, type ModelConfig } from './config.ts';
import type { TransformerParts } from './transformer.ts';
import { HIDDEN } from './visibility.ts';

type Parts = Pick<TransformerParts, 'project' | 'vector' | 'attention' | 'keep' | 'noise'>;

/** Embedded tokens x [B, T, D] to normalised hidden states [B, T, D], ready for the head. */
export function dit(config: ModelConfig, x: Value, parts: Parts): Value {
  const { project, vector, attention, keep, noise } = parts;
  const { layers, width: D, normEps } = config;
  const times = (y: Value, module: string): Value =>
    add(linear(y, vector(`${module}.weight`)), vector(`${module}.bias`));
  let level = noiseLevel(config, noise ?? zeroNoise(config, x), times);
  /** What the noise level asks of a layer, [.., D] each. */
  const modulation = (module: string, count: number): Value[] => {
    if (!level) return [];
    const sizes = Array.from({ length: count }, () => D);
    return split(times(level, module), level.shape.length - 1, sizes);
  };
  const normed = (y: Value, weight: string, shift?: Value, scale?: Value): Value => {
    const plain = layerNorm(y, vector(weight), normEps);
    return shift && scale ? add(mul(plain, add(scale, x.graph.scalar(1))), shift) : plain;
  };
  const gated = (y: Value, gate?: Value): Value => (gate ? mul(y, gate) : y);

  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    let asked = modulation(`${at}.modulation`, 6);
    const mixed = attention(normed(x, `${at}.input_layernorm.weight`, asked[0], asked[1]), layer);
    if (keep && layer === layers - 1) {
      x = keep(x);
      if (noise && level) {
        level = keep(level);
        asked = asked.map(keep);
      }
    }
    const [, , gateA, shiftF, scaleF, gateF] = asked;
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

/** The embedding of a noise level, [.., conditionWidth]; null where layers do not ask for it. */
function noiseLevel(
  { dit: facts }: ModelConfig,
  features: Value,
  times: (y: Value, module: string) => Value,
): Value | null {
  if (!facts || facts.conditionWidth === 0) return null;
  return silu(times(silu(times(features, 'model.noise.first')), 'model.noise.second'));
}

/** [1, NOISE_FEATURES]. Errors: `unsupported` for a model that has to be told the level. */
function zeroNoise({ dit: facts }: ModelConfig, { graph }: Value): Value {
  if (facts?.isToldNoise) {
    throw new TintypeError('unsupported', {
      what: 'this graph has no input for a noise level, and the model has to be told one',
      got: 'a SEDD model, to be trained or scored',
      next: 'decode with it (complete, serve), or take an MDLM model',
    });
  }
  return graph.constant('noiseFeatures', noiseFeatures(0), [1, NOISE_FEATURES]);
}

/** Cosines and sines of σ · frequency. [NOISE_FEATURES] */
export function noiseFeatures(noise: number): Float32Array {
  const half = NOISE_FEATURES / 2;
  const angle = (i: number): number => noise * Math.exp((-Math.log(10_000) * i) / half);
  return Float32Array.from({ length: NOISE_FEATURES }, (_, i) =>
    i < half ? Math.cos(angle(i)) : Math.sin(angle(i - half)),
  );
}

/** What log scores have beside the head's output: −ln(e^σ − 1) − ln(V − 1) (`scale_by_sigma`). */
export const scoreOffset = (noise: number, { vocabSize }: ModelConfig): number =>
  -Math.log(Math.expm1(noise)) - Math.log(vocabSize - 1);

/** σ of SEDD's schedule where a share of the tokens is masked; 0 to 1. */
export const noiseOf = (share: number): number => -Math.log1p(-(1 - 1e-3) * share);

/** The same for `masks` of `length` tokens; of no mask at all, that of half a one, since there is no score at 0. */
export const noiseOfMasks = (masks: number, length: number): number => noiseOf(Math.max(masks, 0.5) / length);
