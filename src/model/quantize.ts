/**
 * Weights in 8 or 4 bits, without zero points. In 8 bits each row of a matrix has one scale, and so has each row of what is
 * multiplied by it: products are then of integers alone, which processors do several times as fast (`linearRows`). In 4 bits
 * a row is cut into blocks with scales of their own, and `MatMulNBits` scales activations by block as well. Either way a row
 * of a product depends on that row alone, as batch invariance demands; a scale per tensor (`DynamicQuantizeMatMul`) would
 * not do. Norms, biases, routers and the embedding stay floating point; the head is 8 bits in both.
 */
import { assert } from '../errors.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import { headsOf, layerOf } from './heads.ts';

export const PRECISIONS = ['f32', 'int8', 'int4'] as const;
export type Precision = (typeof PRECISIONS)[number];

export interface FloatTensor {
  shape: readonly number[];
  data: Float32Array;
  /** The same numbers in the 16 bits that they are stored in, where none is multiplied: of an embedding that is no head. */
  halves?: { dtype: 'float16' | 'bfloat16'; data: Uint16Array };
}

/** A matrix [N, K] in blocks, as `MatMulNBits` reads it. */
export interface QuantizedTensor extends BlockFormat {
  shape: readonly [rows: number, columns: number];
  /** Offset binary (128 or 8 is zero), low nibble first; the last block of a row is padded with zeros. [N, blocks, block · bits / 8] */
  packed: Uint8Array;
  /** [N, blocks] */
  scales: Float32Array;
}

export interface BlockFormat {
  bits: 8 | 4;
  /** Columns that share a scale: a power of two from 16 on, or a row's all. */
  block: number;
}

/** In memory, or read when a property is (`stored-weights.ts`): reading one twice may make it twice. */
export type Weight = FloatTensor | QuantizedTensor;
/** Weights under their published names. A quantised head has a tensor of its own even if it is tied. */
export type Weights = ReadonlyMap<string, Weight>;

export const isQuantized = (weight: Weight): weight is QuantizedTensor => 'packed' in weight;

/** What a weight takes; it is not read. */
export function bytesOf(weight: Weight): number {
  if (!isQuantized(weight)) return (weight.halves ? 2 : 4) * elementCount(weight.shape);
  return elementCount(storedShapeOf(weight)) + 4 * elementCount(storedShapeOf(weight).slice(0, 2));
}

const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';
/** Small, and a choice of experts that rounding turns over changes more than a product does. */
const ROUTER = '.mlp.gate.weight';
/** What follows from a noise level is computed once, or is small. */
const CONDITION = /\.(modulation|noise\.first|noise\.second)\.weight$/;
/**
 * Columns of a block, where there are blocks. From 128 on the kernels (AVX-512) take an odd last row another way than paired
 * rows and round it otherwise, so a row's result would depend on how many there are. 4 bits need more scales.
 */
const BLOCK = { 8: 64, 4: 32 } as const;
const SMALLEST_BLOCK = 16;
/**
 * Experts stay in blocks: most of them get no row, and one node that does nothing costs less than six, one of which does
 * not do nothing right (`ReduceMax` of no rows).
 */
const EXPERT = /\.experts\.\d+\./;

/** Whether a matrix is multiplied by rows with one scale each; `name` is its own, or those of several joined. */
export const isByRow = (
  name: string,
  { shape, bits, block }: Pick<QuantizedTensor, 'shape' | 'bits' | 'block'>,
): boolean => bits === 8 && block === shape[1] && !EXPERT.test(name);

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

/** Null: no block fits. */
function blockOf(config: ModelConfig, source: string, columns: number, bits: 8 | 4): number | null {
  let block: number = BLOCK[bits];
  while (block > SMALLEST_BLOCK && block / 2 >= columns) block /= 2;
  if (!source.endsWith('.o_proj.weight')) return block;
  // The stepping graph reorders heads, which are columns here: no block may span two.
  const { headDim } = headsOf(config, layerOf(source));
  while (block >= SMALLEST_BLOCK && headDim % block !== 0) block /= 2;
  return block < SMALLEST_BLOCK ? null : block;
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
    if (CONDITION.test(source)) continue;
    const columns = shape[1];
    const bits = precision === 'int8' || isHead ? 8 : 4;
    const block = bits === 8 && !EXPERT.test(source) ? columns : blockOf(config, source, columns, bits);
    if (block === null) continue;
    formats.set(isHead ? HEAD : source, { source, shape: [shape[0], columns], bits, block });
  }
  return formats;
}

/**
 * As a folder has them: `shapeOf` is that of what is stored under a name. Its 8 bits may be in blocks, as they were before
 * rows had one scale.
 */
export function storedFormats(
  config: ModelConfig,
  precision: Precision,
  shapeOf: (name: string) => readonly number[] | undefined,
): ReturnType<typeof quantizedFormats> {
  const formats = quantizedFormats(config, precision);
  for (const [name, format] of formats) {
    const [, , bytes] = shapeOf(name) ?? [];
    if (format.bits === 8 && bytes !== undefined) formats.set(name, { ...format, block: bytes });
  }
  return formats;
}

/** Nearest values; with 4 bits the scale is chosen among a few for the least squared error. */
export function quantize(
  data: Float32Array,
  shape: readonly [number, number],
  format: BlockFormat,
): QuantizedTensor {
  assert(data.length === elementCount(shape), `${data.length} elements for [${shape}]`);
  const tensor = emptyQuantized(shape, format);
  quantizeRows(tensor, 0, data);
  return tensor;
}

