import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import { coarseGrid, neighbours, pointOf, referencePoint, type TunePoint } from './tune-grid.ts';
import { eligible, nextRung, paretoFront, race, standingOf, type Outcome, type Trial } from './tune-race.ts';

const outcome = (isExact: boolean, predictedMs: number, similarity = isExact ? 1 : 0.5): Outcome => ({
  tokens: 10,
  nfe: 5,
  predictedMs,
  isExact,
  similarity,
});
const point = (threshold: number): TunePoint =>
  pointOf({ mode: 'diffusion', policy: 'confidenceThreshold', threshold }, 'f32');
const trial = (threshold: number): Trial => ({ point: point(threshold), outcomes: [] });

/** Answers of a world in which threshold t takes 100 t ms and misses every n-th row. */
function world(missEvery: Record<number, number>) {
  const asked: Record<string, number> = {};
  return {
    asked,
    ask: async (row: number, points: readonly TunePoint[]): Promise<Outcome[]> =>
      points.map(({ name, options: { threshold = 2 } }) => {
        asked[name] = (asked[name] ?? 0) + 1;
        const every = missEvery[threshold];
        const isMissed = every !== undefined && row % every === every - 1;
        return outcome(!isMissed, 100 * threshold, isMissed ? 0.9 : 1);
      }),
  };
}

describe('a race', () => {
  const run = async (missEvery: Record<number, number>, thresholds: number[], rows = 64, lossPoints = 1) => {
    const { ask, asked } = world(missEvery);
    const reference = trial(2);
    const trials = thresholds.map(trial);
    await race({ trials, canRun: () => true, reference, rows, lossPoints, ask });
    const standings = trials.map((each) => standingOf(each, reference, lossPoints));
    return { asked, reference, standings, best: eligible(standings, rows)[0] };
  };

  it('finds the fastest that keeps the bound, and drops what is lossy or late', async () => {
    const thresholds = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
    const { best, standings, reference } = await run({ 0.2: 2, 0.3: 40 }, thresholds);
    expect(best.trial.point.options.threshold).toBe(0.4);
    expect(best.tokensPerSecond).toBeCloseTo(250);
    const rows = Object.fromEntries(standings.map((each) => [each.trial.point.options.threshold, each.rows]));
    // 0.3 loses 1 row of 64: more than a point, not significantly.
    expect(rows).toMatchObject({ 0.2: 8, 0.3: 64, 0.4: 64, 0.5: 64, 0.6: 64 });
    expect(rows[1]).toBe(8);
    expect(reference.outcomes).toHaveLength(64);
  });

  it('calls one back that was passed over, when those in front fall', async () => {
    // Five fast ones look well until row 9, then miss every other row.
    const late = { ask: world({}).ask };
    const ask = async (row: number, points: readonly TunePoint[]): Promise<Outcome[]> =>
      (await late.ask(row, points)).map((each, i) =>
        points[i].options.threshold! < 0.6 && row >= 9 && row % 2 === 0
          ? { ...each, isExact: false, similarity: 0 }
          : each,
      );
    const reference = trial(2);
    const trials = [0.1, 0.2, 0.3, 0.4, 0.5, 0.9].map(trial);
    await race({ trials, canRun: () => true, reference, rows: 64, lossPoints: 1, ask });
    const standings = trials.map((each) => standingOf(each, reference, 1));
    expect(standings.map((each) => each.keepsBound)).toEqual([false, false, false, false, false, true]);
    expect(eligible(standings, 64).map((each) => each.trial.point.options.threshold)).toEqual([0.9]);
  });

  it('runs only what can run, and compares with the rest', async () => {
    const { ask } = world({});
    const reference = trial(2);
    const [known, other] = [trial(0.5), trial(0.4)];
    await race({
      trials: [known, other],
      canRun: ({ name }) => name !== other.point.name,
      reference,
      rows: 16,
      lossPoints: 1,
      ask,
    });
    expect([known.outcomes.length, other.outcomes.length]).toEqual([16, 0]);
  });

  it('grows in rounds', () => {
    expect([0, 13, 25, 50].map((rows) => nextRung(rows, 100))).toEqual([13, 25, 50, 100]);
    expect([0, 8, 10].map((rows) => nextRung(rows, 20))).toEqual([8, 10, 20]);
    expect(nextRung(0, 3)).toBe(3);
  });
});

describe('a standing', () => {
  it('compares losses in pairs, and speed on common rows', () => {
    const reference: Trial = {
      point: point(2),
      outcomes: [outcome(true, 100), outcome(false, 100), outcome(true, 400), outcome(true, 400)],
    };
    const fast: Trial = { point: point(0.5), outcomes: [outcome(false, 50), outcome(true, 50)] };
    const { exactLoss, tokensPerSecond, keepsBound } = standingOf(fast, reference, 1);
    expect(exactLoss.points).toBe(0);
    expect(exactLoss.standardError).toBeCloseTo(100);
    // Twice as fast as the reference on two rows; the reference makes 40 tokens a second of all four.
    expect(tokensPerSecond).toBeCloseTo(80);
    expect(keepsBound).toBe(true);
  });

  it('is on the front when nothing beats it in both', () => {
    const reference: Trial = {
      point: point(2),
      outcomes: Array.from({ length: 4 }, () => outcome(true, 100)),
    };
    const make = (threshold: number, missed: number, ms: number): Trial => ({
      point: point(threshold),
      outcomes: [0, 1, 2, 3].map((row) => outcome(row >= missed, ms)),
    });
    const all = [make(0.1, 2, 20), make(0.2, 3, 30), make(0.3, 0, 50), make(0.4, 0, 60)];
    const front = paretoFront(all.map((each) => standingOf(each, reference, 1)));
    expect(front.map((each) => each.trial.point.options.threshold)).toEqual([0.1, 0.3]);
  });
});

describe('the grid', () => {
  it.each(LAYOUTS)('has only what the layout can do, under names of their own (%s)', (layout) => {
    const { config } = createToyDenoiser({ layout });
    const points = coarseGrid(config, 'f32');
    const modes = new Set(points.map(({ options }) => options.mode));
    expect(modes.has('verify')).toBe(layout === 'causal' || layout === 'causalContext');
    expect(modes.has('diffusion')).toBe(layout !== 'causal');
    const all = [...points, ...points.flatMap(neighbours), referencePoint(config, 'f32')];
    const names = new Map(all.map((each) => [each.name, JSON.stringify(each.options)]));
    expect(names.size).toBe(new Set(names.values()).size);
    for (const { options } of all) {
      if (options.threshold !== undefined && options.threshold < 2) {
        expect(options.threshold).toBeGreaterThanOrEqual(options.mode === 'verify' ? 0.05 : 0.3);
        expect(options.threshold).toBeLessThanOrEqual(0.95);
      }
    }
  });

  it('is refined between its points', () => {
    const near = (options: TunePoint['options']) =>
      neighbours(pointOf(options, 'f32')).map((each) => each.options);
    expect(near({ threshold: 0.9 }).map((each) => each.threshold)).toEqual([0.8, 0.85, 0.95]);
    expect(near({ factor: 1 }).map((each) => each.factor)).toEqual([0.71, 1.4]);
    expect(near({ mode: 'ar' })).toEqual([]);
    const drafts = near({ mode: 'verify', blockLength: 8, threshold: 0.3 });
    expect(drafts.map(({ threshold, redrafts }) => [threshold, redrafts])).toEqual([
      [0.2, undefined],
      [0.25, undefined],
      [0.35, undefined],
      [0.4, undefined],
      [0.3, 2],
      [0.3, 16],
    ]);
  });
});
