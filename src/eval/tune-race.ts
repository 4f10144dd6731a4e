/**
 * Which points of the grid are worth measuring on how many rows. All start with a few rows; a point goes on while it could
 * still be chosen. It is out
 *
 * - when its loss of quality is significantly above the bound: one-sided 95 % over rows, paired with one token a step;
 * - when enough faster ones keep the bound: three on all rows, or five on at least as many rows as it has.
 *
 * The second can turn out wrong when those in front fall later, so it is decided anew after each round, and a point that
 * was passed over takes its place again. The clock plays no part: times are predicted from transcripts (`cost-curve.ts`).
 */
import { mean } from './metrics.ts';
import type { TunePoint } from './tune-grid.ts';

/** What one request under one point gave. */
export interface Outcome {
  /** Useful ones. */
  tokens: number;
  nfe: number;
  /** Of the whole request, from the cost curve. */
  predictedMs: number;
  isExact: boolean;
  /** 0 to 1. */
  similarity: number;
}

export interface Trial {
  point: TunePoint;
  /** Of the first rows, in their order. */
  outcomes: Outcome[];
}

/** In points, 0 to 100; positive is worse than one token a step. */
export interface Loss {
  points: number;
  /** null for a single row. */
  standardError: number | null;
}

export interface Standing {
  trial: Trial;
  rows: number;
  exactLoss: Loss;
  similarityLoss: Loss;
  /** Shares of the rows that it has. */
  exactMatch: number;
  editSimilarity: number;
  /** Useful ones a second; on fewer rows than the reference has, its speed times the ratio on common rows. */
  tokensPerSecond: number;
  /** Useful tokens a forward. */
  tpf: number;
  /** Whether the loss is within the bounds, as far as measured. */
  keepsBound: boolean;
  /** Whether it is significantly beyond them. */
  isLossy: boolean;
}

/** Edit similarity moves in smaller steps and for less reason. */
export const SIMILARITY_BOUND_FACTOR = 2;
/** One-sided 95 %. */
const Z = 1.645;
/** Below this a standard error says little. */
const FEWEST_ROWS = 8;
/** As many as are timed in the end. */
export const FINALISTS = 3;
const LEADERS = 5;

const total = (outcomes: readonly Outcome[], field: 'tokens' | 'nfe' | 'predictedMs'): number =>
  outcomes.reduce((sum, outcome) => sum + outcome[field], 0);

function lossOf(theirs: readonly number[], ours: readonly number[]): Loss {
  if (ours.length === 0) return { points: 0, standardError: null };
  const { value, standardError } = mean(ours.map((value, i) => 100 * (theirs[i] - value)));
  return { points: value, standardError };
}

/** Where a trial stands against the reference, which has at least as many rows. */
export function standingOf(trial: Trial, reference: Trial, lossPoints: number): Standing {
  const { outcomes } = trial;
  const rows = outcomes.length;
  const common = reference.outcomes.slice(0, rows);
  const exact = (list: readonly Outcome[]): number[] => list.map(({ isExact }) => (isExact ? 1 : 0));
  const similar = (list: readonly Outcome[]): number[] => list.map(({ similarity }) => similarity);
  const exactLoss = lossOf(exact(common), exact(outcomes));
  const similarityLoss = lossOf(similar(common), similar(outcomes));
  const bounds = [
    { loss: exactLoss, most: lossPoints },
    { loss: similarityLoss, most: SIMILARITY_BOUND_FACTOR * lossPoints },
  ];
  const rate = (list: readonly Outcome[]): number =>
    (1000 * total(list, 'tokens')) / Math.max(1e-9, total(list, 'predictedMs'));
  const scale = rate(common) > 0 ? rate(reference.outcomes) / rate(common) : 1;
  return {
    trial,
    rows,
    exactLoss,
    similarityLoss,
    exactMatch: rows > 0 ? mean(exact(outcomes)).value : 0,
    editSimilarity: rows > 0 ? mean(similar(outcomes)).value : 0,
    tokensPerSecond: rows > 0 ? rate(outcomes) * scale : 0,
    tpf: total(outcomes, 'tokens') / Math.max(1, total(outcomes, 'nfe')),
    keepsBound: bounds.every(({ loss, most }) => loss.points <= most),
    isLossy:
      rows >= FEWEST_ROWS &&
      bounds.some(({ loss, most }) => loss.points - Z * (loss.standardError ?? Infinity) > most),
  };
}

