/** The stored weights of a model folder: which file holds which tensor, and whether they are the model's. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode, TintypeError } from '../errors.ts';
import { elementCount, familyName, type ModelConfig } from './config.ts';
import { type Json, namesOf } from './family.ts';
import { openSafetensors, readTextIfAny, type SafetensorsFile } from './files.ts';
import { type NameMap, partSpans, QWEN_NAMES, storedName, storedShapes } from './names.ts';
import { type Precision, quantizedFormats, scalesOf, storedShapeOf } from './quantize.ts';
import { DTYPE_BYTES, type FloatDtype, isFloatDtype, type TensorEntry } from './safetensors.ts';

export const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
export const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';

/** Buffers that some exporters store although they follow from the config, or are read in training alone (BD3-LM). */
const DERIVED = /(^|\.)rotary_emb\.inv_freq$|^sampling_eps_(min|max)$/;

export interface StoredTensor {
  file: SafetensorsFile;
  entry: TensorEntry;
}

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
    // Quantised folders are our own, and keep our names.
    const names = precision === 'f32' ? namesOf(config) : QWEN_NAMES;
    const found = collect(files);
    checkTensors(found, config, { precision, names, dir });
    const stored = byParameter(found, config, names);
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

function collect(files: readonly SafetensorsFile[]): Map<string, StoredTensor> {
  const stored = new Map<string, StoredTensor>();
  for (const file of files) {
    for (const entry of file.header.entries) {
      const other = stored.get(entry.name);
      if (other) {
        throw new TintypeError('bad_checkpoint', {
          what: `two files hold the tensor ${entry.name}`,
          got: `${other.file.path} and ${file.path}`,
        });
      }
      stored.set(entry.name, { file, entry });
    }
  }
  return stored;
}

/** Parameters of a matrix that the file keeps as one are stretches of its bytes. */
function byParameter(
  found: ReadonlyMap<string, StoredTensor>,
  config: ModelConfig,
  names: NameMap,
): Map<string, StoredTensor> {
  const stored = new Map(found);
  for (const each of storedShapes(config, names)) {
    const tensor = found.get(each.name);
    // A quantised matrix has its own two tensors, which are not renamed.
    if (!tensor || (each.parts.length === 1 && each.parts[0].name === each.name)) continue;
    stored.delete(each.name);
    const { file, entry } = tensor;
    const size = DTYPE_BYTES[entry.dtype];
    for (const { name, shape, from, to } of partSpans(each)) {
      const [begin, end] = [entry.begin + from * size, entry.begin + to * size];
      stored.set(name, { file, entry: { ...entry, name, shape, begin, end } });
    }
  }
  const head = storedName(HEAD, names);
  const copy = found.get(head);
  if (config.tiedHead && copy) stored.set(HEAD, copy);
  return stored;
}

/** Names a few of many. */
function someOf(items: readonly string[]): string {
  const shown = items.slice(0, 4).join(', ');
  return items.length > 4 ? `${shown} and ${items.length - 4} more` : shown;
}

function checkTensors(
  stored: ReadonlyMap<string, StoredTensor>,
  config: ModelConfig,
  { precision, names, dir }: { precision: Precision; names: NameMap; dir: string },
): void {
  const wanted = new Map(storedShapes(config, names).map(({ name, shape }) => [name, shape]));
  for (const [name, format] of quantizedFormats(config, precision)) {
    wanted.set(name, storedShapeOf(format));
    wanted.set(scalesOf(name), storedShapeOf(format).slice(0, 2));
  }
  const missing = [...wanted.keys()].filter((name) => !stored.has(name));
  if (config.tiedHead && precision === 'f32')
    wanted.set(storedName(HEAD, names), [config.vocabSize, config.width]);
  const extra = [...stored.keys()].filter((name) => !wanted.has(name) && !DERIVED.test(name));
  const misshapen: string[] = [];
  for (const [name, shape] of wanted) {
    const found = stored.get(name)?.entry.shape;
    if (found && String(found) !== String(shape)) misshapen.push(`${name} is [${found}], not [${shape}]`);
  }
  const faults = Object.entries({ missing, extra, 'of the wrong shape': misshapen })
    .filter(([, names]) => names.length > 0)
    .map(([fault, names]) => `${names.length} ${fault}: ${someOf(names)}`);
  if (faults.length === 0) return;
  throw new TintypeError('bad_checkpoint', {
    what: `the tensors in ${dir} are not those that its config.json describes`,
    got: faults.join('; '),
    wanted: `${wanted.size} tensors of a ${familyName(config)} model with ${config.layers} layers of width ${config.width}`,
    next: `check that config.json and the weights belong together`,
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

/** The dtype that holds the most elements; F32 if there are none. */
export function mainDtype(entries: readonly TensorEntry[]): FloatDtype {
  const elements = new Map<FloatDtype, number>();
  for (const { dtype, shape } of entries) {
    if (isFloatDtype(dtype)) elements.set(dtype, (elements.get(dtype) ?? 0) + elementCount(shape));
  }
  return [...elements].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 'F32';
}
