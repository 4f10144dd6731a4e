/**
 * Which configurations a bench runs, as data: a list of words on the command line becomes plans, before any model is
 * loaded. A word is a mode (`diffusion`, all its thresholds) or one configuration of it (`diffusion@0.7`, `llama-q8_0`).
 */
import { POSSIBLE_MODES } from '../decode/modes.ts';
import { decodeOptionsSchema, parseOptions } from '../decode/options.ts';
import type { CompleteOptions } from '../decode/complete.ts';
import { TintypeError } from '../errors.ts';
import type { Layout } from '../model/config.ts';
import { GGUF_TYPES, type GgufType } from '../model/gguf-write.ts';
import type { Precision } from '../model/quantize.ts';
import type { BenchMode } from './bench.ts';

export const BENCH_MODES: readonly BenchMode[] = ['diffusion', 'verify', 'ar', 'twin', 'llama'];
/** One token at a time, of which those that bigrams guess cost no forward of their own. */
const GUESSED = '-guessed';
export const DEFAULT_THRESHOLDS: readonly number[] = [0.5, 0.7, 0.9, 1.1];

export type BenchPlan =
  | {
      kind: 'decoder';
      name: string;
      mode: Exclude<BenchMode, 'llama'>;
      options: CompleteOptions;
      precision: Precision;
    }
  | { kind: 'llama'; name: string; mode: 'llama'; type: GgufType };

export interface PlanRequest {
  /** null: whatever can be run. */
  words: readonly string[] | null;
  thresholds: readonly number[];
  /** Of our own decoder: each of its configurations once for each, `-int8` in its name. */
  precisions: readonly Precision[];
  hasTwin: boolean;
  /** Of the model: what it can be decoded as. */
  layout: Layout;
  hasLlama: boolean;
}

/**
 * Modes that were not named and cannot be run are left out, with the reason in `skipped`. Errors: `bad_option` for a word
 * that means nothing, `unsupported` for a named mode that cannot be run.
 */
export function planBench(request: PlanRequest): { plans: BenchPlan[]; skipped: string[] } {
  const { words, thresholds, precisions } = request;
  const skipped: string[] = [];
  const plans = (words ?? BENCH_MODES).flatMap((word) => {
    const mode = BENCH_MODES.find((each) => each === word.split(/[@+-]/)[0]);
    const detail = mode === undefined ? '' : word.slice(mode.length);
    if (mode === undefined) throw unknown(word);
    const reason = whyNot(mode, detail, request);
    if (reason !== null) {
      if (words !== null) {
        throw new TintypeError('unsupported', { what: `${mode} cannot be measured`, got: reason });
      }
      skipped.push(`${mode}: ${reason}`);
      return [];
    }
    return plansOf(mode, detail, thresholds, word).flatMap((plan): BenchPlan[] =>
      plan.kind === 'llama'
        ? [plan]
        : precisions.map((precision) => ({ ...plan, name: nameFor(plan.name, precision), precision })),
    );
  });
  const byName = new Map(plans.map((plan) => [plan.name, plan]));
  return { plans: [...byName.values()], skipped };
}

/** One more configuration, `asked`: decoding as the options of the command line say. */
export function askedPlans(
  options: CompleteOptions,
  { precisions, layout }: Pick<PlanRequest, 'precisions' | 'layout'>,
): BenchPlan[] {
  const mode = options.mode ?? POSSIBLE_MODES[layout][0];
  return precisions.map((precision) => {
    return { kind: 'decoder', name: nameFor('asked', precision), mode, options, precision };
  });
}

const nameFor = (name: string, precision: Precision): string =>
  precision === 'f32' ? name : `${name}-${precision}`;

function whyNot(mode: BenchMode, detail: string, { hasTwin, layout, hasLlama }: PlanRequest): string | null {
  const can = (...layouts: Layout[]): string | null =>
    layouts.includes(layout) ? null : `the model has layout ${layout}`;
  switch (mode) {
    case 'diffusion':
      return can('blockCausal', 'causalContext', 'full');
    case 'verify':
      return can('causalContext');
    case 'ar':
      return detail === GUESSED
        ? can('causal', 'causalContext')
        : can('causal', 'blockCausal', 'causalContext', 'full');
    case 'twin':
      return hasTwin ? null : 'there is no --twin';
    case 'llama':
      if (!hasLlama) return 'llama.cpp is not installed';
      return hasTwin ? null : can('causal', 'causalContext');
  }
}

function plansOf(mode: BenchMode, detail: string, thresholds: readonly number[], word: string): BenchPlan[] {
  if (mode === 'llama') {
    const types = detail === '' ? GGUF_TYPES : GGUF_TYPES.filter((type) => `-${type}` === detail);
    if (types.length === 0) throw unknown(word);
    return types.map((type) => ({ kind: 'llama', name: `llama-${type}`, mode, type }));
  }
  if (mode === 'ar' || mode === 'twin') {
    if (detail === '')
      return [{ kind: 'decoder', name: mode, mode, options: { mode: 'ar' }, precision: 'f32' }];
    if (detail !== GUESSED) throw unknown(word);
    const options = { mode: 'verify', blockLength: 1 } as const;
    return [{ kind: 'decoder', name: mode + GUESSED, mode, options, precision: 'f32' }];
  }
  const [, said, more] = /^(?:@([\d.]+))?(?:\+(\d+))?$/.exec(detail) ?? [];
  if ((said ?? more) === undefined && detail !== '') throw unknown(word);
  if (more !== undefined && mode !== 'verify') throw unknown(word);
  const redrafts = more === undefined ? {} : { redrafts: Number(more) };
  return (said === undefined ? thresholds : [Number(said)]).map((threshold) => {
    parseOptions(decodeOptionsSchema.pick({ threshold: true, redrafts: true }), { threshold, ...redrafts });
    return {
      kind: 'decoder',
      name: `${mode}@${threshold}${more === undefined ? '' : `+${more}`}`,
      mode,
      options: { mode, threshold, ...redrafts },
      precision: 'f32',
    };
  });
}

const unknown = (word: string): TintypeError =>
  new TintypeError('bad_option', {
    what: '--modes has a word that is no configuration',
    got: word,
    wanted: `${BENCH_MODES.join(', ')}; diffusion@0.7; verify@0.3+2 (redrafts); ar${GUESSED}, twin${GUESSED}; ${GGUF_TYPES.map((type) => `llama-${type}`).join(', ')}`,
  });
