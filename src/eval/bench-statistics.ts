/** Figures of the bench that are not a mean: resampled intervals, and accuracy under parallelism. */
import type { Rng } from '../rng.ts';
import { percentile } from './metrics.ts';

/** Two-sided 95 %. */
const TAIL = 0.025;

/** Of each prompt: what was gained and what it cost. */
export interface Rate {
  amount: readonly number[];
  cost: readonly number[];
}

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/**
 * Index sets of a bootstrap over prompts (Efron 1979). All configurations use the same ones, so that a ratio of two of
 * them is resampled in pairs: what makes one prompt slow for both cancels. [resamples, prompts]
 */
export function resamples(prompts: number, count: number, rng: Rng): Uint32Array[] {
  return Array.from({ length: count }, () => Uint32Array.from({ length: prompts }, () => rng.int(prompts)));
}

/** Σ amount / Σ cost over the prompts of a sample. */
function rateOf({ amount, cost }: Rate, sample: ArrayLike<number>): number {
  let [gained, spent] = [0, 0];
  for (let i = 0; i < sample.length; i++) {
    gained += amount[sample[i]];
    spent += cost[sample[i]];
  }
  return gained / spent;
}

const everyPrompt = ({ amount }: Rate): number[] => amount.map((_, i) => i);

function intervalOf(value: number, draws: readonly number[]): Interval {
  const finite = draws.filter(Number.isFinite);
  if (finite.length === 0) return { value, low: value, high: value };
  return { value, low: percentile(finite, TAIL), high: percentile(finite, 1 - TAIL) };
}

/** Amount over cost of all prompts, with its percentile interval. */
export function rateInterval(rate: Rate, samples: readonly Uint32Array[]): Interval {
  return intervalOf(
    rateOf(rate, everyPrompt(rate)),
    samples.map((sample) => rateOf(rate, sample)),
  );
}

/** One rate over another on the same prompts. */
export function ratioInterval(top: Rate, bottom: Rate, samples: readonly Uint32Array[]): Interval {
  const of = (sample: ArrayLike<number>): number => rateOf(top, sample) / rateOf(bottom, sample);
  return intervalOf(of(everyPrompt(top)), samples.map(of));
}

/** α of the weight that punishes lost accuracy, and the loss in points from which a setting is left out. */
const AUP_ALPHA = 3;
const AUP_LOSS_POINTS = 5;

/**
 * Accuracy under parallelism (Qian et al., d3LLM, 2601.07568): the area under accuracy against tokens a forward,
 *
 *   AUP = ρ₁y₁ + ½ Σ (ρᵢ − ρᵢ₋₁)(yᵢ W(yᵢ) + yᵢ₋₁ W(yᵢ₋₁)),   W(y) = min(exp(−3 (1 − y / y_max)), 1),
 *
 * ρ tokens a forward in rising order, y accuracy in percent. Settings more than 5 points below y₁ do not count. For an
 * autoregressive model it is its accuracy. Points of equal ρ keep the better y; where y_max is 0 there is nothing to weigh.
 * @param bestPercent y_max, the best accuracy of all methods on this task
 */
export function accuracyUnderParallelism(
  points: readonly { tpf: number; accuracyPercent: number }[],
  bestPercent: number,
): number | null {
  if (points.length === 0 || bestPercent <= 0) return null;
  const sorted = points.toSorted((a, b) => a.tpf - b.tpf || b.accuracyPercent - a.accuracyPercent);
  const distinct = sorted.filter(({ tpf }, i) => i === 0 || tpf > sorted[i - 1].tpf);
  const least = distinct[0].accuracyPercent - AUP_LOSS_POINTS;
  const kept = distinct.filter(({ accuracyPercent }) => accuracyPercent >= least);
  const weighted = (y: number): number => y * Math.min(Math.exp(-AUP_ALPHA * (1 - y / bestPercent)), 1);
  let area = kept[0].tpf * kept[0].accuracyPercent;
  for (let i = 1; i < kept.length; i++) {
    const [before, point] = [kept[i - 1], kept[i]];
    area +=
      ((point.tpf - before.tpf) * (weighted(point.accuracyPercent) + weighted(before.accuracyPercent))) / 2;
  }
  return area;
}
