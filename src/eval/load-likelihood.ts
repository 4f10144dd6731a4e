/** From a model folder to likelihoods of text. */
import { TintypeError } from '../errors.ts';
import { nodeRuntime } from '../graph/node.ts';
import type { SessionOptions } from '../graph/session.ts';
import type { Overrides } from '../model/config-json.ts';
import { wantTokenizer } from '../model/folder-texts.ts';
import { loadCheckpoint } from '../model/hf.ts';
import { createLikelihood, type Likelihood } from '../model/likelihood.ts';
import { createTokenizer } from '../text/json.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** Longest window by default, in tokens: the bound costs attention over two windows for each. */
const WINDOW_LENGTH = 512;

/**
 * @param options `windowLength`: tokens a window; default 512, or the model's context where that is less
 * Errors: those of `loadCheckpoint`; `bad_tokenizer` for a folder without one; `bad_option`.
 */
export async function loadLikelihood(
  dir: string,
  {
    windowLength,
    overrides,
    ...options
  }: { windowLength?: number | undefined; overrides?: Overrides | undefined } & SessionOptions = {},
): Promise<{ likelihood: Likelihood; tokenizer: Tokenizer }> {
  const checkpoint = await loadCheckpoint(dir, { overrides });
  const { config, tensors } = checkpoint;
  const tokenizer = createTokenizer(wantTokenizer(checkpoint));
  const length = windowLength ?? Math.min(config.contextLength, WINDOW_LENGTH);
  if (length > config.contextLength) {
    throw new TintypeError('bad_option', {
      what: 'the window is longer than the context of the model',
      got: `${length} tokens`,
      wanted: `at most ${config.contextLength}`,
    });
  }
  // One row of 512 fills the cores and stays in their caches; more rows were no faster.
  const rows = Math.max(1, Math.floor(WINDOW_LENGTH / length));
  const likelihood = await createLikelihood(await nodeRuntime(), config, tensors, {
    rows,
    length,
    ...options,
  });
  return { likelihood, tokenizer };
}
