import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assert } from '../errors.ts';
import { createRng } from '../rng.ts';
import { fimIds } from '../text/fim.ts';
import { createByteLevelTokenizer } from '../text/json.ts';
import type { TokenBatch } from './batch.ts';
import { chooseMiddle, fimTransform } from './fim.ts';
import { chooseFimRows } from './fim-rows.ts';
import { createTextSource } from './packing.ts';
import { createShardWriter, openShards } from './shards.ts';
import type { TokenShards } from './shards.ts';

const golden = new URL('../../tests/golden/tokenizer/tokenizer.json', import.meta.url);
const tokenizer = createByteLevelTokenizer(JSON.parse(readFileSync(golden, 'utf8')));
const [EOS, PAD, PREFIX, SUFFIX, MIDDLE] = [0, 1, 3, 4, 5];
const LENGTH = 64;

let dir: string;
let shards: TokenShards;
/** Documents of 1 to 300 lines; each line names its document and number, so that nothing repeats. */
const texts = Array.from({ length: 30 }, (_, doc) =>
  Array.from(
    { length: 1 + ((doc * doc * 7) % 60) },
    (__, line) => `const d${doc} = line(${line}); // 字😀\n`,
  ).join(''),
);
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tintype-packing-'));
  const writer = createShardWriter(join(dir, 'a'), {
    tokenizerHash: 'T',
    vocabSize: tokenizer.vocabSize,
    split: 'train',
  });
  texts.forEach((text) => writer.add(tokenizer.encode(text)));
  writer.add([]);
  writer.finish({ sourceHash: 'S', textBytes: 0 });
  shards = openShards(join(dir, 'a'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Ids of each segment of each row; checks on the way that segments are numbered 0, 1, … and padding is last. */
function segmentsOf({ rows, length, ids, segments }: TokenBatch): number[][] {
  const all: number[][] = [];
  for (let row = 0; row < rows; row++) {
    let current = -1;
    for (let i = row * length; i < (row + 1) * length; i++) {
      if (segments[i] === -1) {
        assert(ids[i] === PAD, 'padding holds pad');
        assert(i + 1 === (row + 1) * length || segments[i + 1] === -1, 'padding is last');
        continue;
      }
      if (segments[i] !== current) {
        assert(segments[i] === ++current, 'segments count up from 0');
        all.push([]);
      }
      all.at(-1)!.push(ids[i]);
    }
  }
  return all;
}

describe('packing', () => {
  test('without the transform an epoch holds every token of every document once, eos after each', () => {
    const source = createTextSource(shards, { tokenizer, seed: 1, fimRate: 0, lanes: 1 });
    let pieces: number[][] = [];
    while (source.epochs < 1) pieces = pieces.concat(segmentsOf(source.next(1, LENGTH)));
    let text = '';
    for (const piece of pieces) {
      // eos stands at the end of a document or, where the row was exactly full, not at all; never elsewhere.
      expect(piece.slice(0, -1)).not.toContain(EOS);
      text += tokenizer.decode(piece);
    }
    for (const document of texts) expect(text.split(document).length).toBe(2);
  });

  test('no piece splits a character, and a segment holds one document only', () => {
    const source = createTextSource(shards, { tokenizer, seed: 2 });
    for (const piece of segmentsOf(source.next(200, LENGTH))) {
      const text = tokenizer.decode(piece);
      expect(new Set(text.match(/(?<=const )d\d+(?= = line)/g) ?? []).size).toBeLessThanOrEqual(1);
      expect(piece.includes(MIDDLE) || !text.includes('\ufffd')).toBe(true);
    }
  });

  test('padding stays below 3 %', () => {
    const batch = createTextSource(shards, { tokenizer, seed: 3 }).next(300, LENGTH);
    const padding = batch.segments.filter((segment) => segment === -1).length;
    expect(padding / batch.segments.length).toBeLessThan(0.03);
  });

  test('pieces with sentinels have them all, once, in order, and end with eos', () => {
    const source = createTextSource(shards, { tokenizer, seed: 4, fimRate: 1 });
    const pieces = segmentsOf(source.next(200, LENGTH)).filter((piece) => piece.includes(PREFIX));
    expect(pieces.length).toBeGreaterThan(100);
    for (const piece of pieces) {
      expect(piece.filter((id) => id < 8)).toEqual([PREFIX, SUFFIX, MIDDLE, EOS]);
      expect(piece.at(-1)).toBe(EOS);
    }
    const spm = pieces.filter((piece) => piece[1] === SUFFIX).length / pieces.length;
    expect(spm).toBeGreaterThan(0.35);
    expect(spm).toBeLessThan(0.65);
  });

  test('the rate of the transform is what was asked for', () => {
    const pieces = segmentsOf(
      createTextSource(shards, { tokenizer, seed: 5, fimRate: 0.5 }).next(600, LENGTH),
    );
    const long = pieces.filter((piece) => piece.length > 40);
    const rate = long.filter((piece) => piece.includes(MIDDLE)).length / long.length;
    expect(rate).toBeGreaterThan(0.4);
    expect(rate).toBeLessThan(0.6);
  });

  test('a stopped source goes on with the very next batch, across epochs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 }), (before, rows) => {
        const whole = createTextSource(shards, { tokenizer, seed: 6, lanes: 3 });
        for (let i = 0; i < before; i++) whole.next(rows, LENGTH);
        const resumed = createTextSource(shards, { tokenizer, seed: 6, lanes: 3 });
        resumed.restore(JSON.parse(JSON.stringify(whole.state())));
        expect(resumed.epochs).toBe(whole.epochs);
        for (let i = 0; i < 20; i++) expect(resumed.next(rows, LENGTH)).toEqual(whole.next(rows, LENGTH));
      }),
      { numRuns: 15 },
    );
  });

  test('a state of other data, another seed or another program is refused', () => {
    const source = createTextSource(shards, { tokenizer, seed: 7 });
    expect(() => createTextSource(shards, { tokenizer, seed: 8 }).restore(source.state())).toThrow(
      /another seed/,
    );
    expect(() => source.restore({})).toThrow(/other data/);
  });
});

