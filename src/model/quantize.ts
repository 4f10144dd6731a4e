/**
 * Weights in 8 or 4 bits. Each row of a matrix is cut into blocks, each with a scale of its own (no zero point); products
 * with them are ONNX Runtime's `MatMulNBits`, which scales activations by block as well. A row of a product therefore
 * depends on that row alone, as batch invariance demands; a scale per tensor (`DynamicQuantizeMatMul`) would not do.
 * Norms, biases, routers and the embedding stay floating point; the head is 8 bits in both.
 */
import { assert } from '../errors.ts';
import { type ModelConfig, parameterShapes } from './config.ts';

export const PRECISIONS = ['f32', 'int8', 'int4'] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface FloatTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** A matrix [N, K] as `MatMulNBits` reads it. */
export interface QuantizedTensor extends BlockFormat {
  shape: readonly [rows: number, columns: number];
  /** Offset binary (128 or 8 is zero), low nibble first; the last block of a row is padded with zeros. [N, blocks, block · bits / 8] */
  packed: Uint8Array;
  /** [N, blocks] */
  scales: Float32Array;
}

export interface BlockFormat {
  bits: 8 | 4;
  /** Columns that share a scale; a power of two from 16 on. */
  block: number;
}

export type Weight = FloatTensor | QuantizedTensor;
/** Weights under their published names. A quantised head has a tensor of its own even if it is tied. */
export type Weights = ReadonlyMap<string, Weight>;

export const isQuantized = (weight: Weight): weight is QuantizedTensor => 'packed' in weight;

export const bytesOf = (weight: Weight): number =>
  isQuantized(weight) ? weight.packed.byteLength + weight.scales.byteLength : weight.data.byteLength;

const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';
/** Small, and a choice of experts that rounding turns over changes more than a product does. */
const ROUTER = '.mlp.gate.weight';
/**
 * Columns of a block. From 128 on the kernels (AVX-512) take an odd last row another way than paired rows and round it
 * otherwise, so a row's result would depend on how many there are; they would be a tenth quicker. 4 bits need more scales.
 */
const BLOCK = { 8: 64, 4: 32 } as const;
const SMALLEST_BLOCK = 16;

/** How a folder stores the scales of a quantised matrix. */
export const scalesOf = (name: string): string => `${name}_scales`;

/** [N, blocks, bytes of a block] */
export function storedShapeOf({
  shape: [rows, columns],
  bits,
  block,
}: BlockFormat & { shape: readonly [number, number] }): readonly [number, number, number] {
  return [rows, Math.ceil(columns / block), (block * bits) / 8];
}

/** The matrices that are quantised, by name: what each is made from, its shape, and how. */
export function quantizedFormats(
  config: ModelConfig,
  precision: Precision,
): Map<string, BlockFormat & { source: string; shape: readonly [number, number] }> {
  const formats = new Map<string, BlockFormat & { source: string; shape: readonly [number, number] }>();
  if (precision === 'f32') return formats;
  for (const { name: source, shape } of parameterShapes(config)) {
    const isHead = source === (config.tiedHead ? EMBEDDING : HEAD);
    if (shape.length !== 2 || (source === EMBEDDING && !isHead) || source.endsWith(ROUTER)) continue;
    const columns = shape[1];
    const bits = precision === 'int8' || isHead ? 8 : 4;
    let block: number = BLOCK[bits];
    while (block > SMALLEST_BLOCK && block / 2 >= columns) block /= 2;
    if (source.endsWith('.o_proj.weight')) {
      // The stepping graph reorders heads, which are columns here: no block may span two.
      while (block >= SMALLEST_BLOCK && config.headDim % block !== 0) block /= 2;
      if (block < SMALLEST_BLOCK) continue;
    }
    formats.set(isHead ? HEAD : source, { source, shape: [shape[0], columns], bits, block });
  }
  return formats;
}

/** Nearest values; with 4 bits the scale is chosen among a few for the least squared error. */
export function quantize(
  data: Float32Array,
  shape: readonly [number, number],
  { bits, block }: BlockFormat,
): QuantizedTensor {
  const [N, K] = shape;
  assert(data.length === N * K, `${data.length} elements for [${shape}]`);
  const blocks = Math.ceil(K / block);
  const blobBytes = (block * bits) / 8;
  const packed = new Uint8Array(N * blocks * blobBytes).fill(bits === 8 ? 128 : 0x88);
  const scales = new Float32Array(N * blocks);
  for (let row = 0; row < N; row++) {
    for (let b = 0; b < blocks; b++) {
      const from = row * K + b * block;
      const to = Math.min(from + block, (row + 1) * K);
      const index = row * blocks + b;
      const scale = bits === 8 ? scale8(data, from, to) : scale4(data, from, to);
      scales[index] = scale;
      if (scale === 0) continue;
      const at = index * blobBytes;
      const inverse = 1 / scale;
      for (let i = from; i < to; i++) {
        const x = data[i] * inverse;
        if (bits === 8) packed[at + i - from] = clamp(Math.round(x), 127) + 128;
        else {
          const nibble = clamp(Math.round(x), 7) + 8;
          const byte = at + ((i - from) >> 1);
          packed[byte] =
            (i - from) % 2 === 0 ? (packed[byte] & 0xf0) | nibble : (packed[byte] & 0x0f) | (nibble << 4);
        }
      }
    }
  }
  return { shape, bits, block, packed, scales };
}

/** Within [−most − 1, most]. */
const clamp = (x: number, most: number): number => Math.max(-most - 1, Math.min(most, x));

function scale8(data: Float32Array, from: number, to: number): number {
  let most = 0;
  for (let i = from; i < to; i++) most = Math.max(most, Math.abs(data[i]));
  return Math.fround(most / 127);
}

/** The value of largest magnitude is put near the end of the range that reaches further, −8. */
function scale4(data: Float32Array, from: number, to: number): number {
  let extreme = 0;
  for (let i = from; i < to; i++) if (Math.abs(data[i]) > Math.abs(extreme)) extreme = data[i];
  if (extreme === 0) return 0;
  let [best, least] = [0, Infinity];
  for (const reach of [-8.6, -8.2, -8, -7.6, -7.2, 7.4]) {
    const scale = Math.fround(extreme / reach);
    let error = 0;
    for (let i = from; i < to; i++) {
      const difference = data[i] - scale * clamp(Math.round(data[i] / scale), 7);
      error += difference * difference;
    }
    if (error < least) [best, least] = [scale, error];
  }
  return best;
}

/** What the quantised numbers stand for. [N, K] */
export function dequantize({ shape, bits, block, packed, scales }: QuantizedTensor): Float32Array {
  const [N, K] = shape;
  const blocks = Math.ceil(K / block);
  const out = new Float32Array(N * K);
  for (let row = 0; row < N; row++) {
    for (let column = 0; column < K; column++) {
      const index = row * blocks + Math.floor(column / block);
      const place = column % block;
      const at = index * ((block * bits) / 8);
      const value =
        bits === 8
          ? packed[at + place] - 128
          : ((packed[at + (place >> 1)] >> (place % 2 === 0 ? 0 : 4)) & 15) - 8;
      out[row * K + column] = scales[index] * value;
    }
  }
  return out;
}

/** Quantises one matrix after another. */
export function quantizeWeights(
  config: ModelConfig,
  tensors: ReadonlyMap<string, FloatTensor>,
  precision: Precision,
): Weights {
  const weights = new Map<string, Weight>(tensors);
  for (const [name, { source, shape, ...format }] of quantizedFormats(config, precision)) {
    weights.set(name, quantize(tensors.get(source)!.data, shape, format));
  }
  return weights;
}
