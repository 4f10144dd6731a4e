/**
 * Writes texts with tintype's ids for check_tokenizer.py to compare:
 *   npx tsx scripts/reference/check_tokenizer.ts TOKENIZER_DIR CORPUS.jsonl.gz TEXTS.json
 * First come short awkward texts, then the first 300 documents of the corpus.
 */
import { writeFileSync } from 'node:fs';
import { loadTokenizer } from '../../src/text/load.ts';
import { createRng } from '../../src/rng.ts';
import { readCorpus } from '../../src/train/corpus.ts';

const [dir, corpus, out] = process.argv.slice(2) as [string, string, string];
const tokenizer = await loadTokenizer(dir);
const rng = createRng(1);
const ALPHABET = [
  'a',
  'B',
  'é',
  'ß',
  '漢',
  '字',
  '😀',
  '́',
  '\u00a0',
  '\u0085',
  '\ufeff',
  '\u2028',
  '\0',
  '\x7f',
  ' ',
  '  ',
  '\t',
  '\n',
  '\r\n',
  '\r',
  '1',
  '23',
  '٣',
  '_',
  '$',
  '{',
  '};',
  '=>',
  '//',
  "'",
  '<|mask|>',
  'fooBar',
  'HTTPServer',
  'ǅ',
  'ª',
];
const texts = [
  '',
  'export function foo(bar: string): number {\n    return this.bar.length + 12345;\n  }\n',
  '<|endoftext|><|fim_prefix|> stays text',
  ...Array.from({ length: 150 }, () =>
    Array.from({ length: 1 + rng.int(20) }, () => ALPHABET[rng.int(ALPHABET.length)]).join(''),
  ),
];
for await (const { text } of readCorpus([corpus])) {
  texts.push(text);
  if (texts.length >= 453) break;
}
writeFileSync(out, JSON.stringify(texts.map((text) => ({ text, ids: tokenizer.encode(text) }))));
