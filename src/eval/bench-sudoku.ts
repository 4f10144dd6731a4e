/**
 * Sudoku as a bench: share of valid grids against milliseconds a puzzle, the diffusion model at several budgets of forwards
 * and thresholds beside its autoregressive twin, interleaved puzzle by puzzle as in `bench.ts`.
 */
import { assert, TintypeError } from '../errors.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { createRng } from '../rng.ts';
import { evaluationPuzzles } from '../train/sudoku-source.ts';
import { type SudokuSize, validGrid } from '../train/sudoku.ts';
import { ratioInterval, rateInterval, resamples } from './bench-statistics.ts';
import { mean, percentile } from './metrics.ts';
import { largestSize, solveByModel, sudokuLayout, waysOf, type SudokuWay } from './sudoku.ts';

export interface SudokuBenchOptions {
  /** Default: the largest that both models have room for. */
  size?: SudokuSize | undefined;
  /** Default 200. */
  puzzles?: number | undefined;
  /** Forwards a puzzle. Default 12, 4, 2, 1. */
  budgets?: readonly number[] | undefined;
  /** Confidences that are enough to commit. Default none. */
  thresholds?: readonly number[] | undefined;
  repeat?: number | undefined;
  seed?: number | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
  nowMs?: (() => number) | undefined;
}

export interface SudokuBenchRun {
  /** `diffusion@4`, `diffusion@threshold 0.5` or `twin`. */
  name: string;
  /** Mean of those used. */
  forwards: number;
  validRate: number;
  validRateStandardError: number | null;
  msPerPuzzle: number;
  intervalLow: number;
  intervalHigh: number;
}

export interface SudokuBench {
  size: SudokuSize;
  puzzles: number;
  repeat: number;
  runs: SudokuBenchRun[];
  /** Puzzles a second over those of the twin: `diffusion@4/twin`. */
  ratios: Record<string, number>;
  ratioIntervals: Record<string, [low: number, high: number]>;
  /** The quickest budget whose valid rate is that of the twin or better; null without a twin or such a budget. */
  atTwinQuality: { name: string; ratio: number } | null;
}

interface Contender extends SudokuWay {
  denoiser: Denoiser;
}

/** Errors: `unsupported` for models of other layouts, `aborted`. */
export async function benchSudoku(
  model: Denoiser,
  twin: Denoiser | null,
  options: SudokuBenchOptions = {},
): Promise<SudokuBench> {
  const { puzzles: count = 200, budgets = [12, 4, 2, 1], thresholds, repeat = 1, seed = 0 } = options;
  const { signal, onProgress } = options;
  const nowMs = options.nowMs ?? (() => performance.now());
  const size = options.size ?? smallerSize(model, twin);
  const contenders = contendersOf(model, twin, waysOf(budgets, thresholds));
  const puzzles = evaluationPuzzles(size, count, seed);
  const orders = createRng(seed, 'bench-order');

  const solve = async ({ denoiser, options: way }: Contender, index: number) =>
    solveByModel(denoiser, puzzles[index], sudokuLayout(denoiser.config), way);
  for (const contender of contenders) await solve(contender, 0);

  const valid = contenders.map((): number[] => []);
  const forwards = contenders.map(() => 0);
  const times = contenders.map(() => puzzles.map((): number[] => []));
  const total = repeat * count * contenders.length;
  let done = 0;
  for (let round = 0; round < repeat; round++) {
    for (const index of puzzles.keys()) {
      // Rotated: each contender comes first equally often.
      const first = orders.int(contenders.length);
      for (let i = 0; i < contenders.length; i++) {
        signal?.throwIfAborted();
        const at = (first + i) % contenders.length;
        const startMs = nowMs();
        const { grid, nfe } = await solve(contenders[at], index);
        times[at][index].push(nowMs() - startMs);
        if (round === 0) {
          valid[at].push(Number(validGrid(grid, size)));
          forwards[at] += nfe / count;
        }
        done++;
        onProgress?.(done, total);
      }
    }
  }

  const draws = resamples(count, 1000, createRng(seed, 'bench-bootstrap'));
  const ones = puzzles.map(() => 1);
  const costs = times.map((all) => all.map((ms) => percentile(ms, 0.5)));
  const runs = contenders.map(({ name }, i): SudokuBenchRun => {
    const { value: validRate, standardError } = mean(valid[i]);
    const { value, low, high } = rateInterval({ amount: costs[i], cost: ones }, draws);
    return {
      name,
      forwards: forwards[i],
      validRate,
      validRateStandardError: standardError,
      msPerPuzzle: value,
      intervalLow: low,
      intervalHigh: high,
    };
  });
  const ratios: SudokuBench['ratios'] = {};
  const ratioIntervals: SudokuBench['ratioIntervals'] = {};
  const last = contenders.length - 1;
  if (twin) {
    for (const [i, { name }] of contenders.slice(0, -1).entries()) {
      const speed = (at: number) => ({ amount: ones, cost: costs[at] });
      const { value, low, high } = ratioInterval(speed(i), speed(last), draws);
      ratios[`${name}/twin`] = value;
      ratioIntervals[`${name}/twin`] = [low, high];
    }
  }
  return {
    size,
    puzzles: count,
    repeat,
    runs,
    ratios,
    ratioIntervals,
    atTwinQuality: atTwinQuality(runs, ratios),
  };
}

function atTwinQuality(
  runs: readonly SudokuBenchRun[],
  ratios: Readonly<Record<string, number>>,
): SudokuBench['atTwinQuality'] {
  const twin = runs.find(({ name }) => name === 'twin');
  if (!twin) return null;
  const asGood = runs
    .filter((run) => run !== twin && run.validRate >= twin.validRate)
    .map(({ name }) => ({ name, ratio: ratios[`${name}/twin`] }))
    .toSorted((a, b) => b.ratio - a.ratio);
  return asGood[0] ?? null;
}

function contendersOf(model: Denoiser, twin: Denoiser | null, ways: readonly SudokuWay[]): Contender[] {
  assert(ways.length > 0, 'a bench needs budgets or thresholds');
  if (sudokuLayout(model.config) !== 'full' || (twin && sudokuLayout(twin.config) !== 'causal')) {
    throw new TintypeError('unsupported', {
      what: 'the sudoku bench compares a diffusion model with an autoregressive one',
      got: `--model of layout ${model.config.layout}${twin ? `, --twin of layout ${twin.config.layout}` : ''}`,
      wanted: '--model of layout full, --twin of layout causal',
    });
  }
  return [
    ...ways.map(({ name, options }) => ({ name: `diffusion@${name}`, options, denoiser: model })),
    ...(twin ? [{ name: 'twin', options: {}, denoiser: twin }] : []),
  ];
}

function smallerSize(model: Denoiser, twin: Denoiser | null): SudokuSize {
  const sizes = [model, ...(twin ? [twin] : [])].map(({ config }) =>
    largestSize(config, sudokuLayout(config)),
  );
  return sizes.toSorted((a, b) => a - b)[0];
}
