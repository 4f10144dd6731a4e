import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BYTE_TO_CHAR } from './alphabet.ts';
import { createTokenizer } from './json.ts';
import { fromVocabAndMerges } from './vocab-merges.ts';

const MERGES = [
  ['h', 'e'],
  ['l', 'l'],
  ['he', 'll'],
  ['hell', 'o'],
  ["'", 's'],
  ["'", 'S'],
  ['Ġ', 'hello'],
  ['1', '2'],
  ['Ċ', 'Ċ'],
] as const;
const NAMES = [...BYTE_TO_CHAR, ...MERGES.map(([a, b]) => a + b)];
const TEXTS = {
  'vocab.json': JSON.stringify(Object.fromEntries(NAMES.map((name, id) => [name, id]))),
  'merges.txt': `#version: 0.2\n${MERGES.map((pair) => pair.join(' ')).join('\n')}\n`,
  'added_tokens.json': '{"<|mask|>": 300, "<|im_end|>": 301}',
  'tokenizer_config.json': JSON.stringify({
    tokenizer_class: 'DreamTokenizer',
    added_tokens_decoder: { 300: { content: '<|mask|>', special: true }, 302: { content: '<tool>' } },
  }),
};

/** Qwen2's pattern as it is published. */
const PUBLISHED =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

test('text becomes the ids of the published tokenizer', () => {
  const json = fromVocabAndMerges(TEXTS)!;
  const tokenizer = createTokenizer(json);
  const named = (text: string): string[] => tokenizer.encode(text).map((id) => NAMES[id]);
  expect(named("hello hello's 12\n\n")).toEqual(['hello', 'Ġhello', "'s", 'Ġ', '1', '2', 'ĊĊ']);
  expect(named("HELLO'S")).toEqual(['H', 'E', 'L', 'L', 'O', "'S"]);

  const published = structuredClone(json) as { pre_tokenizer: { pretokenizers: { pattern: object }[] } };
  published.pre_tokenizer.pretokenizers[0].pattern = { Regex: PUBLISHED };
  const theirs = new HuggingFaceTokenizer(published, { clean_up_tokenization_spaces: false });
  const word = fc.constantFrom(
    'hello',
    ' hello',
    "'s",
    "'S",
    "'LL",
    "'re",
    '12',
    ' ',
    '\n',
    '\t',
    '…',
    'é',
    'e\u0301',
    '(',
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, fc.string({ unit: 'grapheme', maxLength: 3 })), { maxLength: 12 }),
      (words) => {
        const text = words.join('');
        expect(tokenizer.encode(text)).toEqual(theirs.encode(text, { add_special_tokens: false }).ids);
      },
    ),
    { numRuns: 300, seed: 7 },
  );
});

test('added tokens come from both files', () => {
  expect(fromVocabAndMerges(TEXTS)!['added_tokens']).toEqual([
    { id: 300, content: '<|mask|>', special: true },
    { id: 301, content: '<|im_end|>', special: true },
    { id: 302, content: '<tool>', special: false },
  ]);
});

test('GPT-2 keeps runs of digits together', () => {
  const texts = { ...TEXTS, 'tokenizer_config.json': '{"tokenizer_class": "GPT2Tokenizer"}' };
  expect(createTokenizer(fromVocabAndMerges(texts)).encode('12')).toEqual([NAMES.indexOf('12')]);
});

test('what cannot be built is said', () => {
  expect(fromVocabAndMerges({ ...TEXTS, 'merges.txt': undefined as never })).toBeNull();
  const unknown = { ...TEXTS, 'tokenizer_config.json': '{"tokenizer_class": "OtherTokenizer"}' };
  expect(() => fromVocabAndMerges(unknown)).toThrow(
    expect.objectContaining({
      code: 'unsupported',
      message: expect.stringMatching(/got: {4}OtherTokenizer\n {2}wanted: Qwen2Tokenizer/),
    }),
  );
  expect(() => fromVocabAndMerges({ ...TEXTS, 'vocab.json': '{' })).toThrow(/vocab\.json is not JSON/);
});
