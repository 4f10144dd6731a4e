import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import type { SudokuResult } from '../eval/sudoku.ts';
import type { ModelConfig } from '../model/config.ts';
import { saveCheckpoint } from '../model/hf.ts';
import { createParameters, initialise, toTensors } from '../model/parameters.ts';
import { createRng } from '../rng.ts';
import { SUDOKU_TOKENS, sudokuTokenizer } from '../train/sudoku-rows.ts';
import { addSudoku, formatSudoku } from './eval-sudoku.ts';

let dir: string;

/** A model that has learned nothing. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-sudoku-'));
  const config: ModelConfig = {
    modelType: 'tintype',
    layout: 'full',
    width: 16,
    layers: 1,
    heads: 2,
    kvHeads: 2,
    headDim: 8,
    ffnWidth: 16,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 100,
    contextLength: 17,
    blockLength: 17,
    ...SUDOKU_TOKENS,
  };
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(1));
  const tokenizer = sudokuTokenizer(4);
  await saveCheckpoint(dir, {
    config,
    tensors: toTensors(parameters),
    dtype: 'F32',
    tokenizerFiles: {
      'tokenizer.json': JSON.stringify(tokenizer.json),
      'tokenizer_config.json': JSON.stringify(tokenizer.config),
    },
  });
});
afterAll(() => rm(dir, { recursive: true }));

const run = async (...args: string[]): Promise<string> =>
  (await runCommand([addSudoku], ['sudoku', '--model', dir, ...args])).out;

test('a saved model, measured: one row a budget, as JSON and as a table', async () => {
  const result = JSON.parse(
    await run('--puzzles', '3', '--nfe', '4,1', '--thresholds', '0', '--threads', '1', '--json'),
  ) as SudokuResult;
  expect(result).toMatchObject({ size: 4, layout: 'full', puzzles: 3, seed: 0 });
  expect(result.rows.map((row) => row.way)).toEqual(['4', '1', 'threshold 0']);
  expect(result.rows.every((row) => row.validRate >= row.solvedRate && row.millisecondsPerPuzzle > 0)).toBe(
    true,
  );
  expect(await run('--puzzles', '2', '--nfe', '2', '--threads', '1')).toMatch(
    /^2 puzzles of 4x4, masked diffusion\n/,
  );
});

test('what the options of decoding ask for is one more row', async () => {
  const asked = ['--policy', 'klass', '--threshold', '0.3', '--cache', 'dual', '--refresh-every', '2'];
  const result = JSON.parse(
    await run('--puzzles', '2', '--nfe', '1', '--threads', '1', ...asked, '--json'),
  ) as SudokuResult;
  expect(result.rows.map((row) => row.way)).toEqual(['1', 'asked']);
  await expect(run('--puzzles', '1', '--cache', 'block')).rejects.toThrow('none, prefix, dual or interstep');
});

test.each([
  ['--nfe', '4,x'],
  ['--nfe', '0'],
  ['--puzzles', '0'],
  ['--size', '5'],
])('%s %s is refused', async (option, value) => {
  await expect(run(option, value)).rejects.toMatchObject({ code: 'bad_option' });
});

test('a size that the model has no room for is refused', async () => {
  await expect(run('--puzzles', '1', '--size', '6')).rejects.toMatchObject({ code: 'prompt_too_long' });
});

test('the table', () => {
  const row = {
    way: '4',
    forwards: 4,
    validRate: 0.98,
    standardError: 0.0044,
    solvedRate: 0.975,
    millisecondsPerPuzzle: 7.256,
  };
  const text = formatSudoku({ size: 6, layout: 'causal', puzzles: 1000, seed: 0, rows: [row] });
  expect(text).toContain('1000 puzzles of 6x6, autoregressive');
  expect(text).toContain('98.0 ± 0.4');
  expect(text).toContain('97.5');
  expect(text).toContain('7.26');
});
