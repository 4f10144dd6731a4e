/**
 * The puzzle itself: 4x4, 6x6 (boxes of 2 rows and 3 columns) and 9x9 sudoku with exactly one solution. A small
 * world in which a model can be trained in minutes, the right answer is checked by rule, and the order in which
 * blanks are filled matters. A grid is read row by row; 0 is a blank.
 */
import { shuffle } from '../rng.ts';
import type { Rng } from '../rng.ts';

export type SudokuSize = 4 | 6 | 9;

export const SUDOKU_SIZES: readonly SudokuSize[] = [4, 6, 9];

/** Digits 1 … size, 0 for a blank. [size · size] */
export type Grid = Uint8Array;

export interface Puzzle {
  size: SudokuSize;
  givens: Grid;
  /** The only grid that agrees with the givens. */
  solution: Grid;
}

interface Board {
  size: SudokuSize;
  /** Row, column and box of each cell, as indices into one array of 3 · size sets. [cells · 3] */
  unitsOf: Uint8Array;
}

/** The shape of a box. */
export const SUDOKU_BOXES: Record<SudokuSize, [rows: number, columns: number]> = {
  4: [2, 2],
  6: [2, 3],
  9: [3, 3],
};

const BOARDS = Object.fromEntries(SUDOKU_SIZES.map((size) => [size, createBoard(size)])) as Record<
  SudokuSize,
  Board
>;

function createBoard(size: SudokuSize): Board {
  const [boxRows, boxColumns] = SUDOKU_BOXES[size];
  const unitsOf = new Uint8Array(size * size * 3);
  for (let cell = 0; cell < size * size; cell++) {
    const [row, column] = [Math.floor(cell / size), cell % size];
    const box = Math.floor(row / boxRows) * (size / boxColumns) + Math.floor(column / boxColumns);
    unitsOf.set([row, size + column, 2 * size + box], cell * 3);
  }
  return { size, unitsOf };
}

/** True when every row, column and box holds each digit once. */
export function validGrid(grid: ArrayLike<number>, size: SudokuSize): boolean {
  if (grid.length !== size * size) return false;
  const { unitsOf } = BOARDS[size];
  const seen = new Uint16Array(3 * size);
  for (let cell = 0; cell < grid.length; cell++) {
    const digit = grid[cell];
    if (!Number.isInteger(digit) || digit < 1 || digit > size) return false;
    for (let unit = cell * 3; unit < cell * 3 + 3; unit++) {
      if (seen[unitsOf[unit]] & (1 << digit)) return false;
      seen[unitsOf[unit]] |= 1 << digit;
    }
  }
  return true;
}

/** True when the grid is valid and left every given as it was. */
export function solves({ size, givens }: Pick<Puzzle, 'size' | 'givens'>, grid: ArrayLike<number>): boolean {
  return validGrid(grid, size) && givens.every((digit, cell) => digit === 0 || digit === grid[cell]);
}

/**
 * Fills the blanks of `grid` in place and returns how many solutions it met before stopping at `limit`; with at
 * least `limit` of them the grid holds the last one, else it is as before. Always takes the blank with the fewest
 * candidates; `rng` shuffles the digits tried, so that an empty grid becomes a random one.
 */
