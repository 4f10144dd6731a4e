/**
 * What can be chosen, as data: a coarse grid of ways to decode, and what lies between its points. Which of them a model can
 * do depends on its layout alone.
 */
import { POSSIBLE_MODES } from '../decode/modes.ts';
import type { DecodeOptions } from '../decode/options.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Precision } from '../model/quantize.ts';

/** The options that are tuned. */
export type TunedOptions = Pick<
  DecodeOptions,
  'mode' | 'blockLength' | 'threshold' | 'redrafts' | 'factor' | 'gamma'
> & {
  policy?: 'confidenceThreshold' | 'factor' | 'entropyBound' | undefined;
};

export interface TunePoint {
  /** `diffusion, block 8, threshold 0.5, f32`: unique. */
  name: string;
  precision: Precision;
  options: TunedOptions;
}

const BLOCK_LENGTHS = [4, 6, 8, 16];
const THRESHOLDS = [0.3, 0.5, 0.7, 0.9];
const FACTORS = [0.5, 1, 2];
const GAMMAS = [0.1, 0.3, 1];
/** Drafts are checked, so that daring ones may pay. */
const DRAFT_THRESHOLDS = [0.1, 0.3];
/** Beside drafts that are drafted once: more rows, fewer forwards. */
const REDRAFTS = [2, 16];
const [LEAST_DRAFT_THRESHOLD, LEAST_THRESHOLD, MOST_THRESHOLD] = [0.05, 0.3, 0.95];

export function pointOf(options: TunedOptions, precision: Precision): TunePoint {
  const { mode = 'diffusion', blockLength, threshold, redrafts, factor, gamma } = options;
  const parts = [
    mode === 'ar' ? 'one token a step (ar)' : mode,
    blockLength === undefined ? '' : `block ${blockLength}`,
    threshold === undefined ? '' : `threshold ${threshold}`,
    redrafts === undefined ? '' : `redrafts ${redrafts}`,
    factor === undefined ? '' : `factor ${factor}`,
    gamma === undefined ? '' : `entropy bound ${gamma}`,
    precision,
  ];
  return { name: parts.filter((part) => part !== '').join(', '), precision, options };
}

/** One token a step in full precision: what the quality of all others is compared with. */
export function referencePoint({ layout }: ModelConfig, precision: Precision): TunePoint {
  if (layout === 'causal') return pointOf({ mode: 'ar' }, precision);
  return pointOf({ mode: 'diffusion', policy: 'confidenceThreshold', threshold: 2 }, precision);
}

export function coarseGrid(
  { layout, blockLength, contextLength }: ModelConfig,
  precision: Precision,
): TunePoint[] {
  const points = [pointOf({ mode: 'ar' }, precision)];
  // What bigrams guess is verified, and nothing else drafted.
  if (POSSIBLE_MODES[layout].includes('verify'))
    points.push(pointOf({ mode: 'verify', blockLength: 1 }, precision));
  if (layout === 'causal') return points;
  const own = layout === 'full' ? [] : [blockLength];
  const lengths = [...new Set([...BLOCK_LENGTHS, ...own])].filter(
    (length) => length > 1 && length <= contextLength / 2,
  );
  for (const length of lengths.toSorted((a, b) => a - b)) {
    const base = { mode: 'diffusion', blockLength: length } as const;
    const each: TunedOptions[] = [
      ...THRESHOLDS.map((threshold) => ({ ...base, policy: 'confidenceThreshold', threshold }) as const),
      ...FACTORS.map((factor) => ({ ...base, policy: 'factor', factor }) as const),
      ...GAMMAS.map((gamma) => ({ ...base, policy: 'entropyBound', gamma }) as const),
    ];
    if (layout === 'causalContext') {
      for (const threshold of DRAFT_THRESHOLDS) {
        each.push({ mode: 'verify', blockLength: length, policy: 'confidenceThreshold', threshold });
      }
    }
    points.push(...each.map((options) => pointOf(options, precision)));
  }
  return points;
}

/** Points around one of the grid, on both sides: thresholds at steps of 0.05, other knobs at ratios. */
export function neighbours({ options, precision }: TunePoint): TunePoint[] {
  const { threshold, factor, gamma } = options;
  const near = (...values: number[]): number[] => values.map((value) => Number(value.toPrecision(2)));
  if (factor !== undefined) {
    return near(factor / 1.4, factor * 1.4).map((value) => pointOf({ ...options, factor: value }, precision));
  }
  if (gamma !== undefined) {
    return near(gamma / 1.7, gamma * 1.7).map((value) => pointOf({ ...options, gamma: value }, precision));
  }
  if (threshold === undefined || threshold > 1) return [];
  const least = options.mode === 'verify' ? LEAST_DRAFT_THRESHOLD : LEAST_THRESHOLD;
  const thresholds = near(threshold - 0.1, threshold - 0.05, threshold + 0.05, threshold + 0.1)
    .filter((value) => value >= least && value <= MOST_THRESHOLD)
    .map((value) => pointOf({ ...options, threshold: value }, precision));
  if (options.mode !== 'verify' || options.redrafts !== undefined) return thresholds;
  return [...thresholds, ...REDRAFTS.map((redrafts) => pointOf({ ...options, redrafts }, precision))];
}