/** All zeros, to be filled by `quantizeRows`. */
export function emptyQuantized(
  shape: readonly [number, number],
  { bits, block }: BlockFormat,
): QuantizedTensor {
  const stored = storedShapeOf({ shape, bits, block });
  const packed = new Uint8Array(elementCount(stored)).fill(bits === 8 ? 128 : 0x88);
  return { shape, bits, block, packed, scales: new Float32Array(stored[0] * stored[1]) };
}

/** Quantises some rows, from `row` on: few enough at a time that the numbers stay in the processor's cache. */
export function quantizeRows(tensor: QuantizedTensor, row: number, data: Float32Array): void {
  const { shape, bits, block, packed, scales } = tensor;
  const columns = shape[1];
  const blobBytes = (block * bits) / 8;
  const words = new Int32Array(data.buffer, data.byteOffset, data.length);
  let index = row * Math.ceil(columns / block);
  for (let start = 0; start < data.length; start += columns) {
    for (let from = start; from < start + columns; from += block, index++) {
      const to = Math.min(from + block, start + columns);
      const most = largest(words, from, to);
      if (most === 0) continue;
      const at = index * blobBytes;
      scales[index] =
        bits === 8 ? block8(data, from, to, packed, at, most) : block4(data, from, to, packed, at, most);
    }
  }
}

const word = new Int32Array(1);
const asFloat = new Float32Array(word.buffer);

/** The largest magnitude: bit patterns without their sign are ordered as the numbers are, and integers compare sooner. */
function largest(words: Int32Array, from: number, to: number): number {
  let most = 0;
  for (let i = from; i < to; i++) {
    const magnitude = words[i] & 0x7fffffff;
    if (magnitude > most) most = magnitude;
  }
  word[0] = most;
  return asFloat[0];
}

/** @returns the scale; rounding is written as truncation of what is positive, which is one instruction */
function block8(
  data: Float32Array,
  from: number,
  to: number,
  packed: Uint8Array,
  at: number,
  most: number,
): number {
  const scale = Math.fround(most / 127);
  if (scale === 0) return 0;
  const inverse = 1 / scale;
  for (let i = from; i < to; i++) packed[at++] = Math.trunc(data[i] * inverse + 128.5);
  return scale;
}

/** Where the value of largest magnitude may be put: near the end of the range that reaches further, −8. */
const REACHES = [-8.6, -8.2, -8, -7.6, -7.2, 7.4];

/** Nearest of 0 to 15, where 8 is zero. */
function nibble(x: number): number {
  const q = Math.trunc(x + 24.5) - 16;
  return q > 15 ? 15 : q < 0 ? 0 : q;
}

function block4(
  data: Float32Array,
  from: number,
  to: number,
  packed: Uint8Array,
  at: number,
  most: number,
): number {
  let extreme = 0;
  for (let i = from; extreme === 0; i++) if (Math.abs(data[i]) === most) extreme = data[i];
  let best = 0;
  let least = Infinity;
  for (const reach of REACHES) {
    const scale = Math.fround(extreme / reach);
    const inverse = 1 / scale;
    let error = 0;
    for (let i = from; i < to; i++) {
      const x = data[i];
      // As `nibble`, in place: this is where the time goes.
      let q = (x * inverse + 24.5) | 0;
      if (q > 31) q = 31;
      else if (q < 16) q = 16;
      const difference = x - scale * (q - 24);
      error += difference * difference;
    }
    if (error < least) {
      best = scale;
      least = error;
    }
  }
  if (best === 0) return 0;
  const inverse = 1 / best;
  for (let i = from; i < to; i += 2) {
    const high = i + 1 < to ? nibble(data[i + 1] * inverse) : 8;
    packed[at++] = nibble(data[i] * inverse) | (high << 4);
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

/** The same numbers in blocks, made when they are asked for: the scale of a row is that of each of its blocks. */
export function inBlocks(weight: QuantizedTensor): QuantizedTensor {
  const { shape } = weight;
  const [rows, columns] = shape;
  const block = BLOCK[8];
  const blocks = Math.ceil(columns / block);
  return {
    shape,
    bits: 8,
    block,
    get packed() {
      const { packed } = emptyQuantized(shape, { bits: 8, block });
      for (let row = 0; row < rows; row++)
        packed.set(weight.packed.subarray(row * columns, (row + 1) * columns), row * blocks * block);
      return packed;
    },
    get scales() {
      return Float32Array.from({ length: rows * blocks }, (_, i) => weight.scales[Math.floor(i / blocks)]);
    },
  };
}

/** Side of the squares that are turned at a time, so that both sides of the copy stay in the processor's cache. */
const SQUARE = 64;

/** Rows of bytes as columns of signed numbers, as `linearRows` takes them. [N, K] to [K, N] */
export function asColumns({
  shape: [rows, columns],
  packed,
}: Pick<QuantizedTensor, 'shape' | 'packed'>): Int8Array {
  const out = new Int8Array(rows * columns);
  for (let top = 0; top < rows; top += SQUARE) {
    const bottom = Math.min(top + SQUARE, rows);
    for (let left = 0; left < columns; left += SQUARE) {
      const right = Math.min(left + SQUARE, columns);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++)
          out[column * rows + row] = packed[row * columns + column] - 128;
      }
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
