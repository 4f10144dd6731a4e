import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { createDeduplicator } from './corpus-dedup.ts';
import { filterReason } from './corpus-filter.ts';
import { documentsOf, planCorpus } from './corpus-plan.ts';
import { createSplit, packageFamily, unitHash } from './corpus-split.ts';
import { writeCorpus, writeTokenizer } from './corpus-write.ts';
import { emptyReport, readCorpus } from './corpus.ts';
import type { CorpusDocument } from './corpus.ts';
import { openShards } from './shards.ts';

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-corpus-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function readAll(...paths: string[]): Promise<CorpusDocument[]> {
  const documents = [];
  for await (const document of readCorpus(paths)) documents.push(document);
  return documents;
}

const rng = createRng(3);
const words = Array.from({ length: 500 }, (_, i) => `word${i.toString(36)}x`);
const prose = (count: number): string[] => Array.from({ length: count }, () => words[rng.int(words.length)]);
const row = (pkg: string, path: string, text: string): string => JSON.stringify({ pkg, path, text });

describe('reading', () => {
  test('JSONL, plain and gzip alike, with its optional fields', async () => {
    const lines = '{"text":"a","pkg":"p","path":"x.ts","test":true}\n\n{"text":"b\\n"}';
    const wanted = [
      { text: 'a', pkg: 'p', path: 'x.ts', test: true },
      { text: 'b\n', pkg: null, path: null, test: false },
    ];
    expect(await readAll(file('plain.jsonl', lines))).toEqual(wanted);
    expect(await readAll(file('zipped', gzipSync(lines)))).toEqual(wanted);
  });

  test('bad lines are named, counted and left out', async () => {
    const latin1 = Buffer.from('{"text":"\xe9"}', 'latin1');
    const path = file(
      'bad.jsonl',
      Buffer.concat([
        Buffer.from('{"text":"good"}\n{oops\n{"txt":1}\n'),
        latin1,
        Buffer.from('\n{"text":""}\nnull\n'),
      ]),
    );
    const report = emptyReport();
    const texts = [];
    for await (const { text } of readCorpus([path], report)) texts.push(text);
    expect(texts).toEqual(['good']);
    expect(report).toEqual({
      documents: 1,
      skipped: 5,
      problems: [
        `${path}:2: not JSON`,
        `${path}:3: no field "text" that holds a string`,
        `${path}:4: not UTF-8`,
        `${path}:5: the text is empty`,
        `${path}:6: no field "text" that holds a string`,
      ],
    });
  });

  test('a line of several megabytes is fine', async () => {
    const text = 'x'.repeat(3 << 20);
    expect(
      (await readAll(file('long.jsonl', `${JSON.stringify({ text })}\n{"text":"b"}`))).map(
        (d) => d.text.length,
      ),
    ).toEqual([3 << 20, 1]);
  });

  test('a source without one good document is an error that says why', async () => {
    await expect(readAll(file('empty.jsonl', ''))).rejects.toThrow(/is empty/);
    await expect(readAll(file('blank.jsonl', '\n\n'))).rejects.toThrow(/No document/);
    await expect(readAll(file('all-bad.jsonl', '{\n{'))).rejects.toThrow(/all-bad.jsonl:1: not JSON/);
    await expect(readAll(file('binary.jsonl', Uint8Array.of(1, 0, 2)))).rejects.toThrow(/is binary/);
    await expect(readAll(join(dir, 'missing'))).rejects.toThrow(/does not exist/);
    const cut = gzipSync(Buffer.from('{"text":"a"}\n'.repeat(9999))).subarray(0, 60);
    await expect(readAll(file('cut.gz', cut))).rejects.toThrow(/Reading .* failed[^]*unexpected end of file/);
  });

  test('folders: source files by name, the first level is the package', async () => {
    file('tree/b/test/one.test.ts', 'test');
    file('tree/b/two.tsx', 'two');
    file('tree/a/three.ts', 'three');
    file('tree/a/three.d.ts', 'declaration');
    file('tree/a/node_modules/x.ts', 'dependency');
    file('tree/a/blob.ts', Uint8Array.of(65, 0, 66));
    file('tree/a/latin1.ts', Uint8Array.of(0xe9, 65));
    file('tree/root.ts', 'root');
    const report = emptyReport();
    const found = [];
    for await (const { pkg, path, test: isTest } of readCorpus([join(dir, 'tree')], report))
      found.push([pkg, path, isTest]);
    expect(found).toEqual([
      ['a', 'a/three.ts', false],
      ['b', 'b/test/one.test.ts', true],
      ['b', 'b/two.tsx', false],
      [null, 'root.ts', false],
    ]);
    expect(report.problems.map((problem) => problem.slice(dir.length))).toEqual([
      '/tree/a/blob.ts: the file is binary',
      '/tree/a/latin1.ts: not UTF-8',
    ]);
  });
});

