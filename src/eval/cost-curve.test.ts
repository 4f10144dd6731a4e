import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import type { ForwardRun } from '../model/denoiser.ts';
import {
  breakEvenTokens,
  forwardMs,
  measureCostCurve,
  PREFILL_ASKED,
  requestMs,
  rising,
  type CostCurve,
} from './cost-curve.ts';

/** Two ms a forward, half a row, a hundredth for each place that the rows see. */
const cost = (rows: number, prefix: number): number => 2 + 0.5 * rows + 0.01 * prefix;

/** A denoiser whose forwards take what `cost` says, by a clock of its own. */
function clocked(layout: (typeof LAYOUTS)[number] = 'causalContext', contextLength = 256) {
  let clock = 0;
  const onForward = (runs: readonly ForwardRun[]): void => {
    for (const run of runs) clock += cost(run.ids.length, run.cache?.length ?? 0);
    // Sequences share what a forward costs in itself.
    clock -= 2 * (runs.length - 1);
  };
  return { denoiser: createToyDenoiser({ layout, contextLength, onForward }), nowMs: () => clock };
}

describe('a cost curve', () => {
  it.each(LAYOUTS)('tells what forwards cost that were not measured (%s)', async (layout) => {
    const { denoiser, nowMs } = clocked(layout);
    const curve = await measureCostCurve(denoiser, { precision: 'f32', rounds: 2, nowMs });
    expect(curve.rows).toEqual([1, 2, 4, 8, 16, 32]);
    expect(curve.prefixes).toEqual([64, 224]);
    expect(curve.prefill.map(({ rows }) => rows)).toEqual([64, 128, 256]);
    for (const [rows, prefix] of [
      [1, 64],
      [3, 100],
      [11, 200],
      [32, 250],
    ]) {
      expect(forwardMs(curve, { rows, prefix, asked: rows, entropy: false })).toBeCloseTo(cost(rows, prefix));
    }
    // Below the first prefix the price of the first prefix.
    expect(forwardMs(curve, { rows: 5, prefix: 9, asked: 5, entropy: false })).toBeCloseTo(cost(5, 64));
    expect(forwardMs(curve, { rows: 100, prefix: 0, asked: PREFILL_ASKED, entropy: false })).toBeCloseTo(
      cost(100, 0),
      0,
    );
    expect(forwardMs(curve, { rows: 400, prefix: 0, asked: PREFILL_ASKED, entropy: false })).toBeCloseTo(
      cost(400, 0),
    );
  });

  it('ends between two forwards', async () => {
    const { denoiser, nowMs } = clocked();
    const controller = new AbortController();
    const onProgress = (done: number): void => {
      if (done === 5) controller.abort(new Error('enough'));
    };
    const { signal } = controller;
    await expect(
      measureCostCurve(denoiser, { precision: 'f32', rounds: 2, nowMs, signal, onProgress }),
    ).rejects.toThrow('enough');
  });

  it('counts the head by asked rows, entropies, and what lies outside forwards', () => {
    const curve: CostCurve = {
      precision: 'f32',
      rows: [1, 2],
      prefixes: [64],
      stepMs: [[3], [4]],
      prefill: [{ rows: 64, ms: 70 }],
      askedMs: 0.25,
      entropyMs: 0.5,
      promptMs: 10,
      loopMs: 1,
    };
    const forward = { rows: 2, prefix: 80, asked: 1, entropy: true };
    expect(forwardMs(curve, forward)).toBeCloseTo(4 - 0.25 + 0.5);
    expect(requestMs(curve, [forward, forward])).toBeCloseTo(10 + 2 * (1 + 4.25));
    // Two rows of 4 ms against one of 3 ms, each with a millisecond around it.
    expect(breakEvenTokens(curve)).toEqual([[1], [5 / 4]]);
  });

  it('prices more rows over a prefix as a part of a longer prompt', () => {
    const curve: CostCurve = {
      precision: 'f32',
      rows: [1, 32],
      prefixes: [64, 128],
      stepMs: [
        [1, 1],
        [5, 6],
      ],
      prefill: [
        { rows: 64, ms: 10 },
        { rows: 128, ms: 30 },
      ],
      askedMs: 0,
      entropyMs: 0,
      promptMs: 0,
      loopMs: 0,
    };
    expect(forwardMs(curve, { rows: 64, prefix: 64, asked: 8, entropy: false })).toBeCloseTo(20);
    expect(forwardMs(curve, { rows: 33, prefix: 64, asked: 8, entropy: false })).toBeCloseTo((20 * 33) / 64);
  });

  it('pools samples that fall where they should rise', () => {
    expect(rising([[1], [3], [2], [9]])).toEqual([1, 2, 2, 9]);
    expect(
      rising([
        [1, 1, 50],
        [2, 2, 2],
        [0, 1, 3, 4],
      ]),
    ).toEqual([1, 2, 2]);
    expect(rising([[1], [2]])).toEqual([1, 2]);
  });
});
