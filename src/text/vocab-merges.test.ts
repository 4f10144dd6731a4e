/** Tokenizers without a tokenizer.json, against the same one with. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from './json.ts';
import { tokenizerFromFiles } from './vocab-merges.ts';

interface File {
  model: { vocab: Record<string, number>; merges: [string, string][] };
}
const { model } = JSON.parse(
  readFileSync(
    fileURLToPath(new URL('../../tests/golden/tokenizer/tokenizer.json', import.meta.url)),
    'utf8',
  ),
) as File;

const files = (config: object, more: Record<string, string> = {}) => ({
  'vocab.json': JSON.stringify(model.vocab),
  'merges.txt': `#version: 0.2\n${model.merges.map((pair) => pair.join(' ')).join('\n')}\n`,
  'tokenizer_config.json': JSON.stringify(config),
  ...more,
});
const added_tokens_decoder = { 766: { content: '<|im_end|>', special: true }, 767: { content: '<tool>' } };
const QWEN = { tokenizer_class: 'DreamTokenizer', added_tokens_decoder };

/** The published expression. */
const QWEN_PATTERN = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const TEXTS = [
  "It's WE'RE I'LL don'T 'Sing",
  'const x = 12345;\n\n\tif (a  &&  b) {\r\n  return;   \n}',
  'naïve cafe\u0301 — 漢字かな 🙂 ١٢٣',
  '   leading, trailing   ',
];

describe('vocab.json and merges.txt', () => {
  it('encode as the published tokenizer does', () => {
    const json = tokenizerFromFiles(files(QWEN), 'here')!;
    const tokenizer = createTokenizer(json);
    const pre = structuredClone(json['pre_tokenizer']) as { pretokenizers: { pattern: { Regex: string } }[] };
    pre.pretokenizers[0].pattern.Regex = QWEN_PATTERN;
    const reference = new HuggingFaceTokenizer({ ...json, pre_tokenizer: pre }, {});
    for (const text of TEXTS) {
      expect(tokenizer.encode(text)).toEqual(reference.encode(text, { add_special_tokens: false }).ids);
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize('NFC'));
    }
  });

  it('know their added tokens, from the newer file, the older one, and the vocabulary', () => {
    const older = { 'added_tokens.json': JSON.stringify({ '<|old|>': 765, '<|im_end|>': 1 }) };
    const config = { ...QWEN, eos_token: '<|endoftext|>' };
    const json = tokenizerFromFiles(files(config, older), 'here')!;
    const added = json['added_tokens'] as { id: number; content: string; special: boolean }[];
    expect(added).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 765, content: '<|old|>', special: true }),
        expect.objectContaining({ id: 766, content: '<|im_end|>', special: true }),
        expect.objectContaining({ id: 767, content: '<tool>', special: false }),
      ]),
    );
    const tokenizer = createTokenizer(json);
    expect(tokenizer.decode([766, 767])).toBe('<tool>');
  });

  it('are cut as their class says, and refused where nobody knows how', () => {
    const gpt2 = tokenizerFromFiles(files({ tokenizer_class: 'GPT2Tokenizer' }), 'here')!;
    expect(gpt2['normalizer']).toBeNull();
    const t5 = files({ tokenizer_class: 'T5Tokenizer' });
    expect(() => tokenizerFromFiles(t5, 'here')).toThrow(/T5Tokenizer/);
    expect(() => tokenizerFromFiles({ ...t5, 'vocab.json': '{' }, 'here')).toThrow(
      /vocab.json in here is not JSON/,
    );
    expect(tokenizerFromFiles({ 'vocab.json': '{}' }, 'here')).toBeNull();
  });
});
