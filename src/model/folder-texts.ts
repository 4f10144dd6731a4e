/** What stands in a model folder besides weights, read. */
import { join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { fromVocabAndMerges } from '../text/vocab-merges.ts';
import { familyName } from './config.ts';
import { familyById, type Json } from './family.ts';
import { readTextIfAny } from './files.ts';
import type { Description } from './hf.ts';
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

/**
 * The tokenizer of a model folder, or that of the folder which was named instead. Errors: `bad_tokenizer`, also where a
 * named folder has none.
 */
export async function readTokenizer(
  folder: string,
  named?: string,
): Promise<Pick<Texts, 'tokenizerFiles' | 'tokenizerJson' | 'tokenizerConfig' | 'doubts'>> {
  const dir = named ?? folder;
  const tokenizerFiles: Record<string, string> = {};
  for (const name of TOKENIZER_FILES) {
    const text = await readTextIfAny(join(dir, name));
    if (text !== null) tokenizerFiles[name] = text;
  }
  const stated = await readJson(join(dir, 'tokenizer.json'), 'bad_tokenizer');
  const read = stated ? { tokenizerJson: stated, doubts: [] } : older(tokenizerFiles);
  if (named !== undefined && read.tokenizerJson === null) {
    throw new TintypeError('bad_tokenizer', {
      what: `there is no tokenizer in ${named}`,
      wanted: 'a folder with tokenizer.json, or with vocab.json and merges.txt',
      next: 'name the folder itself, not a file in it',
    });
  }
  return {
    tokenizerFiles,
    ...read,
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

/** The tokenizer of a model that is to write text. Errors: `noTokenizer`. */
export function wantTokenizer(description: Description): Json {
  if (description.tokenizerJson) return description.tokenizerJson;
  throw noTokenizer(description);
}

/** `bad_tokenizer`, with the command that brings one where the family says whose it is. */
export function noTokenizer({ dir, config }: Description): TintypeError {
  const { tokenizerFrom } = familyById(familyName(config));
  const place = /\s/.test(dir) ? JSON.stringify(dir) : dir;
  return new TintypeError('bad_tokenizer', {
    what: `the model in ${dir} has no tokenizer, so it writes no text`,
    wanted: 'tokenizer.json in its folder',
    next: tokenizerFrom
      ? `tintype pull ${tokenizerFrom} --tokenizer-only --dir ${place}, or name a folder that has one with --tokenizer DIR`
      : 'name a folder that has the right one with --tokenizer DIR',
  });
}
