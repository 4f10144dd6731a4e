/** The models that come with the package: that they load, agree with their cards' claims in kind, and obey the laws. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appendCanvas } from '../src/decode/canvas.ts';
import { completeText, type CompleteOptions } from '../src/decode/complete.ts';
import { decode } from '../src/decode/decode.ts';
import { collect } from '../src/decode/events.ts';
import { evaluateSudoku } from '../src/eval/sudoku.ts';
import { describeCheckpoint } from '../src/model/hf.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { root } from './e2e/run.ts';

const folder = (name: string): string => join(root, 'models', name);
const NAMES = ['tintype-code', 'tintype-code-ar', 'tintype-sudoku', 'tintype-sudoku-ar'];
/** Bytes a model may have in the repository. */
const LARGEST = 16 * 1024 * 1024;

describe.each(NAMES)('%s', (name) => {
  it('has a card, whole files and a small size', async () => {
    const { dtype, warnings, sha256 } = await describeCheckpoint(folder(name));
    expect(dtype).toBe('F16');
    expect(warnings).toEqual([]);
    expect(Object.keys(sha256)).toContain('model.safetensors');
    expect(readFileSync(join(folder(name), 'model.safetensors')).length).toBeLessThanOrEqual(LARGEST);
    const card = readFileSync(join(folder(name), 'README.md'), 'utf8');
    expect(card).toContain('tintype eval');
    for (const [, image] of card.matchAll(/\]\(([^)]+\.svg)\)/g))
      expect(existsSync(join(folder(name), image))).toBe(true);
  });
});

describe('the code models', () => {
  it('are twins: same tokenizer, same shapes', async () => {
    const [code, twin] = await Promise.all(
      ['tintype-code', 'tintype-code-ar'].map((n) => describeCheckpoint(folder(n))),
    );
    expect(code.tokenizerFiles['tokenizer.json']).toBe(twin.tokenizerFiles['tokenizer.json']);
    const { layout, blockLength, tokens, ...shape } = code.config;
    expect([layout, blockLength, tokens.mask]).toEqual(['causalContext', 8, 2]);
    expect(twin.config).toMatchObject({ ...shape, layout: 'causal' });
    // Engines for autoregressive models may load either.
    expect(code.rawConfig.architectures).toEqual(['Qwen3ForCausalLM']);
  });

  it('fill a gap alike with the cache and without, one token a step or many', async () => {
    const { denoiser, tokenizer } = await loadDenoiser(folder('tintype-code'), { threads: 1 });
    const gap = {
      prefix: 'export function sum(values: number[]): number {\n  let total = 0;\n  for (const ',
      suffix: '\n  return total;\n}\n',
    };
    for (const threshold of [0.6, 2]) {
      const [cached, plain] = await Promise.all(
        (['block', 'none'] as const).map((cache) =>
          completeText({ denoiser, tokenizer: tokenizer! }, gap, { maxTokens: 24, threshold, cache }),
        ),
      );
      expect(cached.done.ids).toEqual(plain.done.ids);
      expect(cached.text.length).toBeGreaterThan(0);
    }
    await denoiser.close();
  });

  it('write the same text verified, in ever fewer forwards: masks, then pairs of them, then guesses, then drafts drafted anew', async () => {
    const { denoiser, tokenizer } = await loadDenoiser(folder('tintype-code'), { threads: 1 });
    const prefixes = [
      'export interface Point {\n  x: number;\n',
      'export function add(a: number, b: number): number {\n  return ',
      "import { join } from 'node:path';\n\nexport class Folder {\n  constructor(private readonly ",
    ];
    const write = async (options: CompleteOptions): Promise<{ ids: number[][]; nfe: number }> => {
      const all = [];
      for (const prefix of prefixes) {
        const gap = { prefix, suffix: null };
        all.push(await completeText({ denoiser, tokenizer: tokenizer! }, gap, { maxTokens: 40, ...options }));
      }
      return {
        ids: all.map(({ done }) => done.ids),
        nfe: all.reduce((sum, { done }) => sum + done.nfe, 0),
      };
    };
    const single = await write({ mode: 'ar' });
    const verify = { mode: 'verify', threshold: 0.1 } as const;
    let before = single.nfe;
    for (const options of [
      { bigrams: 0, guesses: 0 },
      { guesses: 0 },
      { guesses: 8 },
      { guesses: 8, redrafts: 8 },
    ]) {
      const { ids, nfe } = await write({ ...verify, ...options });
      expect(ids).toEqual(single.ids);
      expect(nfe, JSON.stringify(options)).toBeLessThan(before);
      before = nfe;
    }
    await denoiser.close();
  });

  it('both write what bigrams guess in fewer forwards, and the same', async () => {
    for (const name of ['tintype-code', 'tintype-code-ar']) {
      const { denoiser, tokenizer } = await loadDenoiser(folder(name), { threads: 1 });
      const gap = { prefix: 'export interface Point {\n  x: number;\n', suffix: null };
      const write = (options: CompleteOptions) =>
        completeText({ denoiser, tokenizer: tokenizer! }, gap, { maxTokens: 48, ...options });
      const [single, guessed] = [
        await write({ mode: 'ar' }),
        await write({ mode: 'verify', blockLength: 1 }),
      ];
      expect(guessed.done.ids).toEqual(single.done.ids);
      expect(guessed.done.nfe).toBeLessThan(0.8 * single.done.nfe);
      await denoiser.close();
    }
  });

  it('decodes block length 1 as the autoregressive model that its weights also are', async () => {
    const { denoiser } = await loadDenoiser(folder('tintype-code'), { threads: 1 });
    const causal = { ...denoiser, config: { ...denoiser.config, layout: 'causal' as const, blockLength: 1 } };
    const canvas = appendCanvas([100, 200, 300, 400], 20);
    const [blocks, plain] = [
      await collect(decode(denoiser, canvas, { blockLength: 1 })),
      await collect(decode(causal, canvas)),
    ];
    expect(blocks.done.ids).toEqual(plain.done.ids);
    await denoiser.close();
  });
});

describe('the sudoku models', () => {
  it.each([
    ['tintype-sudoku', [12], 0.9],
    ['tintype-sudoku-ar', [36], 0.15],
  ] as const)('%s solves puzzles that it has not seen', async (name, budgets, least) => {
    const { denoiser } = await loadDenoiser(folder(name), { threads: 1 });
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 40, budgets: [...budgets], seed: 11 });
    // Far below the card's figure: 40 puzzles are few.
    expect(rows[0].validRate).toBeGreaterThanOrEqual(least);
    await denoiser.close();
  });
});
