/**
 * The tuner checked against brute force: every setting that it knew of, in every precision, answers every row against the
 * clock. The fastest of so many is mostly the luckiest, so those in front and the choice then run against each other once
 * more, with repeats, and only that counts.
 */
import type { InfillRow } from './documents.ts';
import { percentile } from './metrics.ts';
import { pointOf, type TunePoint } from './tune-grid.ts';
import { standingOf, type Outcome, type Standing } from './tune-race.ts';
import { speedRatio, type Timed } from './tune-timing.ts';
import { scoreAnswer } from './tune-trace.ts';
import { timePoints, type TuneOptions, type TuneResult } from './tune.ts';

export interface TuneCheck {
  rows: number;
  /** Speed of all settings as measured once, the fastest first. */
  points: { name: string; tokensPerSecond: number; keepsBound: boolean }[];
  /** The fastest that keeps the bound, of those in front. */
  best: string;
  chosen: string;
  /** How much slower the choice is than the best, in percent of the best; 0 where it is the best. */
  gapPercent: number;
  /** Its 95 % interval over rows. */
  gapInterval: [low: number, high: number];
  /** Median over settings of how far predicted speeds are from those measured once, but for a common factor. */
  predictionErrorPercent: number;
}

const LEADERS = 4;
const RUNOFF_REPEATS = 5;

export async function checkTuning(
  rows: readonly InfillRow[],
  result: TuneResult,
  options: TuneOptions,
): Promise<TuneCheck> {
  const { precisions, lossPoints } = options;
  const tried = [result.reference, ...result.standings].map(({ trial }) => trial.point);
  const points = new Map<string, TunePoint>();
  for (const precision of precisions) {
    for (const each of tried) {
      const point = pointOf(each.options, precision);
      points.set(point.name, point);
    }
  }
  const list = [...points.values()];
  const timed = await timePoints(rows, list, options, 'whole grid against the clock');
  const trials = list.map((point, i) => ({
    point,
    outcomes: rows.map((row, r) => outcomeOf(row, timed[i], r)),
  }));
  const reference = trials.find(({ point }) => point.name === result.reference.trial.point.name)!;
  const standings = trials
    .map((trial) => standingOf(trial, reference, lossPoints))
    .toSorted((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  const name = (standing: Standing): string => standing.trial.point.name;
  const chosen = result.chosen.standing;
  const measured = standings.find((each) => name(each) === name(chosen))!;
  const leaders = standings.filter((each) => each.keepsBound && each !== measured).slice(0, LEADERS);
  const runoff = await timePoints(
    rows,
    [measured, ...leaders].map(({ trial }) => trial.point),
    { ...options, repeat: RUNOFF_REPEATS },
    'the fastest once more',
  );
  const best = runoff.toSorted((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  const ratio = speedRatio(runoff[0], best);
  return {
    rows: rows.length,
    points: standings.map((each) => ({
      name: name(each),
      tokensPerSecond: each.tokensPerSecond,
      keepsBound: each.keepsBound,
    })),
    best: best.name,
    chosen: name(chosen),
    gapPercent: 100 * (1 - ratio.value),
    gapInterval: [100 * (1 - ratio.high), 100 * (1 - ratio.low)],
    predictionErrorPercent: predictionError(result, standings),
  };
}

/** A measured request in the place of a predicted one. */
function outcomeOf(row: InfillRow, { completions, elapsedMs }: Timed, r: number): Outcome {
  const { tokens, nfe } = completions[r];
  return { tokens, nfe, predictedMs: elapsedMs[r], ...scoreAnswer(row, completions[r]) };
}

/**
 * How far predicted speeds are from measured ones, as the median of |log ratio| in percent, once the factor that they have in
 * common is taken out: a machine that is slower for all settings changes no choice.
 */
function predictionError(result: TuneResult, measured: readonly Standing[]): number {
  const logs = result.standings.flatMap((predicted) => {
    const found = measured.find(({ trial }) => trial.point.name === predicted.trial.point.name);
    const isComparable = found && predicted.rows === found.rows && predicted.tokensPerSecond > 0;
    return isComparable && found.tokensPerSecond > 0
      ? [Math.log(predicted.tokensPerSecond / found.tokensPerSecond)]
      : [];
  });
  if (logs.length === 0) return 0;
  const common = percentile(logs, 0.5);
  const errors = logs.map((log) => Math.abs(log - common));
  return 100 * percentile(errors, 0.5);
}
