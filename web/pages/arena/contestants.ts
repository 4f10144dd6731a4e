/** Who takes part: models with settings. Two with the same name are the same. */
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import type { ModelInfo } from '../../runs/run.ts';

export interface Contestant {
  name: string;
  model: string;
  settings: Settings;
}

export interface Settings {
  /** 0, the default, is greedy. */
  temperature?: number;
  options?: CompleteOptions;
}

export const MODES = ['diffusion', 'verify', 'ar'] as const;
export type Mode = (typeof MODES)[number];

export interface Draft {
  model: string;
  mode: Mode | '';
  /** Empty: the model's own. */
  threshold: string;
  temperature: string;
}

/** A contestant, named after what was chosen. */
export function contestantOf({ model, mode, threshold, temperature }: Draft): Contestant {
  // One token at a time needs none.
  const numbers = {
    threshold: mode === 'ar' ? null : numberOf(threshold),
    temperature: numberOf(temperature),
  };
  const options: CompleteOptions = {
    ...(mode === '' ? {} : { mode }),
    ...(numbers.threshold === null ? {} : { threshold: numbers.threshold }),
  };
  const name = [
    model,
    ...(mode === '' ? [] : [mode]),
    ...(numbers.threshold === null ? [] : [`threshold ${numbers.threshold}`]),
    ...(numbers.temperature === null ? [] : [`temperature ${numbers.temperature}`]),
  ].join(' · ');
  return {
    name,
    model,
    settings: {
      ...(numbers.temperature === null ? {} : { temperature: numbers.temperature }),
      ...(Object.keys(options).length === 0 ? {} : { options }),
    },
  };
}

const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));

export const PLAIN: Omit<Draft, 'model'> = { mode: '', threshold: '', temperature: '' };

export const fillers = (models: readonly ModelInfo[]): ModelInfo[] =>
  models.filter(({ features }) => features.includes('fim'));

/** Every model that fills gaps, as it is; a single one against itself with every draft checked. */
export function usualPool(models: readonly ModelInfo[]): Contestant[] {
  const able = fillers(models);
  const pool = able.map(({ id }) => contestantOf({ ...PLAIN, model: id }));
  if (able.length === 1 && able[0].layout !== 'causal') {
    pool.push(contestantOf({ ...PLAIN, model: able[0].id, threshold: '0.5' }));
  }
  return pool;
}
