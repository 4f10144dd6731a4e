/**
 * safetensors, over bytes: eight bytes of header length, a JSON header, then the tensors without gaps
 * (https://huggingface.co/docs/safetensors). Reading and writing files is in `files.ts`, so that this runs in
 * a browser. A header keeps its text as it was read; writing it again gives the same file, byte for byte.
 */
import { assert, TintypeError } from '../errors.ts';
import { bf16FromFloats, f16FromFloats, floatsFromBf16, floatsFromF16 } from './float16.ts';

/** Bytes of one element. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

export type Dtype = keyof typeof DTYPE_BYTES;

/** What weights may be stored as. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

export const isFloatDtype = (dtype: string): dtype is FloatDtype => ['F32', 'F16', 'BF16'].includes(dtype);

export interface TensorEntry {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
  /** First byte and the byte after the last, counted from the end of the header. */
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  /** By rising `begin`. */
  entries: readonly TensorEntry[];
  metadata: Readonly<Record<string, string>>;
  /** The JSON with the spaces that pad it. */
  text: string;
}

/** Bytes of the length that precedes the header. */
export const LENGTH_BYTES = 8;

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const broken = (where: string, got: string, wanted?: string): TintypeError =>
  new TintypeError('bad_checkpoint', {
    what: `${where} is not a valid safetensors file`,
    got,
    wanted,
    next: 'fetch or save the file again',
  });

/** Bytes of the header, from the first eight of the file. `where` names the file in errors (`bad_checkpoint`). */
export function headerByteLength(first: Uint8Array, fileBytes: number, where: string): number {
  if (first.length < LENGTH_BYTES)
    throw broken(where, `${fileBytes} bytes`, 'at least 8 bytes of header length');
  const length = Number(new DataView(first.buffer, first.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw broken(where, `a header of ${length} bytes`, `a header of at most ${MAX_HEADER_BYTES} bytes`);
  }
  if (LENGTH_BYTES + length > fileBytes) {
    throw broken(
      where,
      `${fileBytes} bytes`,
      `a header of ${length} bytes after the first 8: the file is cut short`,
    );
  }
  return length;
}

/** Reads and checks a header; `dataBytes` is the size of what follows it. Errors: `bad_checkpoint`. */
export function parseHeader(bytes: Uint8Array, dataBytes: number, where: string): SafetensorsHeader {
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(where, `a header that is not JSON (${(cause as Error).message})`);
  }
  if (!isRecord(json)) throw broken(where, 'a header that is not a JSON object');
  const { __metadata__: metadata = {}, ...tensors } = json;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw broken(where, '__metadata__ with other than strings', 'a map from strings to strings');
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw broken(where, `two tensors named ${twice}`, 'each name once');

  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(name, value, where));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== at) {
      const fault = begin < at ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw broken(where, `${name} at bytes ${begin} to ${end}, which ${fault}`, `a start at byte ${at}`);
    }
    at = end;
  }
  if (at !== dataBytes) {
    const fault = at > dataBytes ? 'the file is cut short' : 'the file is too long';
    throw broken(where, `${dataBytes} bytes of tensors: ${fault}`, `${at} bytes, as the header says`);
  }
  return { entries, metadata: metadata as Record<string, string>, text };
}

