/** Which models solve puzzles, and what they are given; puzzles as text. */
import { puzzleCanvas } from '../../../src/eval/sudoku-canvas.ts';
import { sudokuLength } from '../../../src/train/sudoku-rows.ts';
import type { SudokuLayout } from '../../../src/train/sudoku-rows.ts';
import { SUDOKU_SIZES } from '../../../src/train/sudoku.ts';
import type { Grid, SudokuSize } from '../../../src/train/sudoku.ts';
import type { ModelInfo } from '../../runs/run.ts';

/** A model that solves puzzles, by its name and the length of its rows. */
export interface Solver {
  model: string;
  size: SudokuSize;
  layout: SudokuLayout;
}

export function solversAmong(listed: readonly ModelInfo[]): Solver[] {
  return listed.flatMap(({ id, layout, contextLength }): Solver[] => {
    if (!/sudoku/i.test(id) || (layout !== 'full' && layout !== 'causal')) return [];
    const size = SUDOKU_SIZES.find((one) => sudokuLength(one, layout) === contextLength);
    return size === undefined ? [] : [{ model: id, size, layout }];
  });
}

/** What a solver is asked to fill. */
export function requestCanvas(givens: Grid, layout: SudokuLayout): { ids: number[]; answerStart: number } {
  const { ids, answerStart } = puzzleCanvas({ givens }, layout);
  return { ids: Array.from(ids), answerStart };
}

/** What text says of a puzzle: digits row by row; `.`, `0`, `_` or `*` for a blank; spaces and lines are ignored. */
export function readPuzzle(text: string, size: SudokuSize): Grid | { problem: string } {
  const signs = text.replaceAll(/[\s|+-]/g, '');
  const alien = /[^\d._*]/u.exec(signs)?.[0];
  if (alien !== undefined) {
    return { problem: `“${alien}” is no digit. Wanted: 1 to ${size}, and a dot for a blank.` };
  }
  if (signs.length !== size * size) {
    return {
      problem: `That is ${signs.length} cells. Wanted: ${size * size}, row by row, a dot for a blank.`,
    };
  }
  const high = Array.from(signs).find((sign) => Number(sign) > size);
  if (high !== undefined)
    return { problem: `There is no ${high} in a ${size}x${size} puzzle. Wanted: 1 to ${size}.` };
  return Uint8Array.from(signs, (sign) => Number(sign) || 0);
}

/** New for every drawn puzzle; a puzzle can be drawn again by its number. */
export const drawSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
