/** Puzzles to train and to evaluate on, without end; how a row looks is in `sudoku-rows.ts`. */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { createRng } from '../rng.ts';
import type { BatchSource, TokenBatch } from './batch.ts';
import { DIGIT_ZERO, encodePuzzle, PAD, sudokuLength, type SudokuLayout } from './sudoku-rows.ts';
import { createPuzzle, type Puzzle, type SudokuSize } from './sudoku.ts';

const stateSchema = z.strictObject({ size: z.number(), seed: z.number(), puzzles: z.int().min(0) });

/**
 * Fresh puzzles without end, one a row: puzzle i is a function of the seed and i. Evaluation draws from another
 * stream (`evaluationPuzzles`). Puzzles are held out, not solution grids: there are 28,200,960 grids of 6x6, so a
 * long run meets the solution of an evaluation puzzle now and then, behind other givens. The rules are what can be
 * learned, and no grid is seen often enough to be memorised.
 */
export function createSudokuSource(options: {
  size: SudokuSize;
  seed: number;
  layout: SudokuLayout;
}): BatchSource {
  const { size, seed, layout } = options;
  const width = sudokuLength(size, layout);
  let puzzles = 0;
  return {
    next(rows, length): TokenBatch {
      if (length < width) {
        throw new TintypeError('bad_config', {
          what: 'batch.length is too short for a sudoku row',
          got: String(length),
          wanted: `at least ${width} (${size}x${size}, ${layout})`,
        });
      }
      const ids = new Int32Array(rows * length).fill(PAD);
      const segments = new Int32Array(rows * length).fill(-1);
      const answer = new Uint8Array(rows * length);
      for (let row = 0; row < rows; row++) {
        const puzzle = createPuzzle(size, createRng(seed, 'sudoku', 'train', puzzles++));
        const solution = puzzle.solution.map((digit) => DIGIT_ZERO + digit);
        const at = row * length;
        ids.set(encodePuzzle(puzzle, layout), at);
        ids.set(solution, at + width - solution.length);
        segments.fill(0, at, at + width);
        answer.set(
          layout === 'full' ? puzzle.givens.map((digit) => Number(digit === 0)) : solution.fill(1),
          at + width - solution.length,
        );
      }
      return { rows, length, ids, segments, answer };
    },
    state: () => ({ size, seed, puzzles }),
    restore(saved) {
      const state = stateSchema.safeParse(saved);
      if (!state.success || state.data.size !== size || state.data.seed !== seed) {
        throw new TintypeError('bad_data', {
          what: 'the saved position belongs to other puzzles',
          got: JSON.stringify(saved),
          wanted: `size ${size}, seed ${seed}`,
          next: 'resume with the data and seed that the run began with',
        });
      }
      puzzles = state.data.puzzles;
    },
    // Every puzzle is new.
    epochs: 0,
    description: `${size}x${size} sudoku, generated without end`,
  };
}

/** `count` puzzles that training never draws: another stream of the same generator. */
export function evaluationPuzzles(size: SudokuSize, count: number, seed: number): Puzzle[] {
  return Array.from({ length: count }, (_, i) =>
    createPuzzle(size, createRng(seed, 'sudoku', 'evaluation', i)),
  );
}
