import { describe, expect, test } from 'vitest';
import { MASKED } from '../decode/canvas.ts';
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { encodePuzzle, SUDOKU_TOKENS, sudokuLength, type SudokuLayout } from '../train/sudoku-rows.ts';
import { evaluationPuzzles } from '../train/sudoku-source.ts';
import { solves, validGrid, type Puzzle } from '../train/sudoku.ts';
import { puzzleCanvas } from './sudoku-canvas.ts';
import { evaluateSudoku } from './sudoku.ts';

const SIZE = 4;
const CELLS = SIZE * SIZE;

function configOf(layout: SudokuLayout): ModelConfig {
  const contextLength = sudokuLength(SIZE, layout);
  return {
    modelType: 'oracle',
    layout,
    width: 1,
    layers: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 1,
    ffnWidth: 1,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 100,
    contextLength,
    blockLength: layout === 'full' ? contextLength : 1,
    ...SUDOKU_TOKENS,
  };
}

/** Writes the grid that `answer` gives for the puzzle in front of it. Counts its forwards. */
function createOracle(
  layout: SudokuLayout,
  puzzles: readonly Puzzle[],
  answer: (puzzle: Puzzle, cells: number[]) => Uint8Array,
) {
  const prompts = puzzles.map((puzzle) => [...encodePuzzle(puzzle, layout)]);
  let forwards = 0;
  const denoiser: Denoiser = {
    config: configOf(layout),
    createCache: () => {
      const seen: number[] = [];
      return {
        seen,
        get length() {
          return seen.length;
        },
        truncate: (length) => void (seen.length = length),
        clone: () => denoiser.createCache(),
        sizeBytes: 0,
      };
    },
    forward: async (runs, { topK }) => {
      forwards++;
      return runs.map(({ ids, positions, cache, query }) => {
        const seen = cache ? (cache as unknown as { seen: number[] }).seen : [];
        const text = [...seen, ...ids];
        if (cache) seen.push(...ids);
        const index = prompts.findIndex((prompt) =>
          prompt.every((id, at) => id === SUDOKU_TOKENS.tokens.mask || id === text[at]),
        );
        const offset = layout === 'full' ? -1 : 1 - prompts[index].length;
        const cells = Array.from(query, (row) => positions[row] + offset);
        const grid = answer(puzzles[index], cells);
        const best = cells.map((cell) => 4 + grid[cell]);
        return {
          ids: Int32Array.from(best.flatMap((id) => [id, ...Array.from({ length: topK - 1 }, () => 0)])),
          logits: Float32Array.from(best.flatMap(() => [1, ...Array.from({ length: topK - 1 }, () => 0)])),
          logSumExp: new Float32Array(query.length).fill(2),
          entropy: new Float32Array(0),
          sampled: new Int32Array(0),
          sampledLogits: new Float32Array(0),
        };
      });
    },
    close: async () => {},
  };
  return { denoiser, forwards: () => forwards };
}

const puzzles = evaluationPuzzles(SIZE, 20, 0);