describe('filters', () => {
  const code = 'export const answer = (question: string): number => question.length;\n';
  test.each([
    ['short', 'a', null],
    ['large', code.repeat(4000), null],
    ['longLine', `${code}const data = "${'x'.repeat(1000)}";`, null],
    ['generated', code, 'src/__generated__/a.ts'],
    ['generated', code, 'src/a.gen.ts'],
    ['generated', `// This file was generated. DO NOT EDIT\n${code}`, null],
    ['table', '  0x12, 0x34, 56, 78, 90,\n'.repeat(200), null],
    [null, code.repeat(20), 'src/abi/encode.ts'],
    [null, `${code.repeat(20)}// do not edit`, null],
  ])('%s', (reason, text, path) => expect(filterReason(text, path)).toBe(reason));
});

describe('duplicates', () => {
  test('exact up to white space; near above the threshold; different texts stay', () => {
    const dedup = createDeduplicator();
    const original = prose(400);
    const changed = (count: number): string =>
      original.map((word, i) => (i % Math.floor(400 / count) === 0 ? 'changed' : word)).join(' ');
    expect(dedup.add(original.join(' '))).toBeNull();
    expect(dedup.add(original.join('\n  '))).toBe('exact');
    expect(dedup.add(changed(5))).toBe('near'); // 5 changes touch 25 of 396 shingles: Jaccard 0.88
    expect(dedup.add(changed(40))).toBeNull(); // 200 of 396: Jaccard 0.33
    expect(dedup.add(prose(400).join(' '))).toBeNull();
  });

  test('short texts are compared exactly only', () => {
    const dedup = createDeduplicator();
    expect(dedup.add("export * from './a';")).toBeNull();
    expect(dedup.add("export * from './b';")).toBeNull();
    expect(dedup.add("export *  from './a';\n")).toBe('exact');
  });
});

describe('split', () => {
  test('families keep siblings together', () => {
    expect(['effect', '@effect/platform'].map(packageFamily)).toEqual(['effect', 'effect']);
    expect(new Set(['viem', '@wagmi/core', 'ox', 'thirdweb'].map(packageFamily)).size).toBe(1);
    expect(packageFamily('@azure/msal-browser')).toBe('@azure');
    expect(packageFamily('react-native-svg')).toBe(packageFamily('@react-navigation/core'));
    expect(packageFamily('rxjs')).toBe('rxjs');
  });

  test('a share is taken by hash and agrees for a whole family', () => {
    const split = createSplit({ kind: 'share', share: 0.3 });
    const side = (pkg: string): string => split({ text: '', pkg, path: null, test: false });
    expect(side('@a/one')).toBe(side('@a/two'));
    const heldout = Array.from({ length: 1000 }, (_, i) => side(`package${i}`)).filter(
      (s) => s === 'heldout',
    ).length;
    expect(heldout).toBeGreaterThan(250);
    expect(heldout).toBeLessThan(350);
    expect(() => createSplit({ kind: 'share', share: 1 })).toThrow(/out of range/);
    expect(unitHash('x')).toBe(unitHash('x'));
  });
});

