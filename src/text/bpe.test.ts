import { readFileSync } from 'node:fs';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PRETOKEN_PATTERN, countPretokens, tokenizerConfig, trainBpe } from './bpe.ts';
import { createByteLevelTokenizer, createTokenizer } from './json.ts';
import { loadTokenizer, tokenizerHash } from './load.ts';
import { createStreamDecoder } from './stream.ts';
import { SPECIAL_TOKENS } from './tokenizer.ts';

const golden = new URL('../../tests/golden/tokenizer/', import.meta.url);
const json = JSON.parse(readFileSync(new URL('tokenizer.json', golden), 'utf8')) as Record<string, unknown>;
const tokenizer = createByteLevelTokenizer(json);
const reference = new HuggingFaceTokenizer({ ...json, added_tokens: [] }, {});
const source = readFileSync(new URL('./bpe.ts', import.meta.url), 'utf8');

/** Any UTF-16, halves of surrogate pairs and control characters included, with code in between. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit)),
      fc.constantFrom(
        ...SPECIAL_TOKENS,
        '\n    ',
        '\r\n',
        '\t',
        '  ',
        'fooBar',
        'HTTP',
        '=> {',
        '1234',
        '\0',
        '\ufeff',
        '漢',
        'é',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd');

describe('training', () => {
  test('merges the most frequent pair first and starts with special tokens and bytes', () => {
    const counts = new Map([
      ['abab', 10],
      ['ab', 1],
      ['cd', 20],
    ]);
    const { model, added_tokens } = trainBpe(counts, 264 + 3);
    expect(model.merges).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['ab', 'ab'],
    ]);
    expect(added_tokens.map(({ content }) => content)).toEqual([...SPECIAL_TOKENS]);
    expect(Object.values(model.vocab).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 267 }, (_, id) => id),
    );
  });

  test('equals the textbook algorithm, which recounts all pairs for every merge', () => {
    const counts = new Map<string, number>();
    countPretokens(counts, source.replace(/[^A-Za-z.()]/g, ''));
    const { model } = trainBpe(counts, 264 + 60);
    const textbook: [string, string][] = [];
    let lists = [...counts].map(([piece, count]) => ({ parts: piece.split(''), count }));
    for (let step = 0; step < 60; step++) {
      const pairs = new Map<string, number>();
      for (const { parts, count } of lists) {
        for (let i = 0; i + 1 < parts.length; i++) {
          const key = `${parts[i]} ${parts[i + 1]}`;
          pairs.set(key, (pairs.get(key) ?? 0) + count);
        }
      }
      const order = ([pair]: [string, number]): number => {
        const [left, right] = pair.split(' ') as [string, string];
        return model.vocab[left] * 1e6 + model.vocab[right];
      };
      const best = [...pairs].sort((a, b) => b[1] - a[1] || order(a) - order(b))[0][0];
      const [left, right] = best.split(' ') as [string, string];
      textbook.push([left, right]);
      lists = lists.map(({ parts, count }) => {
        const out: string[] = [];
        for (let i = 0; i < parts.length; i++) {
          if (parts[i] === left && parts[i + 1] === right) out.push(left + parts[++i]);
          else out.push(parts[i]);
        }
        return { parts: out, count };
      });
    }
    expect(model.merges).toEqual(textbook);
  });

  test('says when the size is impossible or the text too poor', () => {
    expect(() => trainBpe(new Map(), 100)).toThrow(/cannot be trained/);
    expect(() => trainBpe(new Map([['ab', 2]]), 300)).toThrow(/too few repeated pairs/);
  });

  test('the pattern covers every character exactly once', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect((text.match(new RegExp(PRETOKEN_PATTERN, 'gu')) ?? []).join('')).toBe(text);
      }),
    );
  });

  test('tokenizer_config.json names eos, pad and mask', () => {
    expect(tokenizerConfig(512)).toMatchObject({
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: 512,
      eos_token: '<|endoftext|>',
      pad_token: '<|pad|>',
      mask_token: '<|mask|>',
    });
  });
});

describe('encoding', () => {
  test('ids equal those of Python tokenizers', () => {
    const rows = JSON.parse(readFileSync(new URL('ids.json', golden), 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    expect(rows.length).toBeGreaterThan(100);
    for (const { text, ids } of rows) {
      expect(tokenizer.encode(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  test('ids equal those of @huggingface/tokenizers, on any text and on code', () => {
    const same = (text: string): void => {
      expect(tokenizer.encode(text)).toEqual(reference.encode(text, { add_special_tokens: false }).ids);
    };
    fc.assert(
      fc.property(anyText, (text) => same(wellFormed(text))),
      { numRuns: 300 },
    );
    same(source);
  });

  test('every text comes back, with U+FFFD for half a surrogate pair', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
      }),
    );
  });

  test('no text is shorter than its longest token lets it be', () => {
    const most = tokenizer.longestToken!;
    expect(most).toBeGreaterThan(1);
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.encode(text).length * most).toBeGreaterThanOrEqual(text.length);
      }),
    );
  });

  test('every byte string comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes))).toEqual(bytes);
      }),
    );
  });

  test('bytes that are UTF-8 get the ids of their text', () => {
    fc.assert(
      fc.property(anyText.map(wellFormed), (text) => {
        expect(tokenizer.encodeBytes(new TextEncoder().encode(text))).toEqual(tokenizer.encode(text));
      }),
    );
  });

  test('special tokens in the text are text', () => {
    const ids = tokenizer.encode('a<|mask|>b<|endoftext|>');
    expect(ids.every((id) => id >= SPECIAL_TOKENS.length)).toBe(true);
    expect(tokenizer.special('<|mask|>')).toBe(2);
    expect(tokenizer.decode([2, ...tokenizer.encode('x'), 0])).toBe('x');
    expect(tokenizer.show(2)).toBe('<|mask|>');
  });

  test('a megabyte without a break is no trap', () => {
    const text = 'a'.repeat(1 << 20);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });
});

test('the stream decoder gives the same text, however the ids arrive, and never half a character', () => {
  fc.assert(
    fc.property(anyText.map(wellFormed), fc.integer({ min: 1, max: 5 }), (text, step) => {
      const ids = tokenizer.encode(text);
      const decoder = createStreamDecoder(tokenizer);
      let out = '';
      for (let i = 0; i < ids.length; i += step) out += decoder.push(ids.slice(i, i + step));
      expect(out + decoder.end()).toBe(text);
    }),
  );
  const bytes = tokenizer.encodeBytes(Uint8Array.of(0xf0, 0x9f));
  const decoder = createStreamDecoder(tokenizer);
  expect(decoder.push(bytes)).toBe('');
  expect(decoder.end()).toBe('\ufffd');
});

describe('loading', () => {
  test('from a folder and from an object; the hash ignores white space', async () => {
    const fromFolder = await loadTokenizer(golden.pathname);
    expect(fromFolder.encode('const x = 1;')).toEqual(tokenizer.encode('const x = 1;'));
    expect((await loadTokenizer(json)).vocabSize).toBe(768);
    expect(tokenizerHash(JSON.parse(JSON.stringify(json, null, 2)) as object)).toBe(tokenizerHash(json));
  });

  test('other kinds go to @huggingface/tokenizers and keep the same promises', () => {
    const gpt2Style = {
      ...json,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true },
    };
    const other = createTokenizer(gpt2Style);
    expect('encodeBytes' in other).toBe(false);
    const text = 'const x = <|mask|>;\n';
    const ids = other.encode(text);
    expect(other.decode(ids)).toBe(text);
    expect(ids).not.toContain(2);
    expect(Buffer.concat(ids.map((id) => other.bytes(id))).toString()).toBe(text);
    expect(other.vocabSize).toBe(768);
    expect(other.special('<|mask|>')).toBe(2);
    expect(other.show(2)).toBe('<|mask|>');
    expect(() => createByteLevelTokenizer(gpt2Style)).toThrow(/not a byte-level BPE/);
  });

  test('bad files are named', async () => {
    await expect(loadTokenizer('/nowhere')).rejects.toThrow(/No tokenizer.json here/);
    expect(() => createTokenizer({ model: {} })).toThrow(/not a tokenizer.json/);
    const broken = structuredClone(json) as { model: { vocab: Record<string, number> } };
    delete broken.model.vocab['a'];
    expect(() => createTokenizer(broken)).toThrow(/lacks a token/);
  });
});
