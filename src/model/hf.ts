/**
 * Hugging Face model folders, in and out: config.json, generation_config.json, model.safetensors (or shards with an
 * index) and the tokenizer's files. Reading checks everything that can be checked before the first weight is
 * used; writing is all or nothing (`files.ts`), and a folder that was read is written back byte for byte.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { TintypeError } from '../errors.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import type { Overrides, Resolution } from './config-json.ts';
import { configToJson } from './config-write.ts';
import { type Json, namesOf } from './family.ts';
import { BIGRAMS } from './bigrams.ts';
import { commitFiles, type Disk, readIfAny, settle, verifyHashes } from './files.ts';
import { joined } from './join.ts';
import { storedName, storedShapes } from './names.ts';
import { readTokenizer } from './folder-texts.ts';
import { isGgufPath, openGguf } from './gguf-folder.ts';
import { type Precision, PRECISIONS } from './quantize.ts';
import {
  bytesFromFloats,
  createHeader,
  type FloatDtype,
  isFloatDtype,
  type SafetensorsHeader,
  safetensorsChunks,
} from './safetensors.ts';
import { EMBEDDING, HEAD, mainDtype, type StoredTensor } from './stored-tensors.ts';
import { CONFIG, resolveTexts, type Texts } from './texts.ts';
import { hasOtherHead, openWeights, readJson, WEIGHTS } from './weights.ts';

export interface Tensor {
  shape: readonly number[];
  data: Float32Array;
}

/** What a folder says about its model, checked. */
export interface Description {
  dir: string;
  config: ModelConfig;
  /** Who said the facts that may come from elsewhere than config.json. */
  origins: Resolution['origins'];
  /** config.json as it stands. */
  rawConfig: Json;
  generationConfig: Json | null;
  /** tokenizer.json, or what it would hold where there are vocab.json and merges.txt instead. */
  tokenizerJson: Json | null;
  /** Texts of the tokenizer's files by name, so that saving copies them byte for byte. */
  tokenizerFiles: Record<string, string>;
  /** `bigrams.safetensors` as it stands, where the folder has one (`bigrams.ts`). */
  bigrams: Uint8Array | null;
  /** Files of the folder that were read, those that hold the weights aside. */
  textFiles: string[];
  /** How most weights are stored, those aside that are quantised. */
  dtype: FloatDtype;
  /** How most weights of a GGUF file are stored, in ggml's words; they are read as floats. */
  ggufType?: string;
  /** `f32`: no weights are quantised. */
  precision: Precision;
  /** Header of model.safetensors; null for shards. */
  header: SafetensorsHeader | null;
  /** Files that hold the weights. */
  weightFiles: string[];
  /** Hashes that were recorded in the folder and found right, by file. */
  sha256: Record<string, string>;
  /** Oddities that do not stop the model from working, as sentences for a person. */
  warnings: string[];
}

export interface Checkpoint extends Description {
  /** One for each of `parameterShapes(config)`, under those names. */
  tensors: Map<string, Tensor>;
}

export interface LoadOptions {
  /** Facts that the files do not say, or say wrongly. */
  overrides?: Overrides | undefined;
  /** Compare files with the hashes recorded in the folder (default). It reads every byte once more. */
  verify?: boolean;
}

export { CONFIG };
export const GENERATION = 'generation_config.json';

/**
 * Loads a folder into float32. Errors: `not_found`; `bad_config`; `bad_tokenizer`; `unsupported`, also for quantised
 * weights, which only decode; `bad_checkpoint` for a broken file, a wrong hash, and missing, extra or misshapen tensors.
 */
export async function loadCheckpoint(dir: string, options: LoadOptions = {}): Promise<Checkpoint> {
  return withFolder(dir, options, async (description, stored) => {
    wantFloats(description);
    const tensors = new Map<string, Tensor>();
    for (const { name, shape } of parameterShapes(description.config)) {
      const { file, entry } = stored.get(name)!;
      tensors.set(name, { shape, data: await file.readFloats(entry) });
    }
    return { ...description, tensors };
  });
}

/** All that `loadCheckpoint` checks except the weights' values, without reading them. Same errors. */
export async function describeCheckpoint(dir: string, options: LoadOptions = {}): Promise<Description> {
  return withFolder(dir, options, async (description) => description);
}

