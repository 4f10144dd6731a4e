/**
 * The fastest way to decode on this machine that loses no more quality than allowed. Three parts, each of which needs less
 * of the clock than the one before would suggest:
 *
 * 1. what forwards cost, as a table (`cost-curve.ts`), for each precision;
 * 2. what each setting does with real gaps, with times predicted from the table (`tune-race.ts`): a coarse grid in full
 *    precision, then what lies around its best, then the best ones in the other precisions;
 * 3. the best three against the clock, interleaved (`tune-timing.ts`): the predicted order stands unless the clock
 *    contradicts it significantly.
 *
 * Quality is compared in pairs with one token a step in full precision. One model is open at a time until the end.
 */
import type { CompleteOptions, TextModel } from '../decode/complete.ts';
import { assert } from '../errors.ts';
import { measureCostCurve, type CostCurve } from './cost-curve.ts';
import type { InfillRow } from './documents.ts';
import { createInfill } from './infill.ts';
import type { Precision } from '../model/quantize.ts';
import { coarseGrid, neighbours, pointOf, referencePoint, type TunePoint } from './tune-grid.ts';
import { eligible, FINALISTS, race, standingOf, type Standing, type Trial } from './tune-race.ts';
import { speedRatio, timeInterleaved, type Timed } from './tune-timing.ts';
import { createAsk, measureOverhead } from './tune-trace.ts';

export interface OpenModel extends TextModel {
  close(): Promise<void>;
}

export interface TuneOptions {
  /** The same model in a precision. */
  open: (precision: Precision) => Promise<OpenModel>;
  /** The first one is the reference. */
  precisions: readonly Precision[];
  /** Most points of exact match that may be lost; twice as many of edit similarity. */
  lossPoints: number;
  /** Of every request. */
  request?: Pick<CompleteOptions, 'maxTokens' | 'contextTokens'> | undefined;
  /** Samples of each cell of the cost curve. Default 9. */
  rounds?: number | undefined;
  /** Rows that finalists are timed on. Default 12. */
  timedRows?: number | undefined;
  /** Requests for each of them, of which the median counts. Default 3. */
  repeat?: number | undefined;
  nowMs?: (() => number) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((stage: string, done: number, total: number, note: string) => void) | undefined;
}

export interface Finalist {
  standing: Standing;
  timed: Timed;
}

export interface TuneResult {
  curves: CostCurve[];
  reference: Standing;
  /** All settings that were tried, with as many rows as they got. */
  standings: Standing[];
  /** The best by prediction, in that order. */
  finalists: Finalist[];
  /** One token a step as fast as it goes here, timed beside them. */
  baseline: Finalist;
  chosen: Finalist;
  /** One sentence: how the choice was made. */
  why: string;
}

const OVERHEAD_ROWS = 5;
/** The best of the coarse grid, around which is looked closer, and those that are tried in other precisions. */
const REFINED = 4;
const CARRIED = 6;

