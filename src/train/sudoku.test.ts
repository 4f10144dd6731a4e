import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import {
  clashes,
  countSolutions,
  createPuzzle,
  formatGrid,
  onlySolution,
  solves,
  SUDOKU_SIZES,
  validGrid,
  type SudokuSize,
} from './sudoku.ts';

const grid = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s/g, ''), (char) => (char === '.' ? 0 : Number(char)));

/** All full grids that agree with the givens, by trying every digit in the first blank cell. */
function solutionsByBruteForce(givens: Uint8Array, size: SudokuSize): number {
  const blank = givens.indexOf(0);
  if (blank === -1) return validGrid(givens, size) ? 1 : 0;
  let found = 0;
  for (let digit = 1; digit <= size; digit++) found += solutionsByBruteForce(givens.with(blank, digit), size);
  return found;
}

describe.each(SUDOKU_SIZES)('size %i', (size) => {
  test('a generated puzzle has one solution, and carries it', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const puzzle = createPuzzle(size, createRng(seed));
        expect(validGrid(puzzle.solution, size)).toBe(true);
        expect(solves(puzzle, puzzle.solution)).toBe(true);
        expect(countSolutions(puzzle.givens, size, 2)).toBe(1);
      }),
    );
  });

  test('the number of givens varies between its bounds', () => {
    const rng = createRng(2);
    const givenCounts = Array.from(
      { length: 200 },
      () => createPuzzle(size, rng).givens.filter((digit) => digit > 0).length,
    );
    const [fewest, most] = [Math.floor((size * size) / 3), Math.floor((size * size) / 2)];
    expect(Math.min(...givenCounts)).toBeGreaterThanOrEqual(fewest);
    expect(new Set(givenCounts).size).toBe(most - fewest + 1);
  });

  test('a wanted number of givens is met, or come close to where the solution would not stay unique', () => {
    const count = (wanted: number): number =>
      createPuzzle(size, createRng(3), wanted).givens.filter((digit) => digit > 0).length;
    const half = Math.floor((size * size) / 2);
    expect(count(half + 2)).toBe(half + 2);
    expect(count(size * size)).toBe(size * size);
    expect(count(1)).toBeGreaterThan(1);
  });

  test('the only solution is found from the givens alone', () => {
    const { givens, solution } = createPuzzle(size, createRng(4));
    const asGiven = givens.slice();
    expect(onlySolution(givens, size)).toEqual(solution);
    expect(givens).toEqual(asGiven);
    expect(onlySolution(new Uint8Array(size * size), size)).toBeNull();
    expect(onlySolution(Uint8Array.from([1, 1, ...new Uint8Array(size * size - 2)]), size)).toBeNull();
  });

  test('a full grid is valid exactly when no two cells clash', () => {
    const { solution } = createPuzzle(size, createRng(5));
    expect(clashes(solution, size)).toEqual([]);
    expect(clashes(new Uint8Array(size * size), size)).toEqual([]);
    fc.assert(
      fc.property(fc.nat(size * size - 1), fc.integer({ min: 1, max: size }), (cell, digit) => {
        const changed = solution.with(cell, digit);
        const pairs = clashes(changed, size);
        expect(pairs.length === 0).toBe(validGrid(changed, size));
        expect(pairs.every((pair) => pair.includes(cell))).toBe(true);
      }),
    );
  });

  test('a function of the seed', () => {
    const draw = (seed: number) => createPuzzle(size, createRng(seed));
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
  });
});

test('solutions are counted up to the limit', () => {
  // There are 288 full grids of 4x4.
  expect(countSolutions(new Uint8Array(16), 4, 1000)).toBe(288);
  expect(countSolutions(new Uint8Array(16), 4, 2)).toBe(2);
  expect(countSolutions(grid('11.. .... .... ....'), 4, 2)).toBe(0);
});

test('counting agrees with brute force on random 4x4 boards', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(fc.nat(15), { maxLength: 6 }), fc.boolean(), (seed, blanks, spoil) => {
      const board = createPuzzle(4, createRng(seed)).solution;
      if (spoil) board[seed % 16] = 1 + (board[seed % 16] % 4);
      for (const cell of blanks) board[cell] = 0;
      expect(countSolutions(board, 4, 1000)).toBe(solutionsByBruteForce(board, 4));
    }),
    { numRuns: 50 },
  );
});

test('valid means every digit once in each row, column and box', () => {
  expect(validGrid(grid('1234 3412 2143 4321'), 4)).toBe(true);
  expect(validGrid(grid('1234 2341 3412 4123'), 4)).toBe(false); // rows and columns, but not boxes
  expect(validGrid(grid('1234 3412 2143 4322'), 4)).toBe(false);
  expect(validGrid(grid('1234 3412 2143 432.'), 4)).toBe(false);
  expect(validGrid(grid('1234 3412 2143 432'), 4)).toBe(false);
  // Boxes of a 6x6 are two rows high and three columns wide.
  expect(validGrid(grid('123456 456123 231564 564231 312645 645312'), 6)).toBe(true);
  expect(validGrid(grid('123456 456123 231564 564231 312645 645321'), 6)).toBe(false);
});

test('solving keeps the givens', () => {
  const full = grid('1234 3412 2143 4321');
  expect(solves({ size: 4, givens: grid('1... .... .... ....') }, full)).toBe(true);
  expect(solves({ size: 4, givens: grid('2... .... .... ....') }, full)).toBe(false);
});

test('a grid as a line of text', () => {
  expect(formatGrid(grid('12.4'))).toBe('12.4');
});
