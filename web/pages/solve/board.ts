/** What each cell of a puzzle shows after so many forwards of a run, and what is wrong with it. */
import { MASKED } from '../../../src/decode/canvas.ts';
import type { Cell, CellState, Frame } from '../../../src/decode/film.ts';
import { decodeGrid } from '../../../src/train/sudoku-rows.ts';
import type { Grid, SudokuSize } from '../../../src/train/sudoku.ts';
import { clashes } from '../../../src/train/sudoku.ts';
import type { Recording } from '../../runs/recording.ts';

export interface Sudoku {
  size: SudokuSize;
  givens: Grid;
  /** The only one; null where there is none, or more. */
  solution: Grid | null;
}

/**
 * `clash`: the same digit stands twice in a row, column or box; `changed`: it stands where another digit was given;
 * `different`: no clash yet, but the only solution has another digit there.
 */
export type Fault = 'clash' | 'changed' | 'different';

export interface BoardCell {
  /** 0 where masked. */
  digit: number;
  /** `unwritten`: an autoregressive model has not been there yet. */
  state: CellState | 'given' | 'unwritten';
  /** Of the digit when it was committed; of a masked cell: of the digit that leads there. */
  probability: number | null;
  fault: Fault | null;
  /** A digit stood here until this forward: masked again, or replaced at once. */
  takenBack: number | null;
}

export interface Board {
  cells: BoardCell[];
  clashes: [number, number][];
  committed: number;
}

/** What a frame holds in each cell: the last positions of the canvas are the grid; null where the run has not been. */
function cellsOf(frame: Frame, { lines }: Recording, size: SudokuSize): (Cell | null)[] {
  const canvas = lines.find((line) => line.type === 'canvas')!;
  const first = canvas.ids.length - size * size - canvas.answerStart;
  return Array.from({ length: size * size }, (_, cell) => frame.cells[first + cell] ?? null);
}

const gridOf = (cells: readonly (Cell | null)[], size: SudokuSize): Grid =>
  decodeGrid(
    cells.map((cell) => cell?.id ?? MASKED),
    size,
  );

/** The board after `forwards` of them; before the first one, and without a run, the puzzle itself. */
export function boardAt(sudoku: Sudoku, run: Recording | null, forwards: number): Board {
  const { size, givens } = sudoku;
  const past = run?.frames.filter(({ step }) => step !== null && step.nfe <= forwards) ?? [];
  const frame = past.at(-1);
  if (!run || !frame)
    return judge(sudoku, givens, (cell) => ({ state: stateOf(givens[cell]), probability: null }));
  const isNow = frame.step?.nfe === forwards;
  const cells = cellsOf(frame, run, size);
  const grid = gridOf(cells, size);
  const before =
    past.length > 1 ? gridOf(cellsOf(past.at(-2)!, run, size), size) : new Uint8Array(givens.length);
  return judge(sudoku, grid, (at) => {
    const cell = cells[at];
    if (cell === null) return { state: 'unwritten', probability: null };
    const { state, probability } = cell;
    const shown = givens[at] !== 0 && probability === null ? stateOf(givens[at]) : state;
    return {
      state: shown === 'fresh' && !isNow ? 'held' : shown,
      probability:
        grid[at] === 0 ? (thoughtsOf(run, forwards, at, size)[0]?.probability ?? null) : probability,
      takenBack: isNow && before[at] !== 0 && before[at] !== grid[at] ? before[at] : null,
    };
  });
}

const stateOf = (given: number): 'given' | 'masked' => (given === 0 ? 'masked' : 'given');

type Shown = Pick<BoardCell, 'state' | 'probability'> & Partial<Pick<BoardCell, 'takenBack'>>;

function judge({ size, givens, solution }: Sudoku, grid: Grid, show: (cell: number) => Shown): Board {
  const pairs = clashes(grid, size);
  const clashing = new Set(pairs.flat());
  const fault = (cell: number): Fault | null => {
    const digit = grid[cell];
    if (digit === 0) return null;
    if (givens[cell] !== 0 && digit !== givens[cell]) return 'changed';
    if (clashing.has(cell)) return 'clash';
    return solution !== null && digit !== solution[cell] ? 'different' : null;
  };
  const cells = Array.from(grid, (digit, cell): BoardCell => {
    const shown = show(cell);
    return {
      takenBack: null,
      ...shown,
      state: digit === 0 && shown.state !== 'unwritten' ? 'masked' : shown.state,
      digit,
      fault: fault(cell),
    };
  });
  return { cells, clashes: pairs, committed: cells.filter(({ state }) => state === 'fresh').length };
}

/** Before an autoregressive model has written anything: it writes givens too. */
export const emptySheet = ({ size, givens }: Sudoku): Board =>
  judge({ size, givens, solution: null }, new Uint8Array(givens.length), () => ({
    state: 'unwritten',
    probability: null,
  }));

/** Digits that the model thought of at a cell in a forward, the likeliest first; none where it did not look. */
export function thoughtsOf(
  run: Recording,
  forwards: number,
  cell: number,
  size: SudokuSize,
): { digit: number; probability: number }[] {
  const canvas = run.lines.find((line) => line.type === 'canvas');
  const position = (canvas?.ids.length ?? 0) - size * size + cell;
  const looked = run.looks.get(forwards)?.candidates.find((candidate) => candidate.position === position);
  const top = looked?.top ?? [];
  const digits = decodeGrid(
    top.map(({ id }) => id),
    size,
  );
  return top.flatMap(({ probability }, i) => (digits[i] > 0 ? [{ digit: digits[i], probability }] : []));
}
