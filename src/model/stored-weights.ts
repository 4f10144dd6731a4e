/**
 * Weights of an open model folder, each read, and quantised, when it is asked for: what converts a model larger than
 * half the memory holds one tensor at a time.
 */
import { TintypeError } from '../errors.ts';
import { type ModelConfig, parameterShapes } from './config.ts';
import type { SafetensorsFile } from './files.ts';
import {
  type BlockFormat,
  type FloatTensor,
  isQuantized,
  type Precision,
  emptyQuantized,
  quantizedFormats,
  quantizeRows,
  type QuantizedTensor,
  scalesOf,
  storedFormats,
  type Weight,
  type Weights,
} from './quantize.ts';
import type { Dtype } from './safetensors.ts';
import { EMBEDDING, HEAD, type StoredTensor } from './stored-tensors.ts';

/** What is joined into one product is asked for twice, its numbers and then its scales: q, k and v are three. */
const KEPT = 3;

/** Numbers that are read and quantised at a time. */
const ROWS_ELEMENTS = 1 << 18;

export interface Precisions {
  /** Of the files. */
  storedAs: Precision;
  /** Wanted: that of the files, or any where those are f32. */
  precision: Precision;
}

/** The weights that a denoiser of this precision takes. Valid while the files are open; errors as they are read. */
export function deferredWeights(
  config: ModelConfig,
  stored: ReadonlyMap<string, StoredTensor>,
  { storedAs, precision }: Precisions,
): Weights {
  const weights = new Map<string, Weight>();
  const kept = new Map<string, QuantizedTensor>();
  const floatsOf = (name: string): Float32Array => {
    const { file, entry } = stored.get(name)!;
    return file.readFloatsSync(entry);
  };
  const rows = new Float32Array(ROWS_ELEMENTS);
  const quantized = ({ source, shape, bits, block }: Format): QuantizedTensor => {
    const { file, entry } = stored.get(source)!;
    const tensor = emptyQuantized(shape, { bits, block });
    const [N, K] = shape;
    const most = Math.max(1, Math.floor(ROWS_ELEMENTS / K));
    for (let row = 0; row < N; row += most) {
      const elements = Math.min(most, N - row) * K;
      const some = elements <= rows.length ? rows.subarray(0, elements) : new Float32Array(elements);
      file.readFloatsInto(some, entry, row * K);
      quantizeRows(tensor, row, some);
    }
    return tensor;
  };
  type Format = BlockFormat & { source: string; shape: readonly [number, number] };
  const made = (name: string, format: Format): QuantizedTensor => {
    let tensor = kept.get(name);
    if (!tensor) {
      tensor =
        ready !== null
          ? { ...format, ...stored.get(format.source)!.quantized!.readSync() }
          : storedAs === 'f32'
            ? quantized(format)
            : { ...format, packed: packedOf(name, stored), scales: floatsOf(scalesOf(name)) };
      kept.set(name, tensor);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
    }
    return tensor;
  };

  const formats =
    storedAs === 'f32'
      ? quantizedFormats(config, precision)
      : storedFormats(config, storedAs, (name) => stored.get(name)?.entry.shape);
  const ready = precision === 'int8' ? readyBlock(config, formats, stored) : null;
  for (const [name, { source, ...chosen }] of formats) {
    const format = { source, ...chosen, block: ready ?? chosen.block };
    const { shape, bits, block } = format;
    weights.set(name, {
      shape,
      bits,
      block,
      get packed() {
        return made(name, format).packed;
      },
      get scales() {
        return made(name, format).scales;
      },
    });
  }
  for (const { name, shape } of parameterShapes(config)) {
    if (weights.has(name)) continue;
    const isLookedUp = name === EMBEDDING && (!config.tiedHead || formats.has(HEAD));
    const halves = isLookedUp ? halvesOf(stored.get(name)!) : null;
    weights.set(name, {
      shape,
      get data() {
        return floatsOf(name);
      },
      ...(halves && { halves }),
    });
  }
  return weights;
}

/**
 * The block of a file whose matrices are in 8 bits and blocks already: they are taken as they are, since quantising them
 * again would round a second time, though products by blocks take longer. All or none, for some are joined. Null: they are to be quantised.
 */
function readyBlock(
  { headDim }: ModelConfig,
  formats: ReturnType<typeof quantizedFormats>,
  stored: ReadonlyMap<string, StoredTensor>,
): number | null {
  const blocks = [...formats.values()].map(({ source }) => stored.get(source)?.quantized?.block);
  const [block] = blocks;
  // Heads, which are columns of one of them, are put in another order.
  return block !== undefined && blocks.every((each) => each === block) && headDim % block === 0
    ? block
    : null;
}

/** Numbers that are stored in 16 bits, as they are; null for others. */
function halvesOf({ file, entry }: StoredTensor): FloatTensor['halves'] | null {
  const dtype = { F16: 'float16', BF16: 'bfloat16' }[entry.dtype as string];
  if (dtype !== 'float16' && dtype !== 'bfloat16') return null;
  return {
    dtype,
    get data() {
      const { buffer, byteOffset, byteLength } = file.readSync(entry);
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    },
  };
}

function packedOf(name: string, stored: ReadonlyMap<string, StoredTensor>): Uint8Array {
  const { file, entry } = stored.get(name)!;
  if (entry.dtype !== 'U8') throw wrongDtype(file, name, entry.dtype);
  return file.readSync(entry);
}

const wrongDtype = ({ path }: SafetensorsFile, name: string, got: Dtype): TintypeError =>
  new TintypeError('bad_checkpoint', {
    what: `${name} in ${path} is not quantised`,
    got,
    wanted: 'U8',
    next: 'make the quantised model again',
  });

/** All of them at once, in memory. */
export function readWeights(weights: Weights): Map<string, Weight> {
  const read = new Map<string, Weight>();
  for (const [name, weight] of weights) {
    if (isQuantized(weight)) {
      const { shape, bits, block, packed, scales } = weight;
      read.set(name, { shape, bits, block, packed, scales });
    } else {
      read.set(name, { shape: weight.shape, data: weight.data });
    }
  }
  return read;
}