describe('full', () => {
  test('a model that knows is right with any budget, and keeps to it', async () => {
    const { denoiser, forwards } = createOracle('full', puzzles, ({ solution }) => solution);
    const progress: [number, number][] = [];
    const { size, rows } = await evaluateSudoku(denoiser, {
      puzzles: 20,
      budgets: [3, 1],
      onProgress: (done, total) => progress.push([done, total]),
    });
    expect(size).toBe(SIZE);
    expect(rows.map((row) => [row.way, row.validRate, row.standardError, row.solvedRate])).toEqual([
      ['3', 1, 0, 1],
      ['1', 1, 0, 1],
    ]);
    expect(forwards()).toBe(20 * 3 + 20 * 1);
    expect(progress.at(-1)).toEqual([40, 40]);
  });

  test('a model that only knows the first blank needs a forward for each', async () => {
    const { denoiser } = createOracle('full', puzzles, ({ solution }, [first]) =>
      solution.map((digit, cell) => (cell === first ? digit : 1 + (digit % SIZE))),
    );
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 20, budgets: [CELLS, 1] });
    expect(rows.map((row) => row.validRate)).toEqual([1, 0]);
  });

  test('a threshold takes as many forwards as the model needs to be sure', async () => {
    const { denoiser, forwards } = createOracle('full', puzzles, ({ solution }) => solution);
    // The oracle gives its best digit e / e² = .37.
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 20, budgets: [], thresholds: [0.3, 0.5] });
    expect(rows.map(({ way }) => way)).toEqual(['threshold 0.3', 'threshold 0.5']);
    expect(rows[0].forwards).toBeCloseTo(1, 10);
    const blanks = puzzles.reduce((sum, { givens }) => sum + givens.filter((digit) => digit === 0).length, 0);
    expect(rows[1].forwards).toBeCloseTo(blanks / 20, 10);
    expect(forwards()).toBe(20 + blanks);
  });

  test('wrong on half of the puzzles: the rate, and its standard error', async () => {
    const { denoiser } = createOracle('full', puzzles, (puzzle) =>
      puzzles.indexOf(puzzle) % 2 === 0 ? puzzle.solution : new Uint8Array(CELLS).fill(1),
    );
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 20, budgets: [2] });
    expect(rows[0].validRate).toBe(0.5);
    expect(rows[0].solvedRate).toBe(0.5);
    expect(rows[0].standardError).toBeCloseTo(Math.sqrt(0.25 / 19), 10);
  });
});

describe('causal', () => {
  test('one forward a cell, whatever the budget', async () => {
    const { denoiser, forwards } = createOracle('causal', puzzles, ({ solution }) => solution);
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 20, budgets: [3, 1] });
    expect(rows.map((row) => [row.way, row.validRate, row.solvedRate])).toEqual([[String(CELLS), 1, 1]]);
    expect(forwards()).toBe(20 * CELLS);
  });

  test('a valid grid of another puzzle is valid and not solved', async () => {
    const [first] = puzzles;
    const others = puzzles.filter((puzzle) => !solves(puzzle, first.solution)).length;
    const { denoiser } = createOracle('causal', puzzles, () => first.solution);
    const { rows } = await evaluateSudoku(denoiser, { puzzles: 20 });
    expect(validGrid(first.solution, SIZE)).toBe(true);
    expect(rows[0].validRate).toBe(1);
    expect(rows[0].solvedRate).toBeCloseTo(1 - others / 20, 10);
    expect(rows[0].solvedRate).toBeLessThan(0.5);
  });
});

test('an abort stops between two puzzles', async () => {
  const controller = new AbortController();
  const { denoiser, forwards } = createOracle('full', puzzles, ({ solution }) => solution);
  const running = evaluateSudoku(denoiser, {
    puzzles: 20,
    budgets: [1],
    signal: controller.signal,
    onProgress: (done) => done === 3 && controller.abort(),
  });
  await expect(running).rejects.toThrow();
  expect(forwards()).toBe(3);
});

test('other models are refused', async () => {
  const { denoiser } = createOracle('full', puzzles, ({ solution }) => solution);
  const alien = { ...denoiser, config: { ...denoiser.config, vocabSize: 6144 } };
  await expect(evaluateSudoku(alien)).rejects.toThrow(TintypeError);
  const short = { ...denoiser, config: { ...denoiser.config, contextLength: 16 } };
  await expect(evaluateSudoku(short)).rejects.toThrow(/at least 17/);
});

test('the canvas of a puzzle: masks at the blanks, or room after the prompt', () => {
  const [puzzle] = puzzles;
  const full = puzzleCanvas(puzzle, 'full');
  const blanks = Array.from(puzzle.givens, (digit) => digit === 0);
  expect(Array.from(full.ids.subarray(1), (id) => id === MASKED)).toEqual(blanks);
  const causal = puzzleCanvas(puzzle, 'causal');
  expect(causal.answerStart).toBe(CELLS + 2);
  expect(causal.ids.filter((id) => id === MASKED).length).toBe(CELLS);
});
