/** Tiny random models that read and write text, in memory and as folders. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Layout } from '../src/model/config.ts';
import { saveCheckpoint } from '../src/model/hf.ts';
import { createParameters, initialise, toTensors } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';
import { createTokenizer } from '../src/text/json.ts';
import type { Tokenizer } from '../src/text/tokenizer.ts';
import { tinyConfig } from './tiny.ts';

const tokenizerText = readFileSync(
  fileURLToPath(new URL('golden/tokenizer/tokenizer.json', import.meta.url)),
  'utf8',
);

/** 768 tokens; `<|endoftext|>` is 0, `<|mask|>` 2. */
export const codeTokenizer = (): Tokenizer => createTokenizer(JSON.parse(tokenizerText));

export const codeTokenizerJson = () =>
  JSON.parse(tokenizerText) as { added_tokens: { id: number; content: string }[] };

/** Writes a model folder; its text is noise, the same for the same seed. */
export async function saveTextModel(dir: string, layout: Layout, seed = 3): Promise<void> {
  const tiny = tinyConfig(layout);
  const tokens = { ...tiny.tokens, mask: tiny.tokens.mask === null ? null : 2 };
  const config = { ...tiny, vocabSize: codeTokenizer().vocabSize, tokens };
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(seed));
  await saveCheckpoint(dir, {
    config,
    tensors: toTensors(parameters),
    tokenizerFiles: { 'tokenizer.json': tokenizerText },
  });
}
