/** From a folder to something that decodes. */
import { nodeRuntime } from '../graph/node.ts';
import { TintypeError } from '../errors.ts';
import { createTokenizer } from '../text/json.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type Converted, convertedWeights } from './converted.ts';
import { bigramsOf } from './bigrams.ts';
import type { Denoiser } from './denoiser.ts';
import type { Overrides } from './config-json.ts';
import { verifyHashes } from './files.ts';
import type { Description } from './hf.ts';
import { memoryNeed, wantMemory } from './memory.ts';
import { createDenoiser, type DenoiserOptions, isPortable, LARGE_BYTES, plainVariant } from './native.ts';
import { type LoadedWeights, withWeights } from './quantized-folder.ts';
import { bytesOf, type Precision } from './quantize.ts';
import { buildSteppingGraph } from './stepping.ts';
import { readWeights } from './stored-weights.ts';

export interface LoadedModel {
  denoiser: Denoiser;
  /** null where the folder has none. */
  tokenizer: Tokenizer | null;
  description: Description;
}

export interface LoadDenoiserOptions extends Omit<DenoiserOptions, 'bigrams'> {
  /** Facts that the folder does not say, or says wrongly. */
  overrides?: Overrides | undefined;
  /** Keeps the converted weights of a large model for the next time (default). */
  cache?: boolean | undefined;
  /** Told while the weights of a large model are converted. */
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Loads a Hugging Face folder. A large model's weights are converted into a file, unless one is there, and mapped.
 * Errors: those of `loadWeights`; `bad_option` for quantised weights that are not to be packed; `not_enough_memory`, before any weight is read; `io` where the file has no room.
 */
export async function loadDenoiser(
  dir: string,
  { precision: asked, overrides, cache = true, onProgress, ...options }: LoadDenoiserOptions = {},
): Promise<LoadedModel> {
  return withWeights(dir, { precision: asked, overrides, verify: false }, async (loaded, precision) => {
    if (options.packed === false && precision !== 'f32') {
      throw new TintypeError('bad_option', {
        what: 'only weights in f32 can stay unpacked',
        got: precision,
        next: 'leave --unpacked out: fewer bits load fast anyway',
      });
    }
    const { description, weights } = loaded;
    const { config, weightFiles, tokenizerJson } = description;
    const weightBytes = [...weights.values()].reduce((sum, weight) => sum + bytesOf(weight), 0);
    const isLarge = weightBytes > (options.largeBytes ?? LARGE_BYTES);
    // Hashes of a large model's weights are looked at when they are converted.
    const small = description.textFiles;
    description.sha256 = await verifyHashes(dir, isLarge ? small : [...small, ...weightFiles]);
    const tokenizer = tokenizerJson ? createTokenizer(tokenizerJson) : null;
    const bigrams = bigramsOf(description);
    const runtime = await nodeRuntime();
    if (!isLarge) {
      const denoiser = createDenoiser(runtime, config, readWeights(weights), { ...options, bigrams });
      return { denoiser, tokenizer, description };
    }
    const portable = isPortable(options);
    const stored = await convert(loaded, precision, { cache, onProgress, portable });
    const denoiser = createDenoiser(runtime, config, weights, { ...options, bigrams, stored });
    const close = async (): Promise<void> => {
      await denoiser.close();
      await stored.release();
    };
    return { denoiser: { ...denoiser, close }, tokenizer, description };
  });
}

interface Convert {
  cache: boolean;
  onProgress: LoadDenoiserOptions['onProgress'];
  portable: boolean;
}

function convert(
  { description, weights }: LoadedWeights,
  precision: Precision,
  { cache: keep, onProgress, portable }: Convert,
): Promise<Converted> {
  const { dir, config, weightFiles } = description;
  const need = memoryNeed(weights, config.gemma !== undefined);
  const smaller = { f32: 'precision int8', int8: 'precision int4', int4: 'a smaller model' }[precision];
  const next = `close other programs, or use ${smaller}`;
  wantMemory(`the model in ${dir} does not fit into memory in ${precision}`, need.residentBytes, next);
  return convertedWeights({
    dir,
    weightFiles,
    config,
    precision,
    graph: buildSteppingGraph(config, weights, { ...plainVariant, portable }),
    keep,
    verify: async () => {
      wantMemory(
        `converting the weights in ${dir} needs more memory`,
        need.convertBytes,
        'close other programs',
      );
      return verifyHashes(dir, weightFiles);
    },
    onProgress,
  });
}
