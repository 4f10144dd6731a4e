/** Requests of the fill-in-the-middle evaluation, answered by a model in this process. */
import { completeText, type CompleteOptions, type TextModel } from '../decode/complete.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { isSingleLine, type Complete } from './fim.ts';

/**
 * Of a row longer than the context the text nearest to the gap is kept. A row whose truth is a single line asks for a
 * single line, as an editor does: decoding ends with the block that holds a line break, and tokens from there on are
 * not useful. Errors: those of `completeText`.
 */
export function createInfill(model: TextModel, options: CompleteOptions = {}): Complete {
  return async ({ prefix, suffix, middle }, signal) => {
    const startMs = performance.now();
    const stop = isSingleLine(middle) ? ['\n'] : [];
    const { text, done } = await completeText(model, { prefix, suffix }, { ...options, stop, signal });
    const elapsedMs = performance.now() - startMs;
    if (done.reason === 'aborted') signal?.throwIfAborted();
    return { text, tokens: countTokens(model.tokenizer, done.ids, text), nfe: done.nfe, elapsedMs };
  };
}

/** How many of the tokens begin inside a text that starts with them. */
export function countTokens(tokenizer: Tokenizer, ids: readonly number[], text: string): number {
  const end = new TextEncoder().encode(text).length;
  let count = 0;
  for (let at = 0; count < ids.length && at < end; count++) at += tokenizer.bytes(ids[count]).length;
  return count;
}
