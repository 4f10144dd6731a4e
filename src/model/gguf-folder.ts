/**
 * A GGUF file as if it were a model folder: its metadata as `config.json` and `tokenizer.json`, its tensors as floats, each
 * dequantised when it is read. A tokenizer that lies beside the file goes before the one in it.
 */
import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { TintypeError } from '../errors.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import type { Json } from './family.ts';
import type { SafetensorsFile } from './files.ts';
import { configFromGguf } from './gguf-config.ts';
import { ggufPlace } from './gguf-names.ts';
import { QUANTS, unpackQ8_0 } from './gguf-quants.ts';
import { type GgufEntry, type GgufHeader, readGgufHeader } from './gguf-read.ts';
import { tokenizerConfigFromGguf, tokenizerFromGguf } from './gguf-tokenizer.ts';
import type { QuantizedTensor } from './quantize.ts';
import type { FloatDtype, TensorEntry } from './safetensors.ts';
import type { StoredTensor } from './stored-tensors.ts';

export const isGgufPath = (path: string): boolean => path.toLowerCase().endsWith('.gguf');

/** What stands in a folder besides weights. */
export interface GgufTexts {
  config: Json;
  generation: Json;
  tokenizer: Json | null;
  tokenizerConfig: Json;
}

export interface OpenGguf {
  texts: GgufTexts;
  /** Type that holds the most elements, in ggml's words. */
  type: string;
  dtype: FloatDtype;
  /** The tensors by our names, once the model is known. Errors: `bad_checkpoint`. */
  tensors: (config: ModelConfig) => ReadonlyMap<string, StoredTensor>;
  close: () => Promise<void>;
}

