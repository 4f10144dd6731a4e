/** A puzzle as a canvas. In a file of its own, since the page asks servers to fill such canvases. */
import { appendCanvas, fixedCanvas, MASKED, type Canvas } from '../decode/canvas.ts';
import { encodePuzzle, SUDOKU_TOKENS, type SudokuLayout } from '../train/sudoku-rows.ts';
import type { Puzzle } from '../train/sudoku.ts';

/** The canvas that a model of this layout is to fill. */
export function puzzleCanvas(puzzle: Pick<Puzzle, 'givens'>, layout: SudokuLayout): Canvas {
  const ids = encodePuzzle(puzzle, layout);
  if (layout === 'causal') return appendCanvas(ids, puzzle.givens.length);
  return fixedCanvas(ids.map((id) => (id === SUDOKU_TOKENS.tokens.mask ? MASKED : id)));
}
