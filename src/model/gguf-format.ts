/**
 * The GGUF container, version 3, as bytes (ggml/docs/gguf.md): a header of typed keys and values, a directory of tensors,
 * then their data, each at a multiple of 32 bytes. And the four ways in which ggml stores numbers that are written here.
 * What the keys mean for a model is in `gguf-write.ts`.
 */
import { assert } from '../errors.ts';
import { elementCount } from './config.ts';
import { f16FromFloats } from './float16.ts';

/** Numbers of `enum ggml_type`. */
const GGML_TYPES = { f32: 0, f16: 1, q4_0: 2, q8_0: 8 } as const;

export type GgmlType = keyof typeof GGML_TYPES;

/** Values with their GGUF type; JavaScript's own types do not tell u32 from f32. */
export type GgufValue =
  | { u32: number }
  | { f32: number }
  | { bool: boolean }
  | { string: string }
  | { i32s: readonly number[] }
  | { strings: readonly string[] };

export interface GgufTensor {
  name: string;
  /** Rows first, as everywhere in this house; the file lists columns first. */
  shape: readonly number[];
  type: GgmlType;
  /** Asked for when its turn comes, so that only one tensor is converted at a time. */
  data: () => Float32Array;
}

const VERSION = 3;
const ALIGNMENT_BYTES = 32;

/** Numbers of `enum gguf_metadata_value_type`. */
const KIND = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Elements that share one scale in Q8_0. */
export const Q8_BLOCK = 32;
const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;
/** The same of Q4_0. */
const Q4_BLOCK = Q8_BLOCK;
const Q4_BLOCK_BYTES = 2 + Q4_BLOCK / 2;

export function storedBytes(type: GgmlType, elements: number): number {
  if (type === 'q8_0') return (elements / Q8_BLOCK) * Q8_BLOCK_BYTES;
  if (type === 'q4_0') return (elements / Q4_BLOCK) * Q4_BLOCK_BYTES;
  return elements * (type === 'f32' ? 4 : 2);
}

/**
 * Q8_0: for each 32 values an f16 scale d = max|x| / 127 and 32 signed bytes round(x / d), halves away from zero. The
 * arithmetic is that of ggml's `quantize_row_q8_0_ref`, in f32 at each step; on the matrices of
 * tintype-code-ar, and on made-up blocks from 1e-8 to 1e4, the bytes were the same.
 * @param floats a multiple of 32
 */
export function quantizeQ8(floats: Float32Array): Uint8Array {
  assert(floats.length % Q8_BLOCK === 0, `${floats.length} values are no whole blocks of Q8_0`);
  const blocks = floats.length / Q8_BLOCK;
  const scales = new Float32Array(blocks);
  const bytes = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  const signed = new Int8Array(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const from = block * Q8_BLOCK;
    let largest = 0;
    for (let i = from; i < from + Q8_BLOCK; i++) largest = Math.max(largest, Math.abs(floats[i]));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = scale;
    const to = block * Q8_BLOCK_BYTES + 2;
    for (let i = 0; i < Q8_BLOCK; i++) {
      const x = Math.fround(floats[from + i] * inverse);
      signed[to + i] = Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
    }
  }
  const halves = new DataView(bytes.buffer);
  for (const [block, half] of f16FromFloats(scales).entries())
    halves.setUint16(block * Q8_BLOCK_BYTES, half, true);
  return bytes;
}

/**
 * Q4_0: for each 32 values an f16 scale d = x / −8 of the value x of largest magnitude, and 32 numbers min(15, ⌊x / d + 8.5⌋) of
 * four bits: value i in the low half of byte i, value i + 16 in its high half (ggml's `quantize_row_q4_0_ref`).
 * @param floats a multiple of 32
 */
