import { expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { createTokenizer } from '../text/json.ts';
import { decodeGrid, encodePuzzle, SUDOKU_TOKENS, sudokuTokenizer } from './sudoku-rows.ts';
import { createSudokuSource, evaluationPuzzles } from './sudoku-source.ts';
import { countSolutions, createPuzzle, formatGrid, solves, validGrid } from './sudoku.ts';

const { bos, mask, pad } = SUDOKU_TOKENS.tokens;
const tokenizer = createTokenizer(sudokuTokenizer(6).json);

test('a row of `full` is the solution, and its answer the blanks of a puzzle with one solution', () => {
  const { ids, segments, answer } = createSudokuSource({ size: 6, seed: 1, layout: 'full' }).next(20, 37);
  for (let row = 0; row < 20; row++) {
    const cells = ids.subarray(row * 37 + 1, (row + 1) * 37);
    const blanks = answer!.subarray(row * 37 + 1, (row + 1) * 37);
    expect([ids[row * 37], answer![row * 37]]).toEqual([bos, 0]);
    const grid = decodeGrid(cells, 6);
    expect(validGrid(grid, 6)).toBe(true);
    const givens = grid.map((digit, cell) => (blanks[cell] ? 0 : digit));
    expect(givens).toContain(0);
    expect(countSolutions(givens, 6, 2)).toBe(1);
  }
  expect(segments.every((segment) => segment === 0)).toBe(true);
});

test('a row of `causal` is the puzzle, then its solution, then padding', () => {
  const { ids, segments, answer } = createSudokuSource({ size: 6, seed: 1, layout: 'causal' }).next(20, 80);
  for (let row = 0; row < 20; row++) {
    const at = row * 80;
    const givens = decodeGrid(ids.subarray(at + 1, at + 37), 6);
    expect(encodePuzzle({ givens }, 'causal')).toEqual(ids.slice(at, at + 38));
    expect(solves({ size: 6, givens }, decodeGrid(ids.subarray(at, at + 74), 6))).toBe(true);
    expect([...ids.subarray(at + 74, at + 80)]).toEqual(Array.from({ length: 6 }, () => pad));
    expect([...answer!.subarray(at, at + 80)]).toEqual(
      Array.from({ length: 80 }, (_, t) => (t >= 38 && t < 74 ? 1 : 0)),
    );
    expect([...segments.subarray(at, at + 80)]).toEqual(
      Array.from({ length: 80 }, (_, t) => (t < 74 ? 0 : -1)),
    );
  }
});

test('both layouts tell of the same puzzles', () => {
  const full = createSudokuSource({ size: 4, seed: 3, layout: 'full' }).next(1, 17);
  const causal = createSudokuSource({ size: 4, seed: 3, layout: 'causal' }).next(1, 34);
  expect([...full.ids.subarray(1)]).toEqual([...causal.ids.subarray(18)]);
});

test('what a decoder starts from', () => {
  const puzzle = createPuzzle(6, createRng(1));
  const ids = encodePuzzle(puzzle, 'full');
  expect(ids[0]).toBe(bos);
  expect(Array.from(ids.slice(1), (id) => id === mask)).toEqual(
    Array.from(puzzle.givens, (digit) => digit === 0),
  );
  expect(decodeGrid(ids, 6)).toEqual(puzzle.givens);
});

test('goes on exactly where it stopped, through JSON', () => {
  const source = createSudokuSource({ size: 6, seed: 7, layout: 'full' });
  const first = source.next(3, 37);
  const state = JSON.parse(JSON.stringify(source.state())) as unknown;
  const second = source.next(3, 37);
  const resumed = createSudokuSource({ size: 6, seed: 7, layout: 'full' });
  resumed.restore(state);
  expect(resumed.next(3, 37)).toEqual(second);
  expect(second).not.toEqual(first);
});

test('a row that cannot hold a puzzle is refused', () => {
  expect(() => createSudokuSource({ size: 6, seed: 7, layout: 'causal' }).next(1, 73)).toThrow(/at least 74/);
});

test('a state of another stream is refused', () => {
  const state = createSudokuSource({ size: 6, seed: 7, layout: 'full' }).state();
  expect(() => createSudokuSource({ size: 6, seed: 8, layout: 'full' }).restore(state)).toThrow(
    /other puzzles/,
  );
  expect(() => createSudokuSource({ size: 4, seed: 7, layout: 'full' }).restore(state)).toThrow(
    /other puzzles/,
  );
});

test('evaluation draws other puzzles than training with the same seed', () => {
  const { ids } = createSudokuSource({ size: 6, seed: 1, layout: 'causal' }).next(300, 74);
  const trained = Array.from({ length: 300 }, (_, row) => ids.slice(row * 74, row * 74 + 38).join());
  const held = evaluationPuzzles(6, 300, 1).map((puzzle) => encodePuzzle(puzzle, 'causal').join());
  expect(new Set([...trained, ...held]).size).toBe(600);
});

test('the tokenizer reads and writes grids with the ids of the rows', () => {
  const puzzle = createPuzzle(9, createRng(1));
  expect(tokenizer.vocabSize).toBeLessThanOrEqual(SUDOKU_TOKENS.vocabSize);
  expect(tokenizer.encode(formatGrid(puzzle.givens))).toEqual(
    [...encodePuzzle(puzzle, 'causal')].slice(1, -1),
  );
  expect(tokenizer.decode([bos, ...tokenizer.encode(formatGrid(puzzle.solution))])).toBe(
    formatGrid(puzzle.solution),
  );
  expect(tokenizer.special('<|mask|>')).toBe(mask);
  expect(tokenizer.special('<|pad|>')).toBe(pad);
});