export async function tune(rows: readonly InfillRow[], options: TuneOptions): Promise<TuneResult> {
  const { open, precisions, lossPoints, request = {}, rounds = 9, nowMs, signal, onProgress } = options;
  assert(rows.length > 0 && precisions.length > 0, 'tuning needs rows and a precision');
  const curves: CostCurve[] = [];
  const trials: Trial[] = [];
  let reference: Trial | null = null;
  const standings = (): Standing[] => trials.map((trial) => standingOf(trial, reference!, lossPoints));
  const add = (points: readonly TunePoint[]): void => {
    const known = new Set(trials.map(({ point }) => point.name));
    for (const point of points) {
      if (!known.has(point.name)) trials.push({ point, outcomes: [] });
      known.add(point.name);
    }
  };
  const front = (count: number): TunePoint[] => {
    const ready = eligible(standings(), rows.length);
    return ready.slice(0, count).map(({ trial }) => trial.point);
  };

  for (const precision of precisions) {
    signal?.throwIfAborted();
    const model = await open(precision);
    try {
      const { config } = model.denoiser;
      reference ??= { point: referencePoint(config, precision), outcomes: [] };
      const table = await measureCostCurve(model.denoiser, {
        precision,
        rounds,
        nowMs,
        signal,
        onProgress: (done, total) => onProgress?.(`cost of forwards, ${precision}`, done, total, ''),
      });
      const sample = rows.slice(0, OVERHEAD_ROWS);
      const referenceOptions = { ...request, ...reference.point.options };
      const overhead = await measureOverhead(model, sample, referenceOptions, { nowMs, signal });
      const curve = { ...table, ...overhead };
      curves.push(curve);
      const ask = createAsk(model, curve, request);
      const go = (stage: string): Promise<void> =>
        race({
          trials,
          canRun: (point) => point.precision === precision,
          reference: reference!,
          rows: rows.length,
          lossPoints,
          ask: (row, points) => ask(rows[row], points, signal),
          onProgress: (done, total, note) => onProgress?.(`${stage}, ${precision}`, done, total, note),
        });
      if (precision === precisions[0]) {
        add(coarseGrid(config, precision));
        await go('coarse grid');
        add(front(REFINED).flatMap(neighbours));
        await go('fine grid');
      } else {
        const best = [...front(CARRIED).map((point) => point.options), { mode: 'ar' as const }];
        add(best.map((each) => pointOf(each, precision)));
        await go('best settings');
      }
    } finally {
      await model.close();
    }
  }

  assert(reference !== null, 'the first precision has made the reference');
  const all = standings();
  const own = standingOf(reference, reference, lossPoints);
  const candidates = eligible([...all, own], rows.length);
  const finalists = candidates.slice(0, FINALISTS);
  const single = candidates.find(({ trial }) => trial.point.options.mode === 'ar') ?? own;
  const timed = await timeFinalists(rows, [...new Set([...finalists, single])], options);
  const [first, ...others] = timed.slice(0, finalists.length);
  const surer = others
    .filter((each) => speedRatio(each.timed, first.timed).low > 1)
    .toSorted((a, b) => b.timed.tokensPerSecond - a.timed.tokensPerSecond);
  const chosen = surer[0] ?? first;
  return {
    curves,
    reference: own,
    standings: all,
    finalists: timed.slice(0, finalists.length),
    baseline: timed.find(({ standing }) => standing === single)!,
    chosen,
    why:
      chosen === first
        ? 'the fastest by prediction, and the clock does not contradict it'
        : `predicted slower than ${first.standing.trial.point.name}, but the clock says otherwise`,
  };
}

/** Opens every precision that is needed, and times these settings side by side. */
async function timeFinalists(
  rows: readonly InfillRow[],
  standings: readonly Standing[],
  { timedRows = 12, repeat = 3, ...options }: TuneOptions,
): Promise<Finalist[]> {
  const points = standings.map(({ trial }) => trial.point);
  const timed = await timePoints(
    rows.slice(0, timedRows),
    points,
    { ...options, repeat },
    'against the clock',
  );
  return standings.map((standing, i) => ({ standing, timed: timed[i] }));
}

/** Whole requests under these settings, interleaved. */
export async function timePoints(
  rows: readonly InfillRow[],
  points: readonly TunePoint[],
  { open, request = {}, repeat = 1, nowMs, signal, onProgress }: TuneOptions,
  stage: string,
): Promise<Timed[]> {
  const models = new Map<Precision, OpenModel>();
  try {
    for (const { precision } of points) {
      if (!models.has(precision)) models.set(precision, await open(precision));
    }
    const contenders = points.map(({ name, precision, options }) => ({
      name,
      complete: createInfill(models.get(precision)!, { ...request, ...options }),
    }));
    return await timeInterleaved(rows, contenders, {
      repeat,
      nowMs,
      signal,
      onProgress: (done, total, name) => onProgress?.(stage, done, total, name),
    });
  } finally {
    for (const model of models.values()) await model.close();
  }
}
