/** From a folder to something that decodes. */
import { nodeRuntime } from '../graph/node.ts';
import { createTokenizer } from '../text/json.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Denoiser } from './denoiser.ts';
import { loadCheckpoint, type Description } from './hf.ts';
import { createDenoiser, type DenoiserOptions } from './native.ts';

export interface LoadedModel {
  denoiser: Denoiser;
  /** null where the folder has none. */
  tokenizer: Tokenizer | null;
  description: Description;
}

/** Loads a Hugging Face folder. Errors: those of `loadCheckpoint`. */
export async function loadDenoiser(dir: string, options: DenoiserOptions = {}): Promise<LoadedModel> {
  const { tensors, ...description } = await loadCheckpoint(dir);
  return {
    denoiser: createDenoiser(await nodeRuntime(), description.config, tensors, options),
    tokenizer: description.tokenizerJson ? createTokenizer(description.tokenizerJson) : null,
    description,
  };
}
