/**
 * Settings against the clock: every row is answered under all of them in a new order, so that what else the machine does
 * falls on all alike, and speeds are compared in pairs. Whole requests, nothing shared between them.
 */
import { createRng } from '../rng.ts';
import { ratioInterval, resamples, type Interval, type Rate } from './bench-statistics.ts';
import type { InfillRow } from './documents.ts';
import type { Complete, Completion } from './fim.ts';
import { percentile } from './metrics.ts';

export interface Contender {
  name: string;
  complete: Complete;
}

export interface Timed {
  name: string;
  /** Useful tokens a second over whole requests. */
  tokensPerSecond: number;
  /** What the first repeat gave, by row. */
  completions: Completion[];
  /** By row, the median of the repeats. */
  elapsedMs: number[];
}

export interface TimingOptions {
  repeat: number;
  seed?: number | undefined;
  nowMs?: (() => number) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number, name: string) => void) | undefined;
}

export async function timeInterleaved(
  rows: readonly InfillRow[],
  contenders: readonly Contender[],
  { repeat, seed = 0, nowMs = () => performance.now(), signal, onProgress }: TimingOptions,
): Promise<Timed[]> {
  const order = createRng(seed, 'tune-timing');
  const samples = contenders.map(() => rows.map((): { ms: number; completion: Completion }[] => []));
  const total = rows.length * contenders.length * repeat;
  let done = 0;
  // The first request of each builds its sessions.
  for (const { complete } of contenders) await complete(rows[0], signal);
  for (let round = 0; round < repeat; round++) {
    for (const [r, row] of rows.entries()) {
      const left = contenders.map((_, i) => i);
      while (left.length > 0) {
        signal?.throwIfAborted();
        const [i] = left.splice(order.int(left.length), 1);
        const startMs = nowMs();
        const completion = await contenders[i].complete(row, signal);
        samples[i][r].push({ ms: nowMs() - startMs, completion });
        onProgress?.(++done, total, contenders[i].name);
      }
    }
  }
  return contenders.map(({ name }, i) => {
    const completions = samples[i].map(([first]) => first.completion);
    const elapsedMs = samples[i].map((each) =>
      percentile(
        each.map(({ ms }) => ms),
        0.5,
      ),
    );
    const tokens = completions.reduce((sum, completion) => sum + completion.tokens, 0);
    const totalMs = elapsedMs.reduce((sum, ms) => sum + ms, 0);
    return { name, tokensPerSecond: (1000 * tokens) / Math.max(1e-9, totalMs), completions, elapsedMs };
  });
}

const RESAMPLES = 1000;

const rateOf = ({ completions, elapsedMs }: Timed): Rate => ({
  amount: completions.map(({ tokens }) => tokens),
  cost: elapsedMs.map((ms) => ms / 1000),
});

/** Speed over speed with its 95 % interval over rows. */
export function speedRatio(top: Timed, bottom: Timed, seed = 0): Interval {
  const draws = resamples(top.elapsedMs.length, RESAMPLES, createRng(seed, 'tune-ratio'));
  return ratioInterval(rateOf(top), rateOf(bottom), draws);
}
