import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import type { ForwardRun } from '../model/denoiser.ts';
import { batchedMs, bestTogether, gains, type BatchedCosts } from './batched-costs.ts';
import { measureCostCurve } from './cost-curve.ts';

const costs = (...blockMs: number[]): BatchedCosts => ({
  sequences: [1, 2, 4, 8],
  rows: [1, 8],
  prefix: 64,
  ms: blockMs.map((ms) => [ms / 2, ms]),
});

describe('costs of several sequences', () => {
  it('are measured beside those of one, each sequence over a cache of its own', async () => {
    let clock = 0;
    const onForward = (runs: readonly ForwardRun[]): void => {
      expect(new Set(runs.map(({ cache }) => cache)).size).toBe(runs.length);
      clock += 3;
      for (const { ids, cache } of runs) clock += 0.5 * ids.length + 0.01 * (cache?.length ?? 0);
    };
    const denoiser = createToyDenoiser({ layout: 'causalContext', contextLength: 256, onForward });
    const { batched } = await measureCostCurve(denoiser, { precision: 'f32', rounds: 2, nowMs: () => clock });
    expect(batched).toMatchObject({ sequences: [1, 2, 4, 8], rows: [1, 8], prefix: 64 });
    for (const [sequences, rows] of [
      [1, 1],
      [3, 1],
      [8, 8],
      [5, 4],
    ]) {
      expect(batchedMs(batched!, sequences, rows)).toBeCloseTo(3 + sequences * (0.5 * rows + 0.64));
    }
  });

  it('say how much more a forward of several does', () => {
    expect(gains(costs(4, 6, 10, 20)).map(([, block]) => block)).toEqual([1, 4 / 3, 1.6, 1.6]);
  });

  it('end a batch where more bring nothing', () => {
    expect(bestTogether(costs(4, 6, 10, 16))).toBe(8);
    expect(bestTogether(costs(4, 6, 10, 19.9))).toBe(4);
    expect(bestTogether(costs(4, 8, 16, 32))).toBe(1);
    expect(bestTogether(costs(4, 6, 13, 27))).toBe(2);
  });
});
