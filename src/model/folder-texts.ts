/** What stands in a model folder besides weights, read. */
import { join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { fromVocabAndMerges } from '../text/vocab-merges.ts';
import type { Json } from './family.ts';
import { readTextIfAny } from './files.ts';
import type { Texts } from './texts.ts';
import { readJson } from './weights.ts';

export const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
];

export async function readTokenizer(
  dir: string,
): Promise<Pick<Texts, 'tokenizerFiles' | 'tokenizerJson' | 'tokenizerConfig' | 'doubts'>> {
  const tokenizerFiles: Record<string, string> = {};
  for (const name of TOKENIZER_FILES) {
    const text = await readTextIfAny(join(dir, name));
    if (text !== null) tokenizerFiles[name] = text;
  }
  const stated = await readJson(join(dir, 'tokenizer.json'), 'bad_tokenizer');
  return {
    tokenizerFiles,
    ...(stated ? { tokenizerJson: stated, doubts: [] } : older(tokenizerFiles)),
    tokenizerConfig: await readJson(join(dir, 'tokenizer_config.json'), 'bad_tokenizer'),
  };
}

/** The tokenizer of a folder without tokenizer.json, if it has one; the model is of use without. */
function older(files: Readonly<Record<string, string>>): { tokenizerJson: Json | null; doubts: string[] } {
  try {
    return { tokenizerJson: fromVocabAndMerges(files), doubts: [] };
  } catch (error) {
    if (!(error instanceof TintypeError) || error.code !== 'unsupported') throw error;
    const { what, got, next } = error.parts;
    return { tokenizerJson: null, doubts: [`${what} (${got}): ${next}`] };
  }
}