/** Errors: `unsupported` for quantised weights. */
export function wantFloats({ dir, precision }: Description): void {
  if (precision === 'f32') return;
  throw new TintypeError('unsupported', {
    what: `the weights in ${dir} are quantised`,
    got: precision,
    wanted: 'weights in floating point',
    next: 'use the model that it was made from',
  });
}

function precisionOf(config: Json, where: string): Precision {
  const { tintype_precision: stated = 'f32' } = config;
  const precision = PRECISIONS.find((each) => each === stated);
  if (precision) return precision;
  throw new TintypeError('bad_config', {
    what: `${where} states an unknown tintype_precision`,
    got: JSON.stringify(stated),
    wanted: PRECISIONS.join(', '),
    next: 'make the quantised model again',
  });
}

type Use<T> = (description: Description, stored: ReadonlyMap<string, StoredTensor>) => Promise<T>;

/** Opens a folder or a GGUF file, checks all but the values of its weights, and closes it after `use`. */
export async function withFolder<T>(path: string, options: LoadOptions, use: Use<T>): Promise<T> {
  if (isGgufPath(path)) return withGguf(path, options, use);
  const { verify = true, overrides } = options;
  const dir = path;
  await settle(dir);
  const rawConfig = await readJson(join(dir, CONFIG), 'bad_config');
  if (!rawConfig) {
    throw new TintypeError('not_found', {
      what: `there is no model in ${dir}`,
      wanted: `a folder with ${CONFIG}, ${WEIGHTS} and tokenizer.json, or a GGUF file`,
      next: 'check the path',
    });
  }
  const generationConfig = await readJson(join(dir, GENERATION), 'bad_config');
  const texts: Texts = { rawConfig, generationConfig, ...(await readTokenizer(dir, overrides?.tokenizer)) };
  const where = join(dir, CONFIG);
  const resolution = resolveTexts(texts, { where, name: basename(resolve(dir)), overrides });
  const precision = precisionOf(rawConfig, where);
  const bigrams = await readIfAny(join(dir, BIGRAMS));
  const weights = await openWeights(dir, resolution.config, precision);
  try {
    const weightFiles = weights.files.map(({ path: file }) => basename(file));
    const textFiles = [
      CONFIG,
      ...(generationConfig ? [GENERATION] : []),
      ...(overrides?.tokenizer === undefined ? Object.keys(texts.tokenizerFiles) : []),
      ...(bigrams ? [BIGRAMS] : []),
    ];
    const { tokenizerConfig: _, doubts, ...files } = texts;
    // A quantised head is a tensor of its own by design.
    const { config, warnings } = resolution;
    if (config.tiedHead && precision === 'f32' && (await hasOtherHead(weights.stored))) {
      warnings.push(`${HEAD} differs from the embedding but ${dir} ties them: the embedding is used`);
    }
    const description: Description = {
      dir,
      ...resolution,
      ...files,
      bigrams,
      textFiles,
      dtype: weights.dtype,
      precision,
      header: weightFiles[0] === WEIGHTS ? weights.files[0].header : null,
      weightFiles,
      sha256: verify ? await verifyHashes(dir, [...textFiles, ...weightFiles]) : {},
      warnings: [...doubts, ...warnings],
    };
    return await use(description, weights.stored);
  } finally {
    await weights.close();
  }
}

async function withGguf<T>(path: string, options: LoadOptions, use: Use<T>): Promise<T> {
  const { verify = true, overrides } = options;
  const dir = dirname(resolve(path));
  const beside = await readTokenizer(dir, overrides?.tokenizer);
  const hasTokenizer = beside.tokenizerJson !== null;
  const gguf = await openGguf(path, { family: overrides?.family, hasTokenizer });
  try {
    const { config, generation, tokenizer, tokenizerConfig } = gguf.texts;
    const inside = {
      tokenizerFiles: {
        ...(tokenizer ? { 'tokenizer.json': JSON.stringify(tokenizer) } : {}),
        'tokenizer_config.json': JSON.stringify(tokenizerConfig),
      },
      tokenizerJson: tokenizer,
      tokenizerConfig,
      doubts: [],
    };
    const texts: Texts = {
      rawConfig: config,
      generationConfig: generation,
      ...(hasTokenizer ? beside : inside),
    };
    const resolution = resolveTexts(texts, { where: path, name: basename(path), overrides });
    const stored = gguf.tensors(resolution.config);
    const { tokenizerConfig: _, doubts, ...files } = texts;
    const weightFiles = [basename(path)];
    const description: Description = {
      dir,
      ...resolution,
      ...files,
      bigrams: null,
      textFiles: [],
      dtype: gguf.dtype,
      ggufType: gguf.type,
      precision: 'f32',
      header: null,
      weightFiles,
      sha256: verify ? await verifyHashes(dir, weightFiles) : {},
      warnings: [...doubts, ...resolution.warnings],
    };
    return await use(description, stored);
  } finally {
    await gguf.close();
  }
}