function parseEntry(name: string, value: unknown, where: string): TensorEntry {
  if (!isRecord(value)) throw broken(where, `${name} described by ${JSON.stringify(value)}`, 'an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw broken(where, `${name} of dtype ${JSON.stringify(dtype)}`, Object.keys(DTYPE_BYTES).join(', '));
  }
  if (!isSizes(shape)) throw broken(where, `${name} of shape ${JSON.stringify(shape)}`, 'an array of sizes');
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw broken(where, `${name} with data_offsets ${JSON.stringify(offsets)}`, '[begin, end] in bytes');
  }
  const [begin, end] = offsets as [number, number];
  const wanted = shape.reduce((a, b) => a * b, 1) * DTYPE_BYTES[dtype as Dtype];
  if (end - begin !== wanted) {
    throw broken(
      where,
      `${name} in ${end - begin} bytes`,
      `${wanted} bytes for ${dtype} [${shape.join(', ')}]`,
    );
  }
  return { name, dtype: dtype as Dtype, shape, begin, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

/** JSON.parse keeps the last of two equal keys without a word; every string at depth 1 is a key here. */
function repeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1) {
      const key = JSON.parse(token) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

/**
 * The header that the reference implementation writes for these tensors: wide dtypes first, then by name,
 * compact JSON, padded with spaces so that the data starts at a multiple of eight.
 */
export function createHeader(
  tensors: readonly { name: string; dtype: Dtype; shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): SafetensorsHeader {
  const sorted = [...tensors].sort(
    (a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  let at = 0;
  const entries = sorted.map(({ name, dtype, shape }) => {
    const begin = at;
    at += shape.reduce((a, b) => a * b, 1) * DTYPE_BYTES[dtype];
    return { name, dtype, shape, begin, end: at };
  });
  const json = [
    ...(Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : []),
    ...entries.map(({ name, dtype, shape, begin, end }) => {
      return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`;
    }),
  ];
  const text = `{${json.join(',')}}`;
  const byteLength = new TextEncoder().encode(text).length;
  return { entries, metadata, text: text + ' '.repeat(-byteLength & 7) };
}

/** A file in pieces: length and header, then each tensor. `bytesOf` gives a tensor's bytes when its turn comes. */
export function* safetensorsChunks(
  header: SafetensorsHeader,
  bytesOf: (entry: TensorEntry) => Uint8Array,
): Generator<Uint8Array> {
  const text = new TextEncoder().encode(header.text);
  const head = new Uint8Array(LENGTH_BYTES + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, LENGTH_BYTES);
  yield head;
  for (const entry of header.entries) {
    const bytes = bytesOf(entry);
    assert(bytes.length === entry.end - entry.begin, `${entry.name}: ${bytes.length} bytes for its place`);
    if (bytes.length > 0) yield bytes;
  }
}

export interface RawTensor {
  dtype: Dtype;
  shape: readonly number[];
  /** Little-endian, a view of the file's bytes. */
  bytes: Uint8Array;
}

/** A whole file in memory. Errors: `bad_checkpoint`. */
export function parseSafetensors(
  file: Uint8Array,
  where = 'the file',
): { header: SafetensorsHeader; tensors: Map<string, RawTensor> } {
  const dataStart = LENGTH_BYTES + headerByteLength(file.subarray(0, LENGTH_BYTES), file.length, where);
  const header = parseHeader(file.subarray(LENGTH_BYTES, dataStart), file.length - dataStart, where);
  const tensors = new Map<string, RawTensor>();
  for (const { name, dtype, shape, begin, end } of header.entries) {
    tensors.set(name, { dtype, shape, bytes: file.subarray(dataStart + begin, dataStart + end) });
  }
  return { header, tensors };
}

/** Stored bytes to numbers. F32 is a view where alignment allows, else everything is a copy. */
export function floatsFromBytes(dtype: FloatDtype, bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % DTYPE_BYTES[dtype] === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, byteLength / 4);
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return dtype === 'F16' ? floatsFromF16(halves) : floatsFromBf16(halves);
}

/** Stored bytes into numbers that are there already, which costs no fresh memory. */
export function widenInto(floats: Float32Array, dtype: FloatDtype, bytes: Uint8Array): void {
  if (dtype !== 'BF16' || bytes.byteOffset % 2 !== 0) {
    floats.set(floatsFromBytes(dtype, bytes));
    return;
  }
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const words = new Int32Array(floats.buffer, floats.byteOffset, halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
}

/** Numbers to stored bytes, rounded to nearest even. F32 is a view. */
export function bytesFromFloats(dtype: FloatDtype, floats: Float32Array): Uint8Array {
  const stored = dtype === 'F32' ? floats : dtype === 'F16' ? f16FromFloats(floats) : bf16FromFloats(floats);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
