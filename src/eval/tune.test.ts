import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import type { ForwardRun } from '../model/denoiser.ts';
import type { Precision } from '../model/quantize.ts';
import { trainBpe } from '../text/bpe.ts';
import { createTokenizer } from '../text/json.ts';
import type { InfillRow } from './documents.ts';
import { createInfill } from './infill.ts';
import { checkTuning } from './tune-check.ts';
import { pointOf } from './tune-grid.ts';
import { createAsk, measureOverhead } from './tune-trace.ts';
import { tune, type OpenModel, type TuneOptions } from './tune.ts';
import { measureCostCurve } from './cost-curve.ts';

const ROWS: InfillRow[] = Array.from({ length: 5 }, (_, i) => ({
  id: `pkg/a.ts:${i}:1`,
  prefix: `const a${i} = `,
  suffix: ';\n',
  middle: `${i};`,
}));

/** Toy models on a clock of their own: a forward costs what `cost` says; other precisions are other models, and cheaper. */
function toys(cost: (rows: number) => number) {
  let clock = 0;
  const tokenizer = createTokenizer(trainBpe(new Map(), 264));
  const opened: Precision[] = [];
  const speed: Record<Precision, number> = { f32: 1, int8: 2, int4: 4 };
  const seed: Record<Precision, number> = { f32: 1, int8: 1, int4: 2 };
  const open = async (precision: Precision): Promise<OpenModel> => {
    opened.push(precision);
    const onForward = (runs: readonly ForwardRun[]): void => {
      clock += cost(runs[0].ids.length) / speed[precision];
    };
    const denoiser = createToyDenoiser({
      layout: 'causalContext',
      vocabSize: tokenizer.vocabSize,
      contextLength: 128,
      seed: seed[precision],
      endless: true,
      onForward,
    });
    return { denoiser, tokenizer, close: async () => void opened.splice(opened.indexOf(precision), 1) };
  };
  return { open, opened, nowMs: () => clock };
}

const options = (world: ReturnType<typeof toys>, more: Partial<TuneOptions> = {}): TuneOptions => ({
  open: world.open,
  nowMs: world.nowMs,
  precisions: ['f32'],
  lossPoints: 1,
  request: { maxTokens: 6 },
  rounds: 1,
  timedRows: 4,
  ...more,
});

describe('a predicted request', () => {
  it('takes as long as it did by the clock, whatever was known of its prompt', async () => {
    const world = toys((rows) => 3 + 2 * rows);
    const model = await world.open('f32');
    const table = await measureCostCurve(model.denoiser, { precision: 'f32', rounds: 1, nowMs: world.nowMs });
    const overhead = await measureOverhead(model, ROWS.slice(0, 2), { maxTokens: 4 }, world);
    const curve = { ...table, ...overhead };
    const points = [
      pointOf({ mode: 'ar' }, 'f32'),
      pointOf({ mode: 'diffusion', blockLength: 4, policy: 'entropyBound', gamma: 1 }, 'f32'),
      pointOf({ mode: 'verify', blockLength: 8, threshold: 0.3 }, 'f32'),
    ];
    const ask = createAsk(model, curve, { maxTokens: 12 });
    const together = await ask(ROWS[0], points);
    for (const [i, point] of points.entries()) {
      const startMs = world.nowMs();
      const [alone] = await ask(ROWS[0], [point]);
      const elapsedMs = world.nowMs() - startMs;
      expect(together[i]).toEqual(alone);
      expect(alone.predictedMs).toBeCloseTo(elapsedMs, 6);
    }
  });
});

describe('tuning', () => {
  it('takes one token a step where rows cost what they give, and closes what it opened', async () => {
    const world = toys((rows) => 10 * rows);
    const result = await tune(ROWS, options(world));
    expect(result.chosen.standing.trial.point.options).toEqual({ mode: 'ar' });
    expect(result.baseline).toBe(result.chosen);
    expect(result.reference.rows).toBe(ROWS.length);
    expect(world.opened).toEqual([]);
  });

  it('takes more tokens a step where rows are free and nothing is lost', async () => {
    const world = toys(() => 10);
    const result = await tune(ROWS, options(world, { lossPoints: 100 }));
    const { options: chosen } = result.chosen.standing.trial.point;
    expect(chosen.mode).not.toBe('ar');
    expect(result.chosen.standing.tokensPerSecond).toBeGreaterThan(result.baseline.standing.tokensPerSecond);
    // By this clock nothing else is at work, so that what was predicted is what is measured.
    for (const { standing, timed } of result.finalists) {
      const few = standing.trial.outcomes.slice(0, 4);
      const predicted =
        (1000 * few.reduce((sum, { tokens }) => sum + tokens, 0)) /
        few.reduce((sum, { predictedMs }) => sum + predictedMs, 0);
      expect(timed.tokensPerSecond).toBeCloseTo(predicted, 6);
    }
  });

  it('loses no more than allowed: the cheaper precision that answers alike, not the cheapest', async () => {
    const world = toys((rows) => 10 + rows);
    // The truth is what the reference says.
    const model = await world.open('f32');
    const say = createInfill(model, { mode: 'ar', maxTokens: 6 });
    const rows: InfillRow[] = [];
    for (const row of ROWS) rows.push({ ...row, middle: (await say(row, undefined)).text });
    await model.close();
    const result = await tune(rows, options(world, { precisions: ['f32', 'int8', 'int4'], lossPoints: 0 }));
    expect(result.chosen.standing.trial.point.precision).toBe('int8');
    expect(result.chosen.standing.similarityLoss.points).toBeLessThanOrEqual(0);
    expect(result.curves.map(({ precision }) => precision)).toEqual(['f32', 'int8', 'int4']);
    expect(world.opened).toEqual([]);
  });

  it('stops when told to, and closes what it opened', async () => {
    const world = toys((rows) => rows);
    const controller = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage.startsWith('coarse')) controller.abort(new Error('enough'));
    };
    const { signal } = controller;
    await expect(tune(ROWS, options(world, { signal, onProgress }))).rejects.toThrow('enough');
    expect(world.opened).toEqual([]);
  });

  it('can be checked against all settings', async () => {
    const world = toys((rows) => 10 + rows);
    const all = options(world, { precisions: ['f32', 'int8'] });
    const result = await tune(ROWS.slice(0, 3), all);
    const check = await checkTuning(ROWS.slice(0, 3), result, all);
    expect(check.points.length).toBeGreaterThan(80);
    expect(check.chosen).toBe(result.chosen.standing.trial.point.name);
    expect(check.gapPercent).toBeLessThanOrEqual(5);
    expect(check.predictionErrorPercent).toBeLessThan(1);
  });
});
