/** Which stored tensor is which parameter, and whether they are the model's; wherever the bytes are. */
import { TintypeError } from '../errors.ts';
import { elementCount, familyName, type ModelConfig } from './config.ts';
import { namesOf } from './family.ts';
import type { SafetensorsFile } from './files.ts';
import { type NameMap, partSpans, QWEN_NAMES, storedName, storedShapes } from './names.ts';
import { type Precision, type QuantizedTensor, scalesOf, storedFormats, storedShapeOf } from './quantize.ts';
import { DTYPE_BYTES, type FloatDtype, isFloatDtype, type TensorEntry } from './safetensors.ts';

export const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';

/**
 * Buffers that some exporters store although they follow from the config, or are read in training alone (BD3-LM); and what
 * sees images, which this program does not (DiffusionGemma).
 */
const UNREAD =
  /(^|\.)rotary_emb\.inv_freq$|^sampling_eps_(min|max)$|^model\.encoder\.(vision_tower|embed_vision)\./;

export interface StoredTensor {
  file: SafetensorsFile;
  entry: TensorEntry;
  /** A matrix that is stored in 8 bits and blocks (GGUF's Q8_0), as it is. */
  quantized?: { block: number; readSync: () => Pick<QuantizedTensor, 'packed' | 'scales'> };
}

/**
 * The tensors of some files by the names of `parameterShapes`, whatever the files call them. Names and shapes are
 * checked against the config; `where` names the files in errors. Errors: `bad_checkpoint`.
 */
export function storedTensors(
  files: readonly SafetensorsFile[],
  config: ModelConfig,
  { precision, where }: { precision: Precision; where: string },
): Map<string, StoredTensor> {
  // Quantised folders are our own, and keep our names.
  const names = precision === 'f32' ? namesOf(config) : QWEN_NAMES;
  const found = collect(files);
  checkTensors(found, config, { precision, names, where });
  return byParameter(found, config, names);
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
  { precision, names, where }: { precision: Precision; names: NameMap; where: string },
): void {
  const wanted = new Map(storedShapes(config, names).map(({ name, shape }) => [name, shape]));
  for (const [name, format] of storedFormats(config, precision, (name) => stored.get(name)?.entry.shape)) {
    wanted.set(name, storedShapeOf(format));
    wanted.set(scalesOf(name), storedShapeOf(format).slice(0, 2));
  }
  const missing = [...wanted.keys()].filter((name) => !stored.has(name));
  if (config.tiedHead && precision === 'f32')
    wanted.set(storedName(HEAD, names), [config.vocabSize, config.width]);
  const extra = [...stored.keys()].filter((name) => !wanted.has(name) && !UNREAD.test(name));
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
    what: `the tensors in ${where} are not those that its config.json describes`,
    got: faults.join('; '),
    wanted: `${wanted.size} tensors of a ${familyName(config)} model with ${config.layers} layers of width ${config.width}`,
    next: `check that config.json and the weights belong together`,
  });
}

/** The dtype that holds the most elements; F32 if there are none. */
export function mainDtype(entries: readonly TensorEntry[]): FloatDtype {
  const elements = new Map<FloatDtype, number>();
  for (const { dtype, shape } of entries) {
    if (isFloatDtype(dtype)) elements.set(dtype, (elements.get(dtype) ?? 0) + elementCount(shape));
  }
  return [...elements].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 'F32';
}