/** What to save. A loaded `Checkpoint` is one; a new model needs only the first two. */
export interface SaveRequest {
  config: ModelConfig;
  tensors: ReadonlyMap<string, Tensor>;
  /** Default F32. Values are rounded to nearest even. */
  dtype?: FloatDtype;
  /** Layout of the file that was read, kept where it still fits. */
  header?: SafetensorsHeader | null;
  rawConfig?: Json | null;
  generationConfig?: Json | null;
  tokenizerFiles?: Readonly<Record<string, string>>;
  /** Further files of the same transaction, say the optimizer's state. */
  extraFiles?: Readonly<Record<string, Iterable<Uint8Array>>>;
  /** For tests of full and dying disks. */
  disk?: Disk;
}

/**
 * Saves a folder, all files or none; the previous checkpoint in it stays loadable until the new one is complete.
 * Files of others in the folder are left alone. Errors: `io`; `bad_config`; `bad_checkpoint` for tensors that are
 * not the config's.
 */
export async function saveCheckpoint(dir: string, request: SaveRequest): Promise<void> {
  const { config, dtype = 'F32', tokenizerFiles = {}, extraFiles = {}, disk } = request;
  const tensorOf = tensorsOf(request);
  const header = request.header && fits(request.header, request) ? request.header : newHeader(request);
  const json = configToJson(config, dtype, request.rawConfig ?? null, request.generationConfig ?? null);
  const text = (content: string): Uint8Array[] => [new TextEncoder().encode(content)];
  const weights = safetensorsChunks(header, ({ name, dtype }) =>
    bytesFromFloats(dtype as FloatDtype, tensorOf(name)!.data),
  );
  await commitFiles(
    dir,
    [
      [CONFIG, text(`${JSON.stringify(json.config, null, 2)}\n`)],
      [GENERATION, text(`${JSON.stringify(json.generation, null, 2)}\n`)],
      ...Object.entries(tokenizerFiles).map(([name, content]) => [name, text(content)] as const),
      ...Object.entries(extraFiles),
      [WEIGHTS, weights],
    ],
    disk,
  );
}

/** Stored tensors of the request by name; a stored copy of a tied head is the embedding. */
function tensorsOf({ config, tensors }: SaveRequest): (name: string) => Tensor | undefined {
  const names = namesOf(config);
  const shapes = new Map(storedShapes(config, names).map((each) => [each.name, each]));
  return (name) => {
    if (config.tiedHead && name === storedName(HEAD, names)) return tensors.get(EMBEDDING);
    const parts = shapes.get(name)?.parts.map((part) => tensors.get(part.name));
    if (!parts?.every((part) => part !== undefined)) return undefined;
    // What is one matrix in the file is several parameters, rows below rows.
    return parts.length === 1
      ? parts[0]
      : { shape: shapes.get(name)!.shape, data: joined(parts.map(({ data }) => data)) };
  };
}

function fits(header: SafetensorsHeader, request: SaveRequest): boolean {
  const { config, dtype = 'F32' } = request;
  const names = new Set(header.entries.map(({ name }) => name));
  const tensorOf = tensorsOf(request);
  return (
    mainDtype(header.entries) === dtype &&
    storedShapes(config, namesOf(config)).every(({ name }) => names.has(name)) &&
    header.entries.every(({ name, dtype, shape }) => {
      return isFloatDtype(dtype) && String(tensorOf(name)?.shape) === String(shape);
    })
  );
}

function newHeader({ config, tensors, dtype = 'F32' }: SaveRequest): SafetensorsHeader {
  const shapes = parameterShapes(config);
  for (const { name, shape } of shapes) {
    const tensor = tensors.get(name);
    if (tensor?.data.length === elementCount(shape)) continue;
    throw new TintypeError('bad_checkpoint', {
      what: `the tensor ${name} to be saved is not the model's`,
      got: tensor ? `${tensor.data.length} elements` : 'no such tensor',
      wanted: `[${shape}]`,
    });
  }
  return createHeader(
    storedShapes(config, namesOf(config)).map(({ name, shape }) => ({ name, dtype, shape })),
  );
}