export function quantizeQ4(floats: Float32Array): Uint8Array {
  assert(floats.length % Q4_BLOCK === 0, `${floats.length} values are no whole blocks of Q4_0`);
  const blocks = floats.length / Q4_BLOCK;
  const scales = new Float32Array(blocks);
  const bytes = new Uint8Array(blocks * Q4_BLOCK_BYTES);
  for (let block = 0; block < blocks; block++) {
    const from = block * Q4_BLOCK;
    let extreme = 0;
    for (let i = from; i < from + Q4_BLOCK; i++)
      if (Math.abs(floats[i]) > Math.abs(extreme)) extreme = floats[i];
    const scale = Math.fround(extreme / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = scale;
    const nibble = (i: number): number =>
      Math.min(15, Math.trunc(Math.fround(Math.fround(floats[from + i] * inverse) + 8.5)));
    const to = block * Q4_BLOCK_BYTES + 2;
    for (let i = 0; i < Q4_BLOCK / 2; i++) bytes[to + i] = nibble(i) | (nibble(i + Q4_BLOCK / 2) << 4);
  }
  const halves = new DataView(bytes.buffer);
  for (const [block, half] of f16FromFloats(scales).entries())
    halves.setUint16(block * Q4_BLOCK_BYTES, half, true);
  return bytes;
}

function encodeTensor(type: GgmlType, floats: Float32Array): Uint8Array {
  if (type === 'q8_0') return quantizeQ8(floats);
  if (type === 'q4_0') return quantizeQ4(floats);
  const stored = type === 'f32' ? floats : f16FromFloats(floats);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

/** Bytes that grow; everything in GGUF is little-endian and unaligned within the header. */
function createWriter() {
  const parts: Uint8Array[] = [];
  let length = 0;
  const encoder = new TextEncoder();
  const bytes = (part: Uint8Array): void => {
    parts.push(part);
    length += part.length;
  };
  const scalar = (size: number, set: (view: DataView) => void): void => {
    const part = new Uint8Array(size);
    set(new DataView(part.buffer));
    bytes(part);
  };
  const u32 = (value: number): void => scalar(4, (view) => view.setUint32(0, value, true));
  const i32 = (value: number): void => scalar(4, (view) => view.setInt32(0, value, true));
  const f32 = (value: number): void => scalar(4, (view) => view.setFloat32(0, value, true));
  const u64 = (value: number): void => scalar(8, (view) => view.setBigUint64(0, BigInt(value), true));
  const string = (text: string): void => {
    const encoded = encoder.encode(text);
    u64(encoded.length);
    bytes(encoded);
  };
  const array = <T>(kind: number, items: readonly T[], write: (item: T) => void): void => {
    u32(KIND.array);
    u32(kind);
    u64(items.length);
    for (const item of items) write(item);
  };
  const value = (typed: GgufValue): void => {
    if ('u32' in typed) {
      u32(KIND.u32);
      u32(typed.u32);
    } else if ('f32' in typed) {
      u32(KIND.f32);
      f32(typed.f32);
    } else if ('bool' in typed) {
      u32(KIND.bool);
      bytes(Uint8Array.of(typed.bool ? 1 : 0));
    } else if ('string' in typed) {
      u32(KIND.string);
      string(typed.string);
    } else if ('i32s' in typed) {
      array(KIND.i32, typed.i32s, i32);
    } else {
      array(KIND.string, typed.strings, string);
    }
  };
  const finish = (): Uint8Array => {
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };
  return { bytes, u32, u64, string, value, finish, length: () => length };
}

const padding = (length: number): number => (ALIGNMENT_BYTES - (length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;

/** A file in pieces: the header with its padding, then each tensor with its own. */
export function* ggufChunks(
  metadata: readonly (readonly [key: string, value: GgufValue])[],
  tensors: readonly GgufTensor[],
): Generator<Uint8Array> {
  const header = createWriter();
  header.bytes(new TextEncoder().encode('GGUF'));
  header.u32(VERSION);
  header.u64(tensors.length);
  header.u64(metadata.length);
  for (const [key, value] of metadata) {
    header.string(key);
    header.value(value);
  }
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    header.string(name);
    header.u32(shape.length);
    for (const size of shape.toReversed()) header.u64(size);
    header.u32(GGML_TYPES[type]);
    header.u64(offset);
    const size = storedBytes(type, elementCount(shape));
    offset += size + padding(size);
  }
  header.bytes(new Uint8Array(padding(header.length())));
  yield header.finish();
  for (const { name, shape, type, data } of tensors) {
    const bytes = encodeTensor(type, data());
    assert(bytes.length === storedBytes(type, elementCount(shape)), `${name}: ${bytes.length} bytes`);
    yield bytes;
    if (padding(bytes.length) > 0) yield new Uint8Array(padding(bytes.length));
  }
}
