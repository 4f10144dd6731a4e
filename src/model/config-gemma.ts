/**
 * What config.json says of Gemma's block. Files of transformers before 5.18 give the heads of full layers as `global_head_dim`
 * and `num_global_key_value_heads`, later ones as `per_layer_config`.
 */
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import { integerOf, wrongKey } from './config-block.ts';
import { isJson, type Json } from './family.ts';
import type { Gemma } from './gemma-shapes.ts';

const FULL = 'full_attention';
const SLIDING = 'sliding_attention';
/** Where no layer_types say otherwise, each layer of so many is full. */
const PATTERN = 6;

/** The block's facts, and the theta of layers with a window. Errors: `bad_config`, `unsupported`. */
export function gemmaOf(raw: Json, where: string): Pick<ModelConfig, 'ropeTheta'> & { gemma: Gemma } {
  const layers = integerOf(raw, 'num_hidden_layers', where);
  const fullLayers = fullLayersOf(raw, layers, where);
  const full = fullHeads(raw, fullLayers, where);
  const ropes = raw['rope_parameters'] ?? null;
  const rope = (kind: string, type: string, theta: number, share: number) => {
    const given = ropes === null ? {} : isJson(ropes) ? ropes[kind] : undefined;
    if (!isJson(given))
      throw wrongKey(where, 'rope_parameters', ropes, `an object with ${SLIDING} and ${FULL}`);
    const stated = given['rope_type'] ?? type;
    const factor = given['factor'] ?? 1;
    if (stated !== type || factor !== 1) {
      throw new TintypeError('unsupported', {
        what: `${where} uses a feature that is not there yet: rope_parameters`,
        got: JSON.stringify(given),
        wanted: `${type} rotation in ${kind}`,
        next: 'convert the checkpoint, or use another one',
      });
    }
    return {
      theta: numberOf(given['rope_theta'] ?? theta, 'rope_theta', where),
      share: numberOf(given['partial_rotary_factor'] ?? share, 'partial_rotary_factor', where),
    };
  };
  const sliding = rope(SLIDING, 'default', 1e4, 1);
  if (sliding.share !== 1) throw wrongKey(where, `${SLIDING}.partial_rotary_factor`, sliding.share, '1');
  const proportional = rope(FULL, 'proportional', 1e6, 0.25);
  const turning = Math.floor((proportional.share * full.headDim) / 2);
  if (turning > full.headDim / 2)
    throw wrongKey(where, `${FULL}.partial_rotary_factor`, proportional.share, 'at most 1');
  const image = raw['image_token_id'] ?? null;
  return {
    ropeTheta: sliding.theta,
    gemma: {
      window: integerOf(raw, 'sliding_window', where),
      fullLayers,
      full,
      fullRope: { theta: proportional.theta, turning },
      embeddingScale: embeddingScale(
        integerOf(raw, 'hidden_size', where),
        raw['dtype'] ?? raw['torch_dtype'],
      ),
      softcap: numberOf(raw['final_logit_softcapping'] ?? 30, 'final_logit_softcapping', where),
      imageToken: image === null ? null : integerOf(raw, 'image_token_id', where),
    },
  };
}

/** The official code makes the last layer a full one whatever the file says. */
function fullLayersOf(raw: Json, layers: number, where: string): number[] {
  const types = raw['layer_types'] ?? null;
  if (types !== null && !(Array.isArray(types) && types.length === layers))
    throw wrongKey(where, 'layer_types', types, `a list of ${layers} types, one for each layer`);
  const isFull = (layer: number): boolean =>
    layer === layers - 1 ||
    (types === null ? (layer + 1) % PATTERN === 0 : (types as unknown[])[layer] === FULL);
  return Array.from({ length: layers }, (_, layer) => layer).filter(isFull);
}

function fullHeads(raw: Json, fullLayers: readonly number[], where: string): Gemma['full'] {
  const perLayer = raw['per_layer_config'] ?? null;
  const kvHeads = integerOf(raw, 'num_key_value_heads', where);
  if (perLayer === null) {
    return {
      headDim: (raw['global_head_dim'] ?? null) === null ? 512 : integerOf(raw, 'global_head_dim', where),
      kvHeads: integerOf(raw, ['num_global_key_value_heads', 'num_key_value_heads'], where),
    };
  }
  const wanted = `head_dim and num_key_value_heads of each full layer (${fullLayers.join(', ')}), all alike`;
  if (!isJson(perLayer)) throw wrongKey(where, 'per_layer_config', perLayer, wanted);
  const heads = Object.entries(perLayer).map(([layer, each]) => {
    if (!isJson(each) || !fullLayers.includes(Number(layer)))
      throw wrongKey(where, 'per_layer_config', perLayer, wanted);
    const { head_dim: headDim, num_key_value_heads: own = kvHeads } = each;
    return { headDim, kvHeads: own };
  });
  const [first] = heads;
  const isWhole = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) > 0;
  if (
    heads.length === fullLayers.length &&
    heads.every((each) => JSON.stringify(each) === JSON.stringify(first)) &&
    isWhole(first.headDim) &&
    isWhole(first.kvHeads)
  )
    return { headDim: first.headDim, kvHeads: first.kvHeads };
  throw wrongKey(where, 'per_layer_config', perLayer, wanted);
}

/** The same as config.json has it; what every family states stands beside. */
export function gemmaToJson({ gemma, ropeTheta, layers, headDim, kvHeads }: ModelConfig & { gemma: Gemma }): {
  file: Json;
  text: Json;
} {
  const { full, fullRope, fullLayers } = gemma;
  const heads = { head_dim: full.headDim, num_key_value_heads: full.kvHeads };
  return {
    file: { image_token_id: gemma.imageToken },
    text: {
      head_dim: headDim,
      num_key_value_heads: kvHeads,
      sliding_window: gemma.window,
      final_logit_softcapping: gemma.softcap,
      hidden_activation: 'gelu_pytorch_tanh',
      use_bidirectional_attention: 'vision',
      layer_types: Array.from({ length: layers }, (_, i) => (fullLayers.includes(i) ? FULL : SLIDING)),
      per_layer_config: Object.fromEntries(fullLayers.map((layer) => [layer, heads])),
      rope_parameters: {
        [SLIDING]: { rope_type: 'default', rope_theta: ropeTheta },
        [FULL]: {
          rope_type: 'proportional',
          rope_theta: fullRope.theta,
          partial_rotary_factor: (2 * fullRope.turning) / full.headDim,
        },
      },
    },
  };
}

function numberOf(value: unknown, key: string, where: string): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw wrongKey(where, key, value, 'a positive number');
}

/** √width, rounded as the official code rounds it: to the dtype of the weights, so 53 and not 53.07 in bfloat16. */
export function embeddingScale(width: number, dtype: unknown): number {
  const exact = Math.fround(Math.sqrt(width));
  if (dtype !== 'bfloat16') return exact;
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  float[0] = exact;
  // Nearest, ties to even: the upper 16 bits are the bfloat16.
  bits[0] = (bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000;
  return float[0];
}
