import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { codeTokenizer, saveTextModel } from '../../tests/text-model.ts';
import { LAYOUTS } from '../model/config.ts';
import { register } from './eval.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-eval-'));
  for (const layout of LAYOUTS) await saveTextModel(join(dir, layout), layout);
  const documents = Array.from({ length: 6 }, (_, i) => ({
    text: `export const value${i} = ${i} * other;\n`,
  }));
  await writeFile(
    join(dir, 'docs.jsonl.gz'),
    gzipSync(documents.map((row) => JSON.stringify(row)).join('\n')),
  );
  const row = { prefix: 'const a = ', suffix: '\n', middle: '1;' };
  const rows = Array.from({ length: 3 }, (_, i) => ({ id: `pkg/a.ts:${i}:11`, ...row }));
  await writeFile(join(dir, 'fim.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
});
afterAll(() => rm(dir, { recursive: true }));

const evaluate = async (...args: string[]): Promise<string> =>
  (await runCommand([register], ['eval', ...args])).out;

describe.each(LAYOUTS)('a model of layout %s', (layout) => {
  it('has bits per byte near those of chance', async () => {
    const args = [
      '--model',
      join(dir, layout),
      '--data',
      join(dir, 'docs.jsonl.gz'),
      '--limit',
      '4',
      '--threads',
      '1',
    ];
    const result = JSON.parse(await evaluate('bpb', ...args, '--samples', '2', '--json'));
    expect(result).toMatchObject({ documents: 4, available: 6, samples: layout === 'causal' ? 0 : 2 });
    const chance = (result.tokens * Math.log2(codeTokenizer().vocabSize)) / result.bytes;
    expect(result.bitsPerByte / chance).toBeGreaterThan(0.9);
    expect(result.bitsPerByte / chance).toBeLessThan(1.1);
    const text = await evaluate('bpb', ...args);
    expect(text).toMatch(layout === 'causal' ? /\(exact\)/ : /<= .*\(bound, 8 draws a block\)/);
    expect(text).toContain('4 of 6, chosen at random (seed 0)');
  });

  it('fills gaps and writes what it said', async () => {
    const out = join(dir, `${layout}.jsonl`);
    const args = [
      '--model',
      join(dir, layout),
      '--data',
      join(dir, 'fim.jsonl'),
      '--limit',
      '2',
      '--threads',
      '1',
    ];
    const limits = ['--max-tokens', '8', '--threshold', '1.5'];
    const result = JSON.parse(await evaluate('fim', ...args, ...limits, '--predictions', out, '--json'));
    expect(result).toMatchObject({ n: 2, exactMatch: 0, threshold: 1.5, maxTokens: 8 });
    const predictions = (await readFile(out, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(predictions.map(({ id }) => id)).toEqual(['pkg/a.ts:0:11', 'pkg/a.ts:1:11']);
    expect(Object.keys(predictions[0])).toEqual(['id', 'middle', 'ms', 'nfe', 'tokens']);
    expect(result.nfe).toBe(predictions[0].nfe + predictions[1].nfe);
    expect(await evaluate('fim', ...args, ...limits)).toMatch(/exact match +0\.0 %/);
  });
});

it.each([
  [['bpb', '--samples', '0'], 'bad_option'],
  [['bpb', '--window', '100000'], 'bad_option'],
  [['bpb', '--block-length', '4'], 'bad_option'],
  [['fim', '--threshold', '3'], 'bad_option'],
  [['fim', '--max-tokens', '100000'], 'bad_option'],
])('%j ends with %s', async ([command, ...flags], code) => {
  const data = join(dir, command === 'bpb' ? 'docs.jsonl.gz' : 'fim.jsonl');
  const failing = evaluate(command, '--model', join(dir, 'causal'), '--data', data, ...flags);
  await expect(failing).rejects.toMatchObject({ code });
});
