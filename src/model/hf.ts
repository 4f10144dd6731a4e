/**
 * Hugging Face model folders, in and out: config.json, generation_config.json, model.safetensors (or shards with an
 * index) and the tokenizer's files. Reading checks everything that can be checked before the first weight is
 * used; writing is all or nothing (`files.ts`), and a folder that was read is written back byte for byte.
 */
import { basename, join, resolve } from 'node:path';
import { TintypeError } from '../errors.ts';
import { tokenizerFromFiles } from '../text/vocab-merges.ts';
import { elementCount, type ModelConfig, parameterShapes } from './config.ts';
import { type Overrides, type Resolution, resolveConfig } from './config-json.ts';
import { configToJson } from './config-write.ts';
import { type Json, namesOf } from './family.ts';
import { commitFiles, type Disk, readTextIfAny, settle, verifyHashes } from './files.ts';
import { joined } from './join.ts';
import { storedName, storedShapes } from './names.ts';
import { type Precision, PRECISIONS } from './quantize.ts';
import {
  bytesFromFloats,
  createHeader,
  type FloatDtype,
  isFloatDtype,
  type SafetensorsHeader,
  safetensorsChunks,
} from './safetensors.ts';
import {
  EMBEDDING,
  hasOtherHead,
  HEAD,
  mainDtype,
  openWeights,
  readJson,
  type StoredTensor,
  WEIGHTS,
} from './weights.ts';

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
  tokenizerJson: Json | null;
  /** Texts of the tokenizer's files by name, so that saving copies them byte for byte. */
  tokenizerFiles: Record<string, string>;
  /** How most weights are stored, those aside that are quantised. */
  dtype: FloatDtype;
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

export const CONFIG = 'config.json';
export const GENERATION = 'generation_config.json';
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
];

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

/** Opens a folder, checks all of it but the values of its weights, and closes it after `use`. */
export async function withFolder<T>(
  dir: string,
  { verify = true, overrides }: LoadOptions,
  use: (description: Description, stored: ReadonlyMap<string, StoredTensor>) => Promise<T>,
): Promise<T> {
  await settle(dir);
  const rawConfig = await readJson(join(dir, CONFIG), 'bad_config');
  if (!rawConfig) {
    throw new TintypeError('not_found', {
      what: `there is no model in ${dir}`,
      wanted: `a folder with ${CONFIG}, ${WEIGHTS} and tokenizer.json`,
      next: 'check the path',
    });
  }
  const generationConfig = await readJson(join(dir, GENERATION), 'bad_config');
  const tokenizerFiles: Record<string, string> = {};
  for (const name of TOKENIZER_FILES) {
    const text = await readTextIfAny(join(dir, name));
    if (text !== null) tokenizerFiles[name] = text;
  }
  const tokenizerJson =
    (await readJson(join(dir, 'tokenizer.json'), 'bad_tokenizer')) ?? tokenizerFromFiles(tokenizerFiles, dir);
  const tokenizerConfig = await readJson(join(dir, 'tokenizer_config.json'), 'bad_tokenizer');
  const tokens = new Map(addedTokens(tokenizerJson ?? {}).map(({ id, content }) => [content, id]));
  const special = (key: string): number | null => {
    const stated = tokenizerConfig?.[key];
    const text = typeof stated === 'string' ? stated : (stated as AddedToken | null | undefined)?.content;
    return (text === undefined ? undefined : tokens.get(text)) ?? null;
  };
  const { config, origins, warnings } = resolveConfig(rawConfig, {
    generation: generationConfig,
    tokenizerMask: special('mask_token') ?? spelledMask(tokens),
    tokenizerPad: special('pad_token'),
    tokenizerEos: special('eos_token'),
    addedTokens: tokens,
    where: join(dir, CONFIG),
    name: basename(resolve(dir)),
    overrides,
  });
  if (tokenizerJson) checkTokenizer(tokenizerJson, config, dir);

  const precision = precisionOf(rawConfig, join(dir, CONFIG));
  const weights = await openWeights(dir, config, precision);
  try {
    const weightFiles = weights.files.map(({ path }) => basename(path));
    const present = [
      CONFIG,
      ...(generationConfig ? [GENERATION] : []),
      ...Object.keys(tokenizerFiles),
      ...weightFiles,
    ];
    // A quantised head is a tensor of its own by design.
    if (config.tiedHead && precision === 'f32' && (await hasOtherHead(weights.stored))) {
      warnings.push(`${HEAD} differs from the embedding but ${dir} ties them: the embedding is used`);
    }
    const description: Description = {
      dir,
      config,
      origins,
      rawConfig,
      generationConfig,
      tokenizerJson,
      tokenizerFiles,
      dtype: weights.dtype,
      precision,
      header: weightFiles[0] === WEIGHTS ? weights.files[0].header : null,
      weightFiles,
      sha256: verify ? await verifyHashes(dir, present) : {},
      warnings,
    };
    return await use(description, weights.stored);
  } finally {
    await weights.close();
  }
}

interface AddedToken {
  id: number;
  content: string;
}

const addedTokens = (tokenizer: Json): AddedToken[] =>
  (tokenizer['added_tokens'] as AddedToken[] | undefined) ?? [];

/** How families spell the mask, case aside. */
const MASK_SPELLINGS = ['<|mask|>', '<|mdm_mask|>', '|<mask>|', '<[mask_token]>', '<[mask]>', '[mask]'];

/** A token that is spelled like a mask. */
function spelledMask(tokens: ReadonlyMap<string, number>): number | null {
  const byText = new Map([...tokens].map(([text, id]) => [text.toLowerCase(), id]));
  return MASK_SPELLINGS.map((text) => byText.get(text)).find((id) => id !== undefined) ?? null;
}

/** Rows beyond the tokenizer's last id are padding; ids beyond the rows have no embedding. */
function checkTokenizer(tokenizer: Json, { vocabSize }: ModelConfig, dir: string): void {
  const vocabulary = (tokenizer['model'] as Json | undefined)?.['vocab'] ?? {};
  let size = 0;
  for (const id of Object.values(vocabulary)) size = Math.max(size, Number(id) + 1);
  for (const { id } of addedTokens(tokenizer)) size = Math.max(size, id + 1);
  if (size <= vocabSize) return;
  throw new TintypeError('bad_tokenizer', {
    what: `the tokenizer in ${dir} is too large for its model`,
    got: `ids up to ${size - 1}`,
    wanted: `ids below ${vocabSize}, the vocab_size of ${CONFIG}`,
    next: 'use the tokenizer that the model was trained with',
  });
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