describe('the transform', () => {
  const ids = fimIds(tokenizer);
  const anyCode = fc
    .array(fc.constantFrom('\n', '  ', 'let x', '字', '😀', ' = 1;', '}\n'))
    .map((parts) => parts.join(''));

  test('prefix, middle and suffix give the text back in both formats', () => {
    fc.assert(
      fc.property(
        anyCode,
        fc.nat(),
        fc.constantFrom('psm' as const, 'spm' as const),
        (text, seed, format) => {
          const out = fimTransform(text, tokenizer, ids, { rng: createRng(seed), format, room: 10_000 })!;
          const { start, end } = chooseMiddle(text, createRng(seed));
          const [suffixAt, middleAt] = [out.indexOf(SUFFIX), out.indexOf(MIDDLE)];
          const suffix = tokenizer.decode(out.slice(suffixAt + 1, middleAt));
          const before = tokenizer.decode(out.slice(1, suffixAt));
          const after = tokenizer.decode(out.slice(middleAt + 1, -1));
          expect(before + after + suffix).toBe(text);
          expect(suffix).toBe(text.slice(end));
          expect(format === 'psm' ? before : after.slice(0, start)).toBe(text.slice(0, start));
        },
      ),
    );
  });

  test('middles lie inside the text and never cut a character', () => {
    fc.assert(
      fc.property(anyCode, fc.nat(), (text, seed) => {
        const { start, end } = chooseMiddle(text, createRng(seed));
        expect(0 <= start && start <= end && end <= text.length).toBe(true);
        for (const part of [text.slice(0, start), text.slice(start, end), text.slice(end)]) {
          expect(part).not.toMatch(/\p{Surrogate}/u);
        }
      }),
    );
  });

  test('about 40 % and half of the short spans end with their line', () => {
    const text = 'first line here\n  second line\nthird line of text\n'.repeat(20);
    const rng = createRng(1);
    let singleLine = 0;
    for (let i = 0; i < 2000; i++) {
      const { start, end } = chooseMiddle(text, rng);
      if (text[end] === '\n' && !text.slice(start, end).includes('\n')) singleLine++;
    }
    expect(singleLine / 2000).toBeGreaterThan(0.38);
    expect(singleLine / 2000).toBeLessThan(0.52);
  });

  test('lines that are chosen have something on them, and some come with what indents them', () => {
    const text = 'begin();\n\n\n\n    inside();\n\n\n'.repeat(20);
    const rng = createRng(2);
    let [blank, indented] = [0, 0];
    for (let i = 0; i < 2000; i++) {
      const { start, end } = chooseMiddle(text, rng);
      if (start === end && text[start - 1] === '\n' && text[end] === '\n') blank++;
      if (text.slice(start, end) === '    inside();') indented++;
    }
    // Only short spans that happen to be of no length.
    expect(blank / 2000).toBeLessThan(0.04);
    expect(indented / 2000).toBeGreaterThan(0.02);
  });

  test('a tight room drops the text farthest from the gap, or gives up', () => {
    const text = 'abc def ghi\n'.repeat(10);
    for (let seed = 0; seed < 50; seed++) {
      const whole = fimTransform(text, tokenizer, ids, {
        rng: createRng(seed),
        format: 'psm',
        room: 10_000,
      })!;
      const tight = fimTransform(text, tokenizer, ids, {
        rng: createRng(seed),
        format: 'psm',
        room: whole.length - 3,
      });
      if (tight === null) continue;
      expect(tight).toHaveLength(whole.length - 3);
      expect(tight.slice(tight.indexOf(MIDDLE))).toEqual(whole.slice(whole.indexOf(MIDDLE)));
    }
    expect(fimTransform(text, tokenizer, ids, { rng: createRng(1), format: 'psm', room: 3 })).toBeNull();
  });
});

test('rows are code on one line that fills its file', () => {
  const text =
    '/**\n * A comment line with words\n */\n// another comment here\nconst total = add(one, two);\n\n  return total * 12;\n}\n';
  const rows = chooseFimRows([{ text, pkg: 'p', path: 'a.ts', test: false }], tokenizer, {
    count: 10,
    seed: 1,
  });
  expect(rows.length).toBe(2);
  for (const { id, prefix, middle, suffix } of rows) {
    expect(prefix + middle + suffix).toBe(text);
    expect(middle).toMatch(/^\S[^\n]*$/);
    expect(id).toMatch(/^p\/a\.ts:[57]:\d+$/);
    expect(tokenizer.encode(middle).length).toBeGreaterThanOrEqual(3);
  }
  expect(
    chooseFimRows([{ text, pkg: 'p', path: 'a.ts', test: true }], tokenizer, { count: 10, seed: 1 }),
  ).toEqual([]);
});
