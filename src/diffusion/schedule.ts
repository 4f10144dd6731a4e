/**
 * How fast tokens turn into masks. At time t in [0, 1] a token is still itself with probability alpha(t), so
 * alpha(0) = 1 (clean) and alpha(1) = 0 (all masks). The bound on −log p(x) does not depend on the schedule, only
 * the variance of its estimate does (2406.04329 section 4, 2406.07524 section 3.4): substitute m = 1 − alpha(t)
 * and every schedule becomes the linear one.
 */
import { TintypeError } from '../errors.ts';

export interface NoiseSchedule {
  readonly name: string;
  /** Probability that a token is not masked at time t; falls from 1 to 0. */
  alpha(t: number): number;
  /** d alpha / dt, never positive. */
  alphaPrime(t: number): number;
  /**
   * −alpha′(t) / (1 − alpha(t)): what a masked token's −log p counts when t is uniform in [0, 1]
   * (2406.07524 equation 10). Grows like 1/t towards 0, and is finite everywhere because times under
   * `MIN_TIME` are lifted to it. A token is masked with probability 1 − alpha(t), so the *expected* loss,
   * −alpha′(t) · (−log p), stays bounded and the lift changes it by less than a part in 10^8.
   */
  lossWeight(t: number): number;
}

/** A schedule as it stands in a config file. */
export type ScheduleSpec =
  | { name: 'linear' }
  | { name: 'cosine' }
  | { name: 'polynomial'; power: number }
  | { name: 'logLinear'; epsilon: number };

/** Times under this are treated as this one wherever 1/t appears. */
export const MIN_TIME = 1e-9;

const lifted = (t: number): number => Math.max(t, MIN_TIME);

/** alpha = 1 − t, weight 1/t: LLaDA (2502.09992), SDAR, and every masked model that says nothing else. */
export const linear: NoiseSchedule = {
  name: 'linear',
  alpha: (t) => 1 - t,
  alphaPrime: () => -1,
  lossWeight: (t) => 1 / lifted(t),
};

/** alpha = 1 − cos(π/2 · (1 − t)), MaskGIT's schedule (2406.04329 table 4): lingers where nearly all is masked. */
export const cosine: NoiseSchedule = {
  name: 'cosine',
  alpha: (t) => 1 - Math.cos((Math.PI / 2) * (1 - t)),
  alphaPrime: (t) => (-Math.PI / 2) * Math.sin((Math.PI / 2) * (1 - t)),
  // tan(π/2 · (1 − t)) = 1 / tan(π/2 · t), written so that small t keeps its digits.
  lossWeight: (t) => Math.PI / 2 / Math.tan((Math.PI / 2) * lifted(t)),
};

/** alpha = 1 − t^power, weight power/t (2406.04329 table 4). Powers above 1 spend more time at few masks. */
export function polynomial(power: number): NoiseSchedule {
  if (!(power > 0 && Number.isFinite(power))) {
    throw new TintypeError('bad_config', {
      what: 'a polynomial noise schedule needs a positive power',
      got: String(power),
      wanted: 'a number above 0, for example 2',
    });
  }
  return {
    name: `polynomial:${power}`,
    alpha: (t) => 1 - t ** power,
    alphaPrime: (t) => -power * (power < 1 ? lifted(t) : t) ** (power - 1),
    lossWeight: (t) => power / lifted(t),
  };
}

/**
 * MDLM's schedule (2406.07524 appendix E.1): total noise sigma(t) = −log(1 − (1 − epsilon) t), alpha = exp(−sigma).
 * "Log-linear" is linear in alpha: alpha = 1 − (1 − epsilon) t, and the weight is 1/t for every epsilon. With
 * epsilon 0 it *is* `linear`. MDLM's code takes 1e-3 to keep sigma(1) finite; alpha(1) is then epsilon, and the
 * bound lacks the share ∫ over mask rates in (1 − epsilon, 1], about epsilon × the loss of a fully masked row.
 */
export function logLinear(epsilon = 0): NoiseSchedule {
  if (!(epsilon >= 0 && epsilon < 1)) {
    throw new TintypeError('bad_config', {
      what: 'epsilon of a log-linear noise schedule is out of range',
      got: String(epsilon),
      wanted: '0 <= epsilon < 1; MDLM uses 0.001',
    });
  }
  return {
    name: epsilon === 0 ? 'logLinear' : `logLinear:${epsilon}`,
    alpha: (t) => 1 - (1 - epsilon) * t,
    alphaPrime: () => epsilon - 1,
    lossWeight: (t) => 1 / lifted(t),
  };
}

/** The schedule that a config names. */
export function createSchedule(spec: ScheduleSpec): NoiseSchedule {
  switch (spec.name) {
    case 'linear':
      return linear;
    case 'cosine':
      return cosine;
    case 'polynomial':
      return polynomial(spec.power);
    case 'logLinear':
      return logLinear(spec.epsilon);
  }
}
