/** Reads `tokenizer.json` from a folder. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { createTokenizer } from './json.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * A tokenizer from the folder that holds `tokenizer.json`, or from the parsed file itself.
 * @throws not_found, bad_tokenizer
 */
export async function loadTokenizer(source: string | object): Promise<Tokenizer> {
  return createTokenizer(typeof source === 'string' ? await readTokenizerJson(source) : source);
}

/** The parsed `tokenizer.json` of a folder. @throws not_found, bad_tokenizer */
export async function readTokenizerJson(dir: string): Promise<object> {
  const path = join(dir, 'tokenizer.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TintypeError('not_found', {
      what: 'No tokenizer.json here',
      got: path,
      wanted: 'a folder with tokenizer.json, such as a model folder',
      cause,
    });
  }
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    throw new TintypeError('bad_tokenizer', {
      what: 'tokenizer.json is not JSON',
      got: path,
      next: 'copy the file again',
      cause,
    });
  }
}

/**
 * SHA-256 of a tokenizer file, whatever its white space: shards and checkpoints carry it, so that ids are
 * never read with another vocabulary than the one that wrote them.
 */
export function tokenizerHash(json: object): string {
  return createHash('sha256').update(JSON.stringify(json)).digest('hex');
}
