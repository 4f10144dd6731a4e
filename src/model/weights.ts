/** The stored weights of a model folder: which files hold them. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode, TintypeError } from '../errors.ts';
import { elementCount, type ModelConfig } from './config.ts';
import type { Json } from './family.ts';
import { openSafetensors, readTextIfAny, type SafetensorsFile } from './files.ts';
import type { Precision } from './quantize.ts';
import { DTYPE_BYTES, type FloatDtype } from './safetensors.ts';
import { EMBEDDING, HEAD, mainDtype, type StoredTensor, storedTensors } from './stored-tensors.ts';

export const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
export interface StoredWeights {
  files: readonly SafetensorsFile[];
  /** By the names of `parameterShapes`, whatever the files call them. */
  stored: ReadonlyMap<string, StoredTensor>;
  /** The dtype that holds the most elements. */
  dtype: FloatDtype;
  close(): Promise<void>;
}

/** A JSON object from a file, or null where there is no file. Errors: `code`, `io`. */
export async function readJson(path: string, code: ErrorCode): Promise<Json | null> {
  const text = await readTextIfAny(path);
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new TintypeError(code, { what: `${path} is not JSON`, got: (cause as Error).message, cause });
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
  throw new TintypeError(code, { what: `${path} is not a JSON object`, got: text.slice(0, 60) });
}

/**
 * Opens model.safetensors, or the shards of its index, and checks names and shapes against the config without
 * reading a weight. Errors: `not_found`, `bad_checkpoint`.
 */
export async function openWeights(
  dir: string,
  config: ModelConfig,
  precision: Precision = 'f32',
): Promise<StoredWeights> {
  const files: SafetensorsFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.close()));
  };
  try {
    for (const name of await weightFiles(dir)) files.push(await openSafetensors(join(dir, name)));
    const stored = storedTensors(files, config, { precision, where: dir });
    return { files, stored, dtype: mainDtype([...stored.values()].map(({ entry }) => entry)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where both forms are present, the folder was saved again as one file. */
async function weightFiles(dir: string): Promise<string[]> {
  const index = await readJson(join(dir, INDEX), 'bad_checkpoint');
  const isWhole = await access(join(dir, WEIGHTS)).then(
    () => true,
    () => false,
  );
  if (!index || isWhole) return [WEIGHTS];
  const map = index['weight_map'];
  const shards: unknown[] = typeof map === 'object' && map !== null ? Object.values(map) : [];
  const isPlainName = (name: unknown): name is string => /^[\w.-]+\.safetensors$/.test(String(name));
  if (shards.length > 0 && shards.every(isPlainName)) return [...new Set(shards)].toSorted();
  throw new TintypeError('bad_checkpoint', {
    what: `${join(dir, INDEX)} does not say which file holds which tensor`,
    wanted: 'weight_map: an object from tensor names to .safetensors files beside it',
  });
}

/** Bytes that are compared at a time. */
const COMPARED_BYTES = 1 << 22;

/** Whether a head is stored beside the embedding that it is tied to, and is another one. */
export async function hasOtherHead(stored: ReadonlyMap<string, StoredTensor>): Promise<boolean> {
  const [head, embedding] = [stored.get(HEAD), stored.get(EMBEDDING)];
  if (!head || !embedding) return false;
  const isSameType = head.entry.dtype === embedding.entry.dtype;
  const elements = elementCount(head.entry.shape);
  const step = Math.floor(COMPARED_BYTES / DTYPE_BYTES[head.entry.dtype]);
  const part = async ({ file, entry }: StoredTensor, from: number): Promise<Uint8Array | Float32Array> => {
    const size = DTYPE_BYTES[entry.dtype];
    const [begin, end] = [from, Math.min(elements, from + step)].map((at) => entry.begin + at * size);
    const stretch = { ...entry, begin, end };
    return isSameType ? file.read(stretch) : file.readFloats(stretch);
  };
  for (let from = 0; from < elements; from += step) {
    const [a, b] = await Promise.all([part(head, from), part(embedding, from)]);
    const isBytes = a instanceof Uint8Array && b instanceof Uint8Array;
    if (isBytes ? Buffer.compare(a, b) !== 0 : a.some((value, i) => value !== b[i])) return true;
  }
  return false;
}
