/** A model folder whose files are in memory, as a browser has them. What is checked is what `hf.ts` checks. */
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import type { Json } from './family.ts';
import type { SafetensorsFile } from './files.ts';
import type { Weights } from './quantize.ts';
import { DTYPE_BYTES, floatsFromBytes, parseSafetensors } from './safetensors.ts';
import type { FloatDtype, TensorEntry } from './safetensors.ts';
import { storedTensors } from './stored-tensors.ts';
import { deferredWeights, readWeights } from './stored-weights.ts';
import { resolveTexts } from './texts.ts';

export interface FolderTexts {
  config: ModelConfig;
  tokenizerJson: Json;
  /** The texts, by name. */
  files: Readonly<Record<string, string>>;
}

/**
 * Config and tokenizer. `files`: texts by name; config.json and tokenizer.json are needed. Errors: `bad_config`,
 * `bad_tokenizer`, `unsupported`.
 */
export function readTexts(name: string, files: Readonly<Record<string, string>>): FolderTexts {
  const json = (file: string): Json | null =>
    files[file] === undefined ? null : (JSON.parse(files[file]) as Json);
  const [rawConfig, tokenizerJson] = [json('config.json'), json('tokenizer.json')];
  if (rawConfig === null || tokenizerJson === null) {
    throw new TintypeError('not_found', {
      what: `${name} is not whole`,
      got: Object.keys(files).join(', '),
      wanted: 'config.json and tokenizer.json',
    });
  }
  const texts = {
    rawConfig,
    generationConfig: json('generation_config.json'),
    tokenizerFiles: { ...files },
    tokenizerJson,
    tokenizerConfig: json('tokenizer_config.json'),
    doubts: [],
  };
  const { config } = resolveTexts(texts, { where: `${name}/config.json`, name, overrides: undefined });
  return { config, tokenizerJson, files };
}

/** The weights of model.safetensors in float32. Errors: `bad_checkpoint`. */
export function weightsOfBytes(name: string, bytes: Uint8Array, config: ModelConfig): Weights {
  const stored = storedTensors([memoryFile(name, bytes)], config, { precision: 'f32', where: name });
  return readWeights(deferredWeights(config, stored, { storedAs: 'f32', precision: 'f32' }));
}

/** A safetensors file that is in memory. Errors: `bad_checkpoint`. */
function memoryFile(path: string, bytes: Uint8Array): SafetensorsFile {
  const { header } = parseSafetensors(bytes, path);
  const dataStart = bytes.length - (header.entries.at(-1)?.end ?? 0);
  const readSync = ({ begin, end }: TensorEntry): Uint8Array =>
    bytes.subarray(dataStart + begin, dataStart + end);
  const readFloatsSync = (entry: TensorEntry): Float32Array =>
    floatsFromBytes(entry.dtype as FloatDtype, readSync(entry));
  return {
    path,
    sizeBytes: bytes.length,
    header,
    readSync,
    readFloatsSync,
    read: async (entry) => readSync(entry),
    readFloats: async (entry) => readFloatsSync(entry),
    readFloatsInto: (into, entry, from) => {
      const width = DTYPE_BYTES[entry.dtype];
      const begin = entry.begin + from * width;
      into.set(readFloatsSync({ ...entry, begin, end: begin + into.length * width }));
    },
    close: async () => {},
  };
}