/** Whether enough faster ones are in front of it; one without rows has not started. */
function isPassed(standing: Standing, all: readonly Standing[], rows: number): boolean {
  const faster = all.filter(
    (other) =>
      other !== standing &&
      other.keepsBound &&
      other.rows >= standing.rows &&
      other.tokensPerSecond >= standing.tokensPerSecond,
  );
  if (standing.rows === 0) return false;
  return faster.length >= LEADERS || faster.filter((other) => other.rows === rows).length >= FINALISTS;
}

/** Rows after each round: an eighth, a quarter, half, all. */
export function nextRung(rows: number, all: number): number {
  const rungs = [8, 4, 2, 1].map((part) => Math.max(Math.min(FEWEST_ROWS, all), Math.ceil(all / part)));
  return rungs.find((rung) => rung > rows) ?? all;
}

export interface RaceOptions {
  /** The reference is none of them; those that cannot run now are there to compare with. */
  trials: readonly Trial[];
  /** Whether its model is open. */
  canRun: (point: TunePoint) => boolean;
  reference: Trial;
  rows: number;
  lossPoints: number;
  /** Answers one row under all these points. */
  ask: (row: number, points: readonly TunePoint[]) => Promise<Outcome[]>;
  onProgress?: ((done: number, total: number, note: string) => void) | undefined;
}

/** Runs trials, and the reference ahead of them, until no point that could be chosen lacks a row. */
export async function race(options: RaceOptions): Promise<void> {
  const { trials, canRun, reference, rows, lossPoints, ask, onProgress } = options;
  for (;;) {
    const all = trials.map((trial) => standingOf(trial, reference, lossPoints));
    const open = all.filter(
      (each) => each.rows < rows && canRun(each.trial.point) && !each.isLossy && !isPassed(each, all, rows),
    );
    if (open.length === 0) break;
    const from = Math.min(...open.map((each) => each.rows));
    const to = nextRung(from, rows);
    const group = open.filter((each) => each.rows === from).map(({ trial }) => trial);
    for (let row = from; row < to; row++) {
      await answer(row, row < reference.outcomes.length ? group : [reference, ...group], ask);
      onProgress?.(row - from + 1, to - from, `${group.length} settings, rows ${from + 1} to ${to}`);
    }
  }
  if (!canRun(reference.point)) return;
  while (reference.outcomes.length < rows) await answer(reference.outcomes.length, [reference], ask);
}

async function answer(row: number, trials: readonly Trial[], ask: RaceOptions['ask']): Promise<void> {
  const outcomes = await ask(
    row,
    trials.map(({ point }) => point),
  );
  for (const [i, trial] of trials.entries()) trial.outcomes.push(outcomes[i]);
}

/** Those that keep the bound on all rows, the fastest first: what can be chosen. */
export const eligible = (all: readonly Standing[], rows: number): Standing[] =>
  all
    .filter((each) => each.rows === rows && each.keepsBound)
    .toSorted((a, b) => b.tokensPerSecond - a.tokensPerSecond);

/** Points that no other beats in both speed and exact match (then edit similarity), the fastest first. */
export function paretoFront(all: readonly Standing[]): Standing[] {
  const front: Standing[] = [];
  const better = (a: Standing, b: Standing): boolean =>
    a.exactLoss.points !== b.exactLoss.points
      ? a.exactLoss.points < b.exactLoss.points
      : a.similarityLoss.points < b.similarityLoss.points;
  const sorted = all
    .filter(({ rows }) => rows > 0)
    .toSorted((a, b) => b.tokensPerSecond - a.tokensPerSecond || a.exactLoss.points - b.exactLoss.points);
  for (const each of sorted) {
    if (front.length === 0 || better(each, front.at(-1)!)) front.push(each);
  }
  return front;
}
