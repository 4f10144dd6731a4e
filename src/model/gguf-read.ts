/**
 * The header of a GGUF file, versions 2 and 3 (ggml/docs/gguf.md): keys and values, and where each tensor stands. Nothing
 * of the tensors is read.
 */
import type { FileHandle } from 'node:fs/promises';
import { TintypeError } from '../errors.ts';
import { elementCount } from './config.ts';
import { QUANTS, type QuantName, typeName } from './gguf-quants.ts';

/** What a value may be; 64-bit integers become numbers. */
export type GgufMetadata = ReadonlyMap<string, unknown>;

export interface GgufEntry {
  name: string;
  type: QuantName;
  /** Rows first. */
  shape: readonly number[];
  /** First byte in the file. */
  begin: number;
  byteLength: number;
}

export interface GgufHeader {
  metadata: GgufMetadata;
  entries: readonly GgufEntry[];
}

/** The header ends before the bytes do. */
class TooShort extends Error {}

const MAGIC = 0x46554747;
const FIRST_BYTES = 1 << 22;
/** A vocabulary with its merges takes tens of megabytes. */
const MOST_HEADER_BYTES = 1 << 30;

/** Errors: `bad_checkpoint`; `unsupported` for types of tensors that are not read. */
export async function readGgufHeader(file: FileHandle, sizeBytes: number, path: string): Promise<GgufHeader> {
  for (let length = Math.min(FIRST_BYTES, sizeBytes); ; length = Math.min(4 * length, sizeBytes)) {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await file.read(bytes, 0, length, 0);
    try {
      return parse(bytes.subarray(0, bytesRead), sizeBytes, path);
    } catch (error) {
      if (!(error instanceof TooShort)) throw error;
      if (bytesRead < length || length === sizeBytes || length > MOST_HEADER_BYTES)
        throw broken(path, `${sizeBytes} bytes`, 'a longer file: this one is cut short');
    }
  }
}

const broken = (path: string, got: string, wanted: string): TintypeError =>
  new TintypeError('bad_checkpoint', {
    what: `${path} is not a valid GGUF file`,
    got,
    wanted,
    next: 'fetch the file again',
  });

/** Numbers of `enum gguf_metadata_value_type`: bytes of each, and how it is read. */
const SCALARS: Readonly<Record<number, { size: number; read: (view: DataView, at: number) => unknown }>> = {
  0: { size: 1, read: (view, at) => view.getUint8(at) },
  1: { size: 1, read: (view, at) => view.getInt8(at) },
  2: { size: 2, read: (view, at) => view.getUint16(at, true) },
  3: { size: 2, read: (view, at) => view.getInt16(at, true) },
  4: { size: 4, read: (view, at) => view.getUint32(at, true) },
  5: { size: 4, read: (view, at) => view.getInt32(at, true) },
  6: { size: 4, read: (view, at) => view.getFloat32(at, true) },
  7: { size: 1, read: (view, at) => view.getUint8(at) !== 0 },
  10: { size: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  11: { size: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  12: { size: 8, read: (view, at) => view.getFloat64(at, true) },
};
const STRING = 8;
const ARRAY = 9;

function parse(bytes: Uint8Array, sizeBytes: number, path: string): GgufHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const decoder = new TextDecoder();
  let at = 0;
  const take = (size: number): number => {
    if (!(size <= bytes.length - at)) throw new TooShort();
    at += size;
    return at - size;
  };
  const u32 = (): number => view.getUint32(take(4), true);
  const u64 = (): number => Number(view.getBigUint64(take(8), true));
  const string = (): string => {
    const length = u64();
    const from = take(length);
    return decoder.decode(bytes.subarray(from, from + length));
  };
  const value = (kind: number): unknown => {
    const scalar = SCALARS[kind];
    if (scalar) return scalar.read(view, take(scalar.size));
    if (kind === STRING) return string();
    if (kind !== ARRAY) throw broken(path, `a value of kind ${kind}`, 'kinds 0 to 12');
    const inner = u32();
    const count = u64();
    // Before as many are made: a count that is nonsense must not take all memory.
    if (count > bytes.length) throw new TooShort();
    return Array.from({ length: count }, () => value(inner));
  };

  if (u32() !== MAGIC) throw broken(path, 'other first bytes', 'the letters GGUF');
  const version = u32();
  if (version !== 2 && version !== 3) throw broken(path, `version ${version}`, 'version 2 or 3');
  const tensors = u64();
  const values = u64();
  const metadata = new Map<string, unknown>();
  for (let i = 0; i < values; i++) {
    const key = string();
    metadata.set(key, value(u32()));
  }
  const entries: GgufEntry[] = [];
  const unread = new Map<string, string>();
  for (let i = 0; i < tensors; i++) {
    const name = string();
    const dimensions = u32();
    if (dimensions > 4) throw broken(path, `${name} with ${dimensions} dimensions`, 'at most 4');
    const shape = Array.from({ length: dimensions }, u64).toReversed();
    const number = u32();
    const begin = u64();
    const type = typeName(number);
    const quant = Object.hasOwn(QUANTS, type) ? QUANTS[type as QuantName] : undefined;
    if (!quant) {
      unread.set(type, name);
      continue;
    }
    if ((shape.at(-1) ?? 1) % quant.block !== 0)
      throw broken(path, `${name} in rows of ${shape.at(-1)}`, `multiples of ${quant.block} for ${type}`);
    const byteLength = (elementCount(shape) / quant.block) * quant.bytes;
    entries.push({ name, type: type as QuantName, shape, begin, byteLength });
  }
  if (unread.size > 0) {
    throw new TintypeError('unsupported', {
      what: `${path} stores tensors in types that are not read`,
      got: [...unread].map(([type, name]) => `${type} (${name})`).join(', '),
      wanted: Object.keys(QUANTS).join(', '),
      next: 'fetch the model in one of these, say Q8_0 or Q4_K_M',
    });
  }
  const alignment = (metadata.get('general.alignment') as number | undefined) ?? 32;
  const dataStart = Math.ceil(at / alignment) * alignment;
  for (const entry of entries) {
    entry.begin += dataStart;
    if (entry.begin + entry.byteLength > sizeBytes)
      throw broken(path, `${sizeBytes} bytes, which end inside ${entry.name}`, 'a whole file');
  }
  return { metadata, entries };
}
