import { expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { SPECIAL_TOKENS, type Tokenizer } from '../text/tokenizer.ts';
import { createInfill } from './infill.ts';

/** After the special tokens come these, in order. */
const WORDS = ['a', 'return', ' x;', ';\n', 'next', '\n'];
const FIRST = SPECIAL_TOKENS.length;

const tokenizer: Tokenizer = {
  vocabSize: FIRST + WORDS.length,
  encode: (text) => Array.from(text, () => FIRST),
  decode: (ids) => Array.from(ids, (id) => WORDS[id - FIRST] ?? '').join(''),
  bytes: (id) => new TextEncoder().encode(WORDS[id - FIRST] ?? ''),
  special: (token) => SPECIAL_TOKENS.indexOf(token),
  show: String,
};

/** An autoregressive model that writes these words, whatever it reads, and then ends the text. */
function scripted(words: readonly string[]): Denoiser {
  const script = [...words.map((word) => FIRST + WORDS.indexOf(word)), 0];
  const toy = createToyDenoiser({ layout: 'causal', vocabSize: tokenizer.vocabSize });
  let written = 0;
  return {
    ...toy,
    forward: async (runs, want) => {
      const [statistics] = await toy.forward(runs, want);
      return [{ ...statistics, ids: statistics.ids.fill(script[written++], 0, 1) }];
    },
  };
}

const row = { id: 'r', prefix: 'aa', suffix: 'a', middle: 'return x;' };

it.each([
  [['return', ' x;'], 'return x;', 2, 3],
  [['return', ' x;', '\n', 'next'], 'return x;', 2, 3],
  [['return', ';\n', 'next'], 'return;', 2, 2],
  [['\n', 'next'], '', 0, 1],
])('a single line of %j is %j: %d useful tokens, %d forwards', async (words, text, tokens, nfe) => {
  const answer = await createInfill({ denoiser: scripted(words), tokenizer })(row, undefined);
  expect(answer).toEqual({ text, tokens, nfe, elapsedMs: expect.any(Number) });
});

it('goes on over line breaks where the truth has some', async () => {
  const complete = createInfill({ denoiser: scripted(['return', ';\n', 'next']), tokenizer });
  const answer = await complete({ ...row, middle: 'return;\nnext' }, undefined);
  expect(answer).toMatchObject({ text: 'return;\nnext', tokens: 3, nfe: 4 });
});

it('rejects when aborted', async () => {
  const complete = createInfill({ denoiser: scripted(['return']), tokenizer });
  await expect(complete(row, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
