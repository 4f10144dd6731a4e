import { describe, expect, it } from 'vitest';
import { bench, type BenchConfiguration, type BenchMode, type BenchReply } from './bench.ts';
import { accuracyUnderParallelism } from './bench-statistics.ts';
import type { InfillRow } from './documents.ts';

const rows: InfillRow[] = Array.from({ length: 8 }, (_, i) => ({
  id: `pkg/a.ts:${i}:1`,
  prefix: 'const a = ',
  suffix: '\n',
  middle: `${i};`,
}));

/** A configuration whose answers are made up: `ms` of the row's number and of how often it was asked. */
function fake(
  name: string,
  mode: BenchMode,
  ms: (row: number, asked: number) => number,
  more: Partial<BenchReply> & { answer?: (row: InfillRow) => string } = {},
  log: string[] = [],
): BenchConfiguration {
  const asked = new Map<string, number>();
  const { answer = (row) => row.middle, ...reply } = more;
  return {
    name,
    mode,
    options: { threshold: 0.9 },
    complete: async (row) => {
      const count = asked.get(row.id) ?? 0;
      asked.set(row.id, count + 1);
      log.push(`${name} ${row.id}`);
      const elapsedMs = ms(rows.indexOf(row), count);
      return {
        text: answer(row),
        tokens: 4,
        nfe: 2,
        firstMs: elapsedMs / 2,
        elapsedMs,
        positions: 100,
        ...reply,
      };
    },
    memoryBytes: (positions) => 1000 + positions,
    nonMatmulShare: 0.25,
  };
}

describe('the order', () => {
  it('takes every configuration on a prompt before the next, in an order of its own, after one each to warm up', async () => {
    const log: string[] = [];
    const names = ['a', 'b', 'c'];
    await bench(
      rows,
      names.map((name) => fake(name, 'diffusion', () => 1, {}, log)),
      { repeat: 2, seed: 1 },
    );
    expect(log).toHaveLength(3 + 2 * 8 * 3);
    expect(log.slice(0, 3)).toEqual(names.map((name) => `${name} ${rows[0].id}`));
    const orders: string[] = [];
    for (let at = 3; at < log.length; at += 3) {
      const group = log.slice(at, at + 3).map((line) => line.split(' '));
      expect(new Set(group.map(([, id]) => id)).size).toBe(1);
      orders.push(group.map(([name]) => name).join(' '));
    }
    expect(orders.every((order) => order.split(' ').toSorted().join('') === 'abc')).toBe(true);
    expect(new Set(orders).size).toBeGreaterThan(3);
  });

  it('and the intervals are those of the seed', async () => {
    const run = (seed: number) =>
      bench(rows, [fake('a', 'diffusion', (i) => 10 + i), fake('twin', 'twin', (i) => 20 + i * i)], {
        seed,
        cpuMs: () => 0,
      });
    expect(await run(3)).toEqual(await run(3));
    expect(await run(3)).toMatchObject({
      isInterrupted: false,
      prompts: 8,
      runs: [{ usefulTokensPerCpuSecond: null }, {}],
    });
    expect((await run(3)).runs[0].intervalLow).not.toBe((await run(4)).runs[0].intervalLow);
  });
});

describe('speed', () => {
  it('is useful tokens over the median time of each prompt, and holds its interval', async () => {
    // The third repeat is ten times slower: something else ran. Medians do not see it.
    const { runs } = await bench(
      rows,
      [fake('a', 'diffusion', (i, asked) => (asked % 3 === 2 ? 1000 : 100 + i))],
      {
        repeat: 3,
      },
    );
    const [run] = runs;
    const ms = rows.reduce((sum, _, i) => sum + 100 + i, 0);
    // The request that warmed up was one of prompt 0, so its own third repeat is the slow one still.
    expect(run.usefulTokensPerSecond).toBeCloseTo((8 * 4 * 1000) / ms, 0);
    expect(run.intervalLow).toBeLessThanOrEqual(run.usefulTokensPerSecond);
    expect(run.intervalHigh).toBeGreaterThanOrEqual(run.usefulTokensPerSecond);
    expect(run.p95Ms).toBe(1000);
    expect(run.firstP50Ms).toBe(run.p50Ms / 2);
  });

  it('counts forwards and tokens once, whatever the repeats', async () => {
    const { runs } = await bench(rows, [fake('a', 'diffusion', () => 1)], { repeat: 3 });
    expect(runs[0]).toMatchObject({ nfe: 16, tokens: 32, tpf: 2, memoryBytes: 1100, nonMatmulShare: 0.25 });
  });
});

