/** From a folder to something that decodes. */
import { nodeRuntime } from '../graph/node.ts';
import { createTokenizer } from '../text/json.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Denoiser } from './denoiser.ts';
import type { Overrides } from './config-json.ts';
import type { Description } from './hf.ts';
import { createDenoiser, type DenoiserOptions } from './native.ts';
import { loadWeights } from './quantized-folder.ts';

export interface LoadedModel {
  denoiser: Denoiser;
  /** null where the folder has none. */
  tokenizer: Tokenizer | null;
  description: Description;
}

export interface LoadDenoiserOptions extends DenoiserOptions {
  /** Facts that the folder does not say, or says wrongly. */
  overrides?: Overrides | undefined;
}

/** Loads a Hugging Face folder. Errors: those of `loadWeights`. */
export async function loadDenoiser(
  dir: string,
  { precision, overrides, ...options }: LoadDenoiserOptions = {},
): Promise<LoadedModel> {
  const { weights, description } = await loadWeights(dir, { precision, overrides });
  return {
    denoiser: createDenoiser(await nodeRuntime(), description.config, weights, options),
    tokenizer: description.tokenizerJson ? createTokenizer(description.tokenizerJson) : null,
    description,
  };
}
