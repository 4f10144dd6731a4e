/**
 * How often a model's sudoku grid is right, by the number of forwards that it may use. Fresh puzzles with one
 * solution, greedy decoding, the answer checked by rule.
 *
 * - `full`: the blanks are masks; a budget of n forwards commits equal shares, the surest first (`fixedSteps`), a
 *   threshold what is surer than that (`confidenceThreshold`), so that hard puzzles take more forwards than easy ones.
 *   The givens cannot change, so a valid grid is the solution.
 * - `causal`: the twin reads the puzzle and writes the grid from left to right, one forward a cell, whatever the
 *   budget. A valid grid may be one of another puzzle: `solvedRate` tells.
 */
import { decode } from '../decode/decode.ts';
import { collect } from '../decode/events.ts';
import type { DecodeOptions } from '../decode/options.ts';
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { decodeGrid, SUDOKU_TOKENS, sudokuLength, type SudokuLayout } from '../train/sudoku-rows.ts';
import { evaluationPuzzles } from '../train/sudoku-source.ts';
import { solves, SUDOKU_SIZES, validGrid, type Puzzle, type SudokuSize } from '../train/sudoku.ts';
import { mean } from './metrics.ts';
import { puzzleCanvas } from './sudoku-canvas.ts';

export interface SudokuOptions {
  /** Default: the largest that fits the model's context. */
  size?: SudokuSize | undefined;
  /** Default 1000. */
  puzzles?: number | undefined;
  /** Most forwards a puzzle, each a row of the result; `full` only. Default 12, 4, 2, 1. */
  budgets?: readonly number[] | undefined;
  /** Confidences that are enough to commit, each a row after those of the budgets; `full` only. Default none. */
  thresholds?: readonly number[] | undefined;
  /** One more way, the row `asked`. Default none. */
  asked?: DecodeOptions | undefined;
  /** Which puzzles. Default 0; training never meets them (`evaluationPuzzles`). */
  seed?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Grids done so far, of all rows together. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface SudokuRow {
  /** The budget as a number, `threshold 0.5` or `asked`. */
  way: string;
  /** Mean of those used: a budget, less where a puzzle has fewer blanks. */
  forwards: number;
  /** Share of grids whose rows, columns and boxes hold every digit once. */
  validRate: number;
  /** Of `validRate`, over puzzles; null for one puzzle. */
  standardError: number | null;
  /** Share of grids that are valid and keep the givens. */
  solvedRate: number;
  millisecondsPerPuzzle: number;
}

export interface SudokuResult {
  size: SudokuSize;
  layout: SudokuLayout;
  puzzles: number;
  seed: number;
  rows: SudokuRow[];
}

/** @throws bad_option, unsupported (a model with another vocabulary or layout), aborted */
export async function evaluateSudoku(denoiser: Denoiser, options: SudokuOptions = {}): Promise<SudokuResult> {
  const {
    puzzles: count = 1000,
    budgets = [12, 4, 2, 1],
    thresholds,
    asked,
    seed = 0,
    signal,
    onProgress,
  } = options;
  const { config } = denoiser;
  const layout = sudokuLayout(config);
  const size = options.size ?? largestSize(config, layout);
  const ways: SudokuWay[] =
    layout === 'full' ? waysOf(budgets, thresholds) : [{ name: String(size * size), options: {} }];
  if (asked) ways.push({ name: 'asked', options: asked });
  const puzzles = evaluationPuzzles(size, count, seed);

  const rows: SudokuRow[] = [];
  for (const { name: way, options: decoding } of ways) {
    const valid: number[] = [];
    let [solved, forwards] = [0, 0];
    const startedMs = performance.now();
    for (const puzzle of puzzles) {
      signal?.throwIfAborted();
      const { grid, nfe } = await solveByModel(denoiser, puzzle, layout, decoding);
      forwards += nfe / count;
      valid.push(Number(validGrid(grid, size)));
      solved += Number(solves(puzzle, grid));
      onProgress?.(rows.length * count + valid.length, ways.length * count);
    }
    const { value: validRate, standardError } = mean(valid);
    const millisecondsPerPuzzle = (performance.now() - startedMs) / count;
    rows.push({ way, forwards, validRate, standardError, solvedRate: solved / count, millisecondsPerPuzzle });
  }
  return { size, layout, puzzles: count, seed, rows };
}

/** A way to decode a puzzle, and its name in a table. */
export interface SudokuWay {
  name: string;
  options: DecodeOptions;
}

/** The ways of a diffusion model: budgets of forwards, then thresholds. */
export const waysOf = (budgets: readonly number[], thresholds: readonly number[] = []): SudokuWay[] => [
  ...budgets.map((steps) => ({ name: String(steps), options: { policy: 'fixedSteps' as const, steps } })),
  ...thresholds.map((threshold) => ({
    name: `threshold ${threshold}`,
    options: { policy: 'confidenceThreshold' as const, threshold },
  })),
];

export async function solveByModel(
  denoiser: Denoiser,
  puzzle: Puzzle,
  layout: SudokuLayout,
  options: DecodeOptions,
): Promise<{ grid: Uint8Array; nfe: number }> {
  const { done } = await collect(decode(denoiser, puzzleCanvas(puzzle, layout), options));
  return { grid: decodeGrid(done.ids, puzzle.size), nfe: done.nfe };
}

export function sudokuLayout({ layout, vocabSize }: ModelConfig): SudokuLayout {
  if ((layout === 'full' || layout === 'causal') && vocabSize === SUDOKU_TOKENS.vocabSize) return layout;
  throw new TintypeError('unsupported', {
    what: 'this is no sudoku model',
    got: `layout ${layout}, ${vocabSize} tokens`,
    wanted: `layout full or causal, ${SUDOKU_TOKENS.vocabSize} tokens`,
    next: 'train one with `tintype train --preset sudoku`',
  });
}

export function largestSize({ contextLength }: ModelConfig, layout: SudokuLayout): SudokuSize {
  const size = SUDOKU_SIZES.findLast((each) => sudokuLength(each, layout) <= contextLength);
  if (size !== undefined) return size;
  throw new TintypeError('unsupported', {
    what: 'the context of this model is too short for a sudoku',
    got: `${contextLength} tokens`,
    wanted: `at least ${sudokuLength(SUDOKU_SIZES[0], layout)}`,
  });
}