describe('work of the cores', () => {
  it('is counted for each request, and not for what computes elsewhere', async () => {
    let worked = 0;
    const working = (name: string, mode: BenchMode, cpuMs: number): BenchConfiguration => {
      const inner = fake(name, mode, () => 1);
      return {
        ...inner,
        complete: (row, signal) => {
          worked += cpuMs;
          return inner.complete(row, signal);
        },
      };
    };
    const { runs, cpuRatios } = await bench(
      rows,
      [
        working('a', 'ar', 8),
        working('twin', 'twin', 4),
        { ...working('llama-f32', 'llama', 0), isRemote: true },
      ],
      { cpuMs: () => worked, repeat: 2 },
    );
    expect(runs.map((run) => run.usefulTokensPerCpuSecond)).toEqual([500, 1000, null]);
    expect(cpuRatios).toEqual({ 'a/twin': 0.5 });
  });
});

describe('ratios', () => {
  it('are of speeds on the same prompts, against every twin, with intervals resampled in pairs', async () => {
    const { ratios, ratioIntervals } = await bench(rows, [
      fake('diffusion@0.9', 'diffusion', (i) => 10 * (i + 1)),
      fake('twin', 'twin', (i) => 20 * (i + 1)),
      fake('llama-f32', 'llama', () => 45),
    ]);
    expect(Object.keys(ratios).toSorted()).toEqual([
      'diffusion@0.9/llama-f32',
      'diffusion@0.9/twin',
      'llama-f32/twin',
    ]);
    expect(ratios['diffusion@0.9/twin']).toBeCloseTo(2, 12);
    // Both are slow on the same prompts, so the ratio is sure although the speeds are not.
    const [low, high] = ratioIntervals['diffusion@0.9/twin'];
    expect([low, high]).toEqual([expect.closeTo(2, 9), expect.closeTo(2, 9)]);
    expect(ratios['diffusion@0.9/llama-f32']).toBeCloseTo(1, 12);
    const [wideLow, wideHigh] = ratioIntervals['diffusion@0.9/llama-f32'];
    expect(wideLow).toBeLessThan(0.95);
    expect(wideHigh).toBeGreaterThan(1.05);
  });
});

describe('quality', () => {
  it('is scored on the measured answers', async () => {
    const answer = (row: InfillRow): string =>
      row === rows[0] ? row.middle : row === rows[1] ? '((' : '12;';
    const { runs, aup } = await bench(rows, [
      fake('diffusion@0.9', 'diffusion', () => 1, { answer }),
      fake('twin', 'twin', () => 1, { nfe: 4 }),
    ]);
    expect(runs[0]).toMatchObject({ exactMatch: 1 / 8, parseRate: 7 / 8 });
    expect(runs[1]).toMatchObject({ exactMatch: 1, editSimilarity: 1, parseRate: 1 });
    // One setting: tokens a forward times accuracy in percent.
    expect(aup).toEqual({ diffusion: 2 * 12.5, twin: 100 });
  });
});

describe('an interrupt', () => {
  const interrupted = (after: number) => {
    const controller = new AbortController();
    const run = bench(rows, [fake('a', 'diffusion', () => 1), fake('b', 'twin', () => 1)], {
      signal: controller.signal,
      onProgress: (done) => {
        if (done === after) controller.abort();
      },
    });
    return run;
  };
  it('gives the prompts that all have answered', async () => {
    expect(await interrupted(7)).toMatchObject({
      prompts: 3,
      isInterrupted: true,
      runs: [{ tokens: 12 }, {}],
    });
  });
  it('before the first is only an interrupt', async () => {
    await expect(interrupted(1)).rejects.toMatchObject({ name: 'AbortError' });
  });
});

it('an error of one configuration ends the bench', async () => {
  const broken = { ...fake('a', 'diffusion', () => 1), complete: () => Promise.reject(new Error('broken')) };
  await expect(bench(rows, [broken])).rejects.toThrow('broken');
});

describe('accuracy under parallelism', () => {
  const points = (...pairs: [number, number][]) =>
    pairs.map(([tpf, accuracyPercent]) => ({ tpf, accuracyPercent }));

  it('of one point is its area; nothing to weigh is null', () => {
    expect(accuracyUnderParallelism(points([1, 70]), 70)).toBe(70);
    expect(accuracyUnderParallelism([], 70)).toBeNull();
    expect(accuracyUnderParallelism(points([1, 0]), 0)).toBeNull();
  });

  it('without loss is the plain area', () => {
    expect(accuracyUnderParallelism(points([3, 70], [1, 70]), 70)).toBeCloseTo(3 * 70, 12);
  });

  it('weighs lost accuracy, and leaves out what lost more than 5 points', () => {
    // By hand: 2·76 + ½ (4−2)(74 e^(−3(1−74/80)) + 76 e^(−3(1−76/80))); the point at 60 does not count.
    const wanted = 152 + 74 * Math.exp(-0.225) + 76 * Math.exp(-0.15);
    expect(accuracyUnderParallelism(points([2, 76], [4, 74], [6, 60]), 80)).toBeCloseTo(wanted, 10);
  });
});