function solve(grid: Grid, { size, unitsOf }: Board, limit: number, rng: Rng | null): number {
  const all = (1 << (size + 1)) - 2; // bits 1 … size
  const used = new Uint16Array(3 * size);
  const blanks: number[] = [];
  for (let cell = 0; cell < grid.length; cell++) {
    if (grid[cell] === 0) {
      blanks.push(cell);
      continue;
    }
    const bit = 1 << grid[cell];
    for (let unit = cell * 3; unit < cell * 3 + 3; unit++) {
      if (used[unitsOf[unit]] & bit) return 0; // two givens contradict each other
      used[unitsOf[unit]] |= bit;
    }
  }
  let solutions = 0;
  const fill = (depth: number): boolean => {
    if (depth === blanks.length) return ++solutions >= limit;
    let best = depth;
    let candidates = 0;
    for (let i = depth, fewest = size + 1; i < blanks.length && fewest > 1; i++) {
      const at = blanks[i] * 3;
      const open = all & ~(used[unitsOf[at]] | used[unitsOf[at + 1]] | used[unitsOf[at + 2]]);
      const count = bitCount(open);
      if (count === 0) return false;
      if (count < fewest) [fewest, best, candidates] = [count, i, open];
    }
    const cell = blanks[best];
    blanks[best] = blanks[depth]!;
    blanks[depth] = cell;
    const [row, column, box] = [unitsOf[cell * 3], unitsOf[cell * 3 + 1], unitsOf[cell * 3 + 2]];
    while (candidates !== 0) {
      const bit = rng ? randomBit(candidates, rng) : candidates & -candidates;
      candidates &= ~bit;
      grid[cell] = 31 - Math.clz32(bit);
      used[row] |= bit;
      used[column] |= bit;
      used[box] |= bit;
      if (fill(depth + 1)) return true;
      used[row] &= ~bit;
      used[column] &= ~bit;
      used[box] &= ~bit;
    }
    grid[cell] = 0;
    return false;
  };
  fill(0);
  return solutions;
}

function bitCount(bits: number): number {
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count++;
  return count;
}

function randomBit(bits: number, rng: Rng): number {
  for (let skip = rng.int(bitCount(bits)); skip > 0; skip--) bits &= bits - 1;
  return bits & -bits;
}

/** Number of solutions of a puzzle, at most `limit`. */
export function countSolutions(givens: Grid, size: SudokuSize, limit: number): number {
  return solve(givens.slice(), BOARDS[size], limit, null);
}

/** The only grid that agrees with the givens; null when there is none, or more than one. */
export function onlySolution(givens: Grid, size: SudokuSize): Grid | null {
  if (countSolutions(givens, size, 2) !== 1) return null;
  const grid = givens.slice();
  solve(grid, BOARDS[size], 1, null);
  return grid;
}

/** Pairs of cells that hold the same digit in one row, column or box, the lower first; blanks never clash. */
export function clashes(grid: ArrayLike<number>, size: SudokuSize): [number, number][] {
  const { unitsOf } = BOARDS[size];
  const units = Array.from({ length: size * size }, (_, cell) => unitsOf.subarray(cell * 3, cell * 3 + 3));
  return units.flatMap((own, a) =>
    units.flatMap((other, b): [number, number][] =>
      b > a && grid[a] !== 0 && grid[a] === grid[b] && own.some((unit, kind) => unit === other[kind])
        ? [[a, b]]
        : [],
    ),
  );
}

/** A random solved grid. Not uniform over all grids (backtracking favours some slightly), but every one can come. */
export function randomGrid(size: SudokuSize, rng: Rng): Grid {
  const grid = new Uint8Array(size * size);
  solve(grid, BOARDS[size], 1, rng);
  return grid;
}

/**
 * A puzzle with exactly one solution. Cells of a random grid are emptied in random order, each only if the solution
 * stays unique, until `wanted` givens are left, or as many as are drawn: from a third to a half of the cells (6x6: 12
 * to 18). Should the number be out of reach, the puzzle keeps more. About 16,000 (6x6) or 3,000 (9x9) a second.
 */
export function createPuzzle(size: SudokuSize, rng: Rng, wanted?: number): Puzzle {
  const cells = size * size;
  const solution = randomGrid(size, rng);
  const givens = solution.slice();
  const [fewest, most] = [Math.floor(cells / 3), Math.floor(cells / 2)];
  const target = wanted ?? fewest + rng.int(most - fewest + 1);
  let left = cells;
  for (const cell of permutation(cells, rng)) {
    if (left === target) break;
    givens[cell] = 0;
    if (countSolutions(givens, size, 2) === 1) left--;
    else givens[cell] = solution[cell]!;
  }
  return { size, givens, solution };
}

/** 0 … n − 1 in random order. */
function permutation(n: number, rng: Rng): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  return shuffle(order, rng);
}

/** `53..7....`: digits row by row, `.` for a blank. */
export function formatGrid(grid: ArrayLike<number>): string {
  return Array.from(grid, (digit) => (digit === 0 ? '.' : String(digit))).join('');
}
