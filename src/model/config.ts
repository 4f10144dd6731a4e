/**
 * What a model is, as data. Everything that loads, trains, decodes or prints a model reads this one type;
 * `hf.ts` translates the dialects of `config.json` into it and back.
 */

import { type Gemma, gemmaShapes } from './gemma-shapes.ts';

/**
 * Who sees whom (ARCHITECTURE.md 4):
 * `causal` each position its past; `blockCausal` past blocks and its own block both ways;
 * `causalContext` a causal context plus the active block both ways; `full` everything.
 */
export type Layout = 'causal' | 'blockCausal' | 'causalContext' | 'full';

export const LAYOUTS: readonly Layout[] = ['causal', 'blockCausal', 'causalContext', 'full'];

/** Which position a logit speaks of: its own, or the one after it, counted over the sequence or inside each block. */
export type LogitShift = 'none' | 'sequence' | 'block';

/** Optional facts are those of the native block (Qwen3's) where they are absent. */
export interface ModelConfig {
  /** `model_type` of config.json: `tintype`, `qwen3`, `sdar`, … */
  modelType: string;
  /** Row of `families.ts`, where it is not named like the model type. See `familyName`. */
  family?: string;
  layout: Layout;
  /** D: width of the residual stream. */
  width: number;
  /** L. */
  layers: number;
  /** H: query heads. */
  heads: number;
  /** K: key and value heads; divides `heads`. */
  kvHeads: number;
  headDim: number;
  /** Width inside SwiGLU, of the layers that have no mixture. */
  ffnWidth: number;
  /** Default: none, every layer has one SwiGLU. */
  mixture?: Mixture;
  /** Another block: see `dit.ts`. Its feed-forward part is one GELU network with biases. Default: none. */
  dit?: Dit;
  /** Another block: see `gemma.ts`. Default: none. */
  gemma?: Gemma;
  /** V: rows of the embedding. */
  vocabSize: number;
  /** The head is the embedding, transposed. */
  tiedHead: boolean;
  normEps: number;
  ropeTheta: number;
  /** How the frequencies were stretched for a longer context. Default: not. */
  yarn?: Yarn;
  /** First components of a head that turn with the position; the others pass. Even. Default: all. */
  rotaryDim?: number;
  /** The products of q, k and v add a bias. Default: no. */
  qkvBias?: boolean;
  /** RMSNorm of each head's queries and keys before they turn. Default: yes. */
  qkNorm?: boolean;
  /**
   * Default `none`. `sequence`: the logits for position p are those of row p − 1, for the first those of row 0.
   * `block`: the same inside each block.
   */
  logitShift?: LogitShift;
  /**
   * In a run the known tokens stand before the masks, each with its own position, so that causal masks see all of them
   * (WeDLM, 2512.22737). Default: no.
   */
  reordersKnown?: boolean;
  /**
   * What stands where nothing is decided: the mask token, or any token of the vocabulary, each as likely, drawn anew
   * for each forward. Default: mask.
   */
  noise?: 'mask' | 'uniform';
  /** Positions it was trained for. */
  contextLength: number;
  /** Positions denoised together; 1 for `causal`, `contextLength` for `full`. */
  blockLength: number;
  tokens: SpecialTokens;
}

/** Many small SwiGLUs, of which each token takes a few. */
export interface Mixture {
  /** E. */
  experts: number;
  /** k: how many a token takes. */
  perToken: number;
  /** Width inside each. */
  width: number;
  /**
   * How the k are weighted: by their share among all, by their share among the k, or by the sigmoids' share among the k,
   * those picked with a bias and from the best groups only.
   */
  router: 'softmax' | 'softmaxRenorm' | 'sigmoidGroups';
  /** Equal groups of experts, and from how many of them a token takes. */
  groups: number;
  groupsPerToken: number;
  /** Factor of the weights. */
  scale: number;
  /** Width inside the SwiGLU that every token takes besides; 0: there is none. */
  sharedWidth: number;
  /** The first so many layers have an ordinary SwiGLU instead. */
  denseLayers: number;
}

/** The diffusion transformer of SEDD, MDLM and BD3-LM. */
export interface Dit {
  /** Width of the noise level's embedding, from which layer norms take their scales; 0: they are plain. */
  conditionWidth: number;
  /** A run is told its noise level, and the logits are log scores (SEDD). Default: the level is 0, always. */
  isToldNoise?: boolean;
}

/** Cosines and sines that stand for a noise level. */
export const NOISE_FEATURES = 256;

/**
 * YaRN (2309.00071): frequencies that turn seldom within the original context are divided by `factor`, those that turn
 * often stay, those between are mixed. Queries may be scaled up by 1 + queryBeta · ln(1 + ⌊position / original⌋) (Llama 4).
 */
export interface Yarn {
  factor: number;
  /** Positions of the original training. */
  originalLength: number;
  /** Turns within the original context, above which a frequency stays, and below which it is divided. */
  betaFast: number;
  betaSlow: number;
  /** Factor of cosines and sines. */
  attentionFactor: number;
  /** 0: queries are not scaled. */
  queryBeta: number;
}

export interface SpecialTokens {
  /** `null` for autoregressive models and those with uniform noise, which have none. */
  mask: number | null;
  /** Any of them ends the text. */
  eos: number[];
  pad: number | null;
  bos: number | null;
}

