/** The puzzle, how it is to be solved, and the runs that did; kept while other views are looked at. */
import { computed, effect, signal } from '@preact/signals';
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import { createRng } from '../../../src/rng.ts';
import { SUDOKU_TOKENS } from '../../../src/train/sudoku-rows.ts';
import { countSolutions, createPuzzle, formatGrid, onlySolution } from '../../../src/train/sudoku.ts';
import type { Grid, SudokuSize } from '../../../src/train/sudoku.ts';
import type { RunError, RunRequest } from '../../runs/run.ts';
import { RunError as Failure } from '../../runs/run.ts';
import type { TimedRun } from '../../runs/timed.ts';
import { timedRun } from '../../runs/timed.ts';
import { models, notice, remembered } from '../../state.ts';
import type { Sudoku } from './board.ts';
import { drawSeed, readPuzzle, requestCanvas, solversAmong } from './puzzle.ts';
import type { Solver } from './puzzle.ts';

const solvers = computed(() => solversAmong(models.value));
export const diffusionSolvers = computed(() => solvers.value.filter(({ layout }) => layout === 'full'));
export const chosenModel = signal<string | null>(null);
export const solver = computed(
  () =>
    diffusionSolvers.value.find(({ model }) => model === chosenModel.value) ??
    diffusionSolvers.value[0] ??
    null,
);
/** An autoregressive model for the same puzzles: of the same name, or any. */
export const twin = computed(() => {
  const others = solvers.value.filter(
    ({ layout, size }) => layout === 'causal' && size === solver.value?.size,
  );
  return others.find(({ model }) => model === `${solver.value?.model}-ar`) ?? others[0] ?? null;
});

/** How many givens are wanted; null: the generator draws the number. */
export const wantedGivens = remembered<number | null>('solve.wanted', null);
const FIRST_PUZZLE = 7;
/** The number that the puzzle was drawn by; null when it was typed. */
export const puzzleSeed = signal<number | null>(FIRST_PUZZLE);

/** What was typed outlives the tab. */
const keptPuzzle = remembered<string | null>('solve.puzzle', null);

function firstPuzzle(size: SudokuSize): Grid {
  const kept = keptPuzzle.value === null ? null : readPuzzle(keptPuzzle.value, size);
  if (kept instanceof Uint8Array) {
    puzzleSeed.value = null;
    return kept;
  }
  return createPuzzle(size, createRng(FIRST_PUZZLE, 'page'), wantedGivens.value ?? undefined).givens;
}

const size = computed<SudokuSize>(() => solver.value?.size ?? 6);
export const givens = signal<Grid>(firstPuzzle(size.value));
effect(() => {
  if (givens.peek().length !== size.value ** 2) setGivens(firstPuzzle(size.value), puzzleSeed.peek());
});

export const solutions = computed(() => countSolutions(givens.value, size.value, 2));
export const sudoku = computed<Sudoku>(() => ({
  size: size.value,
  givens: givens.value,
  solution: onlySolution(givens.value, size.value),
}));

export function setGivens(grid: Grid, seed: number | null = null): void {
  forget();
  givens.value = grid;
  puzzleSeed.value = seed;
  keptPuzzle.value = seed === null ? formatGrid(grid) : null;
}

export function newPuzzle(seed = drawSeed()): void {
  const { givens: drawn } = createPuzzle(
    size.value,
    createRng(seed, 'page'),
    wantedGivens.value ?? undefined,
  );
  setGivens(drawn, seed);
}

/** Three ways to go about it, of which the last two err on purpose. */
export const WAYS: { label: string; about: string; options: CompleteOptions }[] = [
  {
    label: 'Sure cells first',
    about: 'Each forward fills every cell that the model is sure of',
    options: { policy: 'confidenceThreshold', threshold: 0.9 },
  },
  {
    label: 'Guess and repair',
    about: 'Fills more than is sure, masks some of it again, thinks twice',
    options: { policy: 'remdm', steps: 16, remask: 'rescale', eta: 0.5 },
  },
  {
    label: 'All in one go',
    about: 'One forward for the whole grid: cells cannot agree with each other',
    options: { policy: 'fixedSteps', steps: 1 },
  },
];

/** Policy and its parameters, as `tintype` options. */
export const strategy = remembered<CompleteOptions>('solve.strategy', WAYS[0].options);
export const drawnSeed = remembered('solve.seed', 1);
export const wantsTwin = remembered('solve.twin', false);

export interface Solving {
  status: 'idle' | 'running' | 'waiting' | 'finished' | 'failed';
  run: TimedRun | null;
  twin: TimedRun | null;
  error: RunError | null;
}
const IDLE: Solving = { status: 'idle', run: null, twin: null, error: null };
export const solving = signal<Solving>(IDLE);

let controller: AbortController | null = null;

/** What was solved belongs to the puzzle and the settings of then. */
export function forget(): void {
  controller?.abort();
  controller = null;
  solving.value = IDLE;
}

/** One after the other, so that neither has the machine of the other. */
export async function solveNow(): Promise<boolean> {
  const [by, other] = [solver.value, wantsTwin.value ? twin.value : null];
  if (by === null) return false;
  forget();
  const own = new AbortController();
  controller = own;
  const request = (one: Solver): RunRequest => ({
    model: one.model,
    source: { canvas: requestCanvas(givens.value, one.layout) },
    seed: drawnSeed.value,
    // All of them, so that every digit is among them.
    candidates: SUDOKU_TOKENS.vocabSize - 1,
    ...(one.layout === 'full' && { options: strategy.value }),
  });
  const watcher = {
    started: () => (solving.value = { ...solving.value, status: 'running', error: null }),
    waiting: (error: RunError) => (solving.value = { ...solving.value, status: 'waiting', error }),
  };
  try {
    const run = await timedRun(request(by), own.signal, watcher);
    const beside = other && (await timedRun(request(other), own.signal, watcher));
    if (controller !== own) return false;
    solving.value = { status: 'finished', run, twin: beside, error: null };
    return true;
  } catch (error) {
    if (controller !== own) return false;
    const known = error instanceof Failure ? error : new Failure('failed', String(error));
    solving.value = { ...IDLE, status: known.code === 'aborted' ? 'idle' : 'failed', error: known };
    if (known.code !== 'aborted') notice.value = `Not solved: ${known.message}`;
    return false;
  }
}