describe('planning and writing', () => {
  const texts = Array.from({ length: 40 }, () => prose(120).join(' '));
  const copy = `${texts[0]} and a little more`;
  let corpus: string;
  beforeAll(() => {
    corpus = file(
      'plan.jsonl',
      [
        row('held', 'copy.ts', copy),
        row(
          'held',
          'own.ts',
          `${prose(120).join(' ')};\nconst value = compute(first, second);\nreturn value + offset;\n`,
        ),
        row('@held/x', 'other-scope.ts', prose(120).join(' ')),
        ...texts.map((text, i) => row(i < 20 ? 'big' : `small${i}`, `${i}.ts`, text)),
        row('small', 'again.ts', texts[1]),
      ].join('\n'),
    );
  });
  const holdout = { kind: 'packages', names: ['held'] } as const;

  test('the held-out copy of a training text goes, not the training text', async () => {
    const plan = await planCorpus([corpus], { holdout, packageCap: 1 });
    expect(plan.dropped).toMatchObject({ near: 1, exact: 1, cap: 0 });
    const heldout = [];
    for await (const { path } of documentsOf([corpus], plan, 'heldout')) heldout.push(path);
    expect(heldout).toEqual(['own.ts']);
    expect(plan.roles.filter((role) => role === 'train')).toHaveLength(41);
  });

  test('no package has more than its cap', async () => {
    const whole = await planCorpus([corpus], { holdout, packageCap: 1 });
    const plan = await planCorpus([corpus], { holdout, packageCap: 0.2 });
    const total = Object.values(whole.packages.train).reduce((a, b) => a + b);
    expect(whole.packages.train.big).toBeGreaterThan(0.4 * total);
    expect(plan.packages.train.big).toBeLessThanOrEqual(0.2 * total);
    expect(plan.dropped.cap).toBeGreaterThan(0);
    expect(plan.packages.train.small30).toBe(whole.packages.train.small30);
  });

  test('a misspelt package is an error', async () => {
    const plan = planCorpus([corpus], { holdout: { kind: 'packages', names: ['hled'] }, packageCap: 1 });
    await expect(plan).rejects.toThrow(/hled/);
  });

  test('from text to vocabulary, shards and test sets', async () => {
    const options = { holdout, packageCap: 1 };
    const tokenizerDir = join(dir, 'tokenizer');
    const out = join(dir, 'out');
    const stages = new Set<string>();
    const progress = (stage: string): void => void stages.add(stage);
    const { hash } = await writeTokenizer(
      [corpus],
      { ...options, vocabSize: 400, modelMaxLength: 256, out: tokenizerDir },
      progress,
    );
    const summary = await writeCorpus(
      [corpus],
      { ...options, tokenizerDir, out, fimRows: 5, seed: 1 },
      progress,
    );
    expect([...stages]).toContain('tokenizing train');
    const train = openShards(join(out, 'train'), { tokenizerHash: hash });
    expect(train.documents).toBe(41);
    expect(train.meta).toEqual(summary.train);
    train.close();

    const lines = (name: string): Record<string, string>[] =>
      gunzipSync(readFileSync(join(out, name)))
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>);
    const heldout = lines('heldout.jsonl.gz');
    expect(heldout).toMatchObject([{ pkg: 'held', path: 'own.ts' }]);
    const rows = lines('fim.jsonl.gz');
    expect(rows.length).toBe(summary.fimRows);
    expect(rows.length).toBeGreaterThan(0);
    for (const { prefix, middle, suffix } of rows) {
      expect(prefix + middle + suffix).toBe(heldout[0].text);
      expect(middle).not.toContain('\n');
      expect(suffix.startsWith('\n')).toBe(true);
    }
  });
});
