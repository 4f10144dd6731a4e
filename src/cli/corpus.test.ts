import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { loadTokenizer } from '../text/load.ts';
import { openShards } from '../train/shards.ts';
import { register } from './corpus.ts';

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-cli-corpus-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const run = async (...args: string[]): Promise<string> =>
  (await runCommand([register], ['corpus', ...args])).out;

test('from source text to shards, in JSON and in words; a bad number is named', async () => {
  const text = (name: string): string =>
    Array.from(
      { length: 40 },
      (_, i) => `export function ${name}${i}(value: number) { return value * ${i}; }`,
    ).join('\n');
  const data = join(dir, 'data.jsonl');
  writeFileSync(
    data,
    ['alpha', 'beta', 'gamma']
      .map((pkg) => JSON.stringify({ pkg, path: 'a.ts', text: text(pkg) }))
      .join('\n'),
  );
  const [tokenizer, out] = [join(dir, 'tokenizer'), join(dir, 'out')];
  const shared = ['--data', data, '--holdout', 'gamma', '--package-cap', '1'];

  const trained = JSON.parse(
    await run('tokenizer', ...shared, '--out', tokenizer, '--vocab', '300', '--json'),
  ) as { vocabSize: number };
  expect(trained.vocabSize).toBe(300);
  expect((await loadTokenizer(tokenizer)).vocabSize).toBe(300);

  const words = await run('tokenize', ...shared, '--tokenizer', tokenizer, '--out', out, '--fim-rows', '3');
  expect(words).toMatch(/train: 2 documents[^]*held out: 1 documents[^]*rows: 3/);
  expect(openShards(join(out, 'heldout')).documents).toBe(1);

  // A model with this vocabulary, and one with another.
  const model = join(dir, 'model');
  cpSync('models/tintype-code', model, { recursive: true });
  const counting = ['bigrams', '--shards', join(out, 'train'), '--model', model, '--least', '2'];
  await expect(run(...counting)).rejects.toThrow(/made with another tokenizer/);
  await run('tokenize', ...shared, '--tokenizer', model, '--out', out);
  const counted = JSON.parse(await run(...counting, '--json')) as { pairs: number; tokens: number };
  expect(counted.tokens).toBe(openShards(join(out, 'train')).meta.tokens);
  expect(counted.pairs).toBeGreaterThan(10);
  expect(await run(...counting)).toMatch(
    /^\d+ pairs of \d+ tokens, \d+\.\d MB, in .*bigrams\.safetensors\n$/,
  );

  await expect(run('tokenizer', ...shared, '--out', tokenizer, '--vocab', 'many')).rejects.toThrow(
    /--vocab is not a number/,
  );
});