/** @param hasTokenizer one lies beside the file, so that in it need not be read. Errors: those of reading a header. */
export async function openGguf(
  path: string,
  { family, hasTokenizer }: { family?: string | undefined; hasTokenizer: boolean },
): Promise<OpenGguf> {
  const file = await open(path).catch((cause) => {
    throw new TintypeError('not_found', { what: `there is no ${path}`, cause });
  });
  try {
    const { size } = await file.stat();
    const header = await readGgufHeader(file, size, path);
    const { architecture, config, generation } = configFromGguf(header, path, family);
    const type = mainType(header);
    return {
      texts: {
        config,
        generation,
        tokenizer: hasTokenizer ? null : tokenizerFromGguf(header.metadata, path),
        tokenizerConfig: tokenizerConfigFromGguf(header.metadata),
      },
      type,
      dtype: type === 'F32' || type === 'BF16' ? type : 'F16',
      tensors: (model) => {
        const source = { path, sizeBytes: size, fd: file.fd, close: () => file.close() };
        return tensorsOf(source, header, model, architecture.isPermuted);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function mainType({ entries }: GgufHeader): string {
  const elements = new Map<string, number>();
  for (const { type, shape } of entries) elements.set(type, (elements.get(type) ?? 0) + elementCount(shape));
  return [...elements].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 'F32';
}

interface Source {
  path: string;
  sizeBytes: number;
  fd: number;
  close: () => Promise<void>;
}

/** llama.cpp stores the frequencies that long contexts bend; without bending they follow from theta. */
const DERIVED = /^rope_freqs\.weight$|\.attn_rot_embd$/;

function tensorsOf(
  source: Source,
  { entries }: GgufHeader,
  config: ModelConfig,
  isPermuted: boolean,
): Map<string, StoredTensor> {
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  const unused = new Set([...found.keys()].filter((name) => !DERIVED.test(name)));
  const tensors = new Map<string, StoredTensor>();
  const faults: string[] = [];
  for (const { name, shape } of parameterShapes(config)) {
    const place = ggufPlace(name);
    const entry = place && found.get(place.name);
    if (!entry) {
      faults.push(`${name} is missing`);
      continue;
    }
    unused.delete(entry.name);
    const [outer, ...inner] = entry.shape;
    const has = place.expert === null ? entry.shape : place.expert < outer ? inner : [];
    if (String(has) !== String(shape)) {
      faults.push(`${entry.name} is [${entry.shape}], not [${shape}]`);
      continue;
    }
    const heads = isPermuted ? headsOf(name, config) : null;
    const first = (place.expert ?? 0) * elementCount(shape);
    tensors.set(name, tensorOf(source, entry, { name, shape, first, heads }));
  }
  faults.push(...[...unused].map((name) => `${name} is not of this model`));
  if (faults.length === 0) return tensors;
  throw new TintypeError('bad_checkpoint', {
    what: `the tensors in ${source.path} are not those that its metadata describes`,
    got: `${faults.slice(0, 4).join('; ')}${faults.length > 4 ? ` and ${faults.length - 4} more` : ''}`,
    next: 'name the family with --family if it is another one',
  });
}

/** Heads of a projection whose rows are turned by position; null for others. */
function headsOf(name: string, { heads, kvHeads }: ModelConfig): number | null {
  if (/\.q_proj\.(weight|bias)$/.test(name)) return heads;
  return /\.k_proj\.(weight|bias)$/.test(name) ? kvHeads : null;
}

interface Part {
  name: string;
  shape: readonly number[];
  /** First element in the tensor of the file. */
  first: number;
  heads: number | null;
}

/** Bytes that are read at a time. */
const PART_BYTES = 1 << 20;

function tensorOf({ path, sizeBytes, fd, close }: Source, entry: GgufEntry, part: Part): StoredTensor {
  const { name, shape, first, heads } = part;
  const { block, bytes: blockBytes, decode } = QUANTS[entry.type];
  const stretch = Math.floor(PART_BYTES / blockBytes) * block;
  const scratch = new Uint8Array(Math.min(PART_BYTES, (elementCount(shape) / block) * blockBytes));

  /** Elements from `from` on of what the file holds, in stretches; both ends between blocks. */
  const stretches = (from: number, length: number, use: (bytes: Uint8Array, at: number) => void): void => {
    for (let at = 0; at < length; at += stretch) {
      const bytes = scratch.subarray(0, (Math.min(stretch, length - at) / block) * blockBytes);
      const position = entry.begin + ((first + from + at) / block) * blockBytes;
      if (readSync(fd, bytes, 0, bytes.length, position) !== bytes.length)
        throw new TintypeError('io', { what: `${path} ended while it was being read` });
      use(bytes, at);
    }
  };
  const read = (into: Float32Array, from: number): void =>
    stretches(from, into.length, (bytes, at) => decode(bytes, into.subarray(at, at + stretch)));
  const columns = shape.length === 1 ? 1 : shape.at(-1)!;
  const headRows = heads === null ? 0 : shape[0] / heads;
  /** Row of a head in the file: component i of the first half and of the second are neighbours there. */
  const storedRow = (row: number): number => {
    const within = row % headRows;
    const half = headRows / 2;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  };
  const readFloatsInto = (into: Float32Array, _: TensorEntry, from: number): void => {
    if (heads === null) {
      read(into, from);
      return;
    }
    for (let at = 0; at < into.length; at += columns)
      read(into.subarray(at, at + columns), storedRow((from + at) / columns) * columns);
  };
  const readQuantized = (): Pick<QuantizedTensor, 'packed' | 'scales'> => {
    const count = elementCount(shape);
    const packed = new Uint8Array(count);
    const scales = new Float32Array(count / block);
    const rows = heads === null ? 1 : shape[0];
    const length = count / rows;
    for (let row = 0; row < rows; row++) {
      stretches((heads === null ? 0 : storedRow(row)) * length, length, (bytes, at) => {
        const to = row * length + at;
        unpackQ8_0(bytes, packed.subarray(to), scales.subarray(to / block));
      });
    }
    return { packed, scales };
  };
  const readFloatsSync = (tensor: TensorEntry): Float32Array => {
    const floats = new Float32Array(elementCount(shape));
    readFloatsInto(floats, tensor, 0);
    return floats;
  };
  const readSyncBytes = (tensor: TensorEntry): Uint8Array =>
    new Uint8Array(readFloatsSync(tensor).buffer as ArrayBuffer);
  const file: SafetensorsFile = {
    path,
    sizeBytes,
    header: { entries: [], metadata: {}, text: '' },
    read: async (tensor) => readSyncBytes(tensor),
    readFloats: async (tensor) => readFloatsSync(tensor),
    readSync: readSyncBytes,
    readFloatsSync,
    readFloatsInto,
    close,
  };
  return {
    file,
    entry: { name, dtype: 'F32', shape, begin: 0, end: 4 * elementCount(shape) },
    ...(entry.type === 'Q8_0' && { quantized: { block, readSync: readQuantized } }),
  };
}