/** The row of `families.ts` that a model was read as. */
export const familyName = ({ family, modelType }: ModelConfig): string => family ?? modelType;

/** Whether the feed-forward part of a layer is a mixture. */
export const isMixtureLayer = ({ mixture }: ModelConfig, layer: number): boolean =>
  mixture !== undefined && layer >= mixture.denseLayers;

export const hasQkNorm = ({ qkNorm = true }: ModelConfig): boolean => qkNorm;

/** A parameter under Qwen3's name for it, whatever its family calls it (`names.ts`): [rows, columns] or [columns]. */
export interface ParameterShape {
  name: string;
  shape: readonly number[];
}

/**
 * Every parameter of the transformer, in the order of the flat buffer that training uses. Neighbours that
 * are multiplied together (q k v; gate up) stand next to each other, so that one view covers the fused product.
 */
export function parameterShapes(config: ModelConfig): ParameterShape[] {
  if (config.gemma) return gemmaShapes(config);
  const { width: D, heads: H, kvHeads: K, headDim, vocabSize: V } = config;
  const shapes: ParameterShape[] = [{ name: 'model.embed_tokens.weight', shape: [V, D] }];
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    shapes.push(
      { name: `${at}.input_layernorm.weight`, shape: [D] },
      { name: `${at}.self_attn.q_proj.weight`, shape: [H * headDim, D] },
      { name: `${at}.self_attn.k_proj.weight`, shape: [K * headDim, D] },
      { name: `${at}.self_attn.v_proj.weight`, shape: [K * headDim, D] },
      ...(config.qkvBias
        ? [
            { name: `${at}.self_attn.q_proj.bias`, shape: [H * headDim] },
            { name: `${at}.self_attn.k_proj.bias`, shape: [K * headDim] },
            { name: `${at}.self_attn.v_proj.bias`, shape: [K * headDim] },
          ]
        : []),
      ...(hasQkNorm(config)
        ? [
            { name: `${at}.self_attn.q_norm.weight`, shape: [headDim] },
            { name: `${at}.self_attn.k_norm.weight`, shape: [headDim] },
          ]
        : []),
      { name: `${at}.self_attn.o_proj.weight`, shape: [D, H * headDim] },
      { name: `${at}.post_attention_layernorm.weight`, shape: [D] },
      ...feedForwardShapes(config, layer),
      ...modulationShapes(config, `${at}.modulation`, 6),
    );
  }
  shapes.push({ name: 'model.norm.weight', shape: [D] }, ...modulationShapes(config, 'model.modulation', 2));
  const conditionWidth = config.dit?.conditionWidth ?? 0;
  if (conditionWidth > 0) {
    shapes.push(
      ...affine('model.noise.first', conditionWidth, NOISE_FEATURES),
      ...affine('model.noise.second', conditionWidth, conditionWidth),
    );
  }
  if (!config.tiedHead) shapes.push({ name: 'lm_head.weight', shape: [V, D] });
  if (config.dit) shapes.push({ name: 'lm_head.bias', shape: [V] });
  return shapes;
}

const affine = (module: string, rows: number, columns: number): ParameterShape[] => [
  { name: `${module}.weight`, shape: [rows, columns] },
  { name: `${module}.bias`, shape: [rows] },
];

/** `count` vectors of the model's width that the noise level asks for. */
function modulationShapes({ dit, width }: ModelConfig, module: string, count: number): ParameterShape[] {
  return dit && dit.conditionWidth > 0 ? affine(module, count * width, dit.conditionWidth) : [];
}

function feedForwardShapes(config: ModelConfig, layer: number): ParameterShape[] {
  const { width: D, ffnWidth, mixture } = config;
  const at = `model.layers.${layer}.mlp`;
  if (config.dit) return [...affine(`${at}.up_proj`, ffnWidth, D), ...affine(`${at}.down_proj`, D, ffnWidth)];
  const gated = (path: string, F: number): ParameterShape[] => [
    { name: `${path}.gate_proj.weight`, shape: [F, D] },
    { name: `${path}.up_proj.weight`, shape: [F, D] },
    { name: `${path}.down_proj.weight`, shape: [D, F] },
  ];
  if (!mixture || !isMixtureLayer(config, layer)) return gated(at, ffnWidth);
  const { experts: E, width: I, router, sharedWidth } = mixture;
  return [
    { name: `${at}.gate.weight`, shape: [E, D] },
    ...(router === 'sigmoidGroups' ? [{ name: `${at}.gate.expert_bias`, shape: [E] }] : []),
    ...Array.from({ length: E }, (_, expert) => gated(`${at}.experts.${expert}`, I)).flat(),
    ...(sharedWidth > 0 ? gated(`${at}.shared_experts`, sharedWidth) : []),
  ];
}

export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Number of trainable scalars. */
export function parameterCount(config: ModelConfig): number {
  return parameterShapes(config).reduce((sum, p) => sum + elementCount(p.shape), 0);
}

/** Of these, how many one token goes through: a mixture is many experts of which it takes a few. */
export function activeParameterCount(config: ModelConfig): number {
  const { mixture, layers, width } = config;
  if (!mixture) return parameterCount(config);
  const idle = (mixture.experts - mixture.perToken) * 3 * mixture.width * width;
  return parameterCount(config) - (layers - mixture.denseLayers) * idle;
}
