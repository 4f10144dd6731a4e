/**
 * Options that a caller gave, over options that were chosen for a model on this machine (`tintype tune`). Mode, policy and
 * its parameters were chosen together and make sense together: a caller who says any of them has said all of them. A block
 * length stands with any policy, but not with any mode.
 */
import type { CompleteOptions } from './complete.ts';
import { POLICY_PARAMETERS } from './policies/index.ts';

const STRATEGY = [
  'mode',
  'policy',
  'verifier',
  'redrafts',
  'guesses',
  'tolerance',
  ...Object.keys(POLICY_PARAMETERS),
] as (keyof CompleteOptions)[];

export function withDefaults<T extends CompleteOptions>(said: T, defaults: CompleteOptions): T {
  const isSaid = (name: keyof CompleteOptions): boolean => said[name] !== undefined;
  // A published sampler has defaults of its own, for everything.
  if (isSaid('sampler')) return said;
  const isConstrained = isSaid('schema') || isSaid('regex') || isSaid('constraint');
  const own =
    STRATEGY.some(isSaid) ||
    // What cannot be checked in a constrained answer is not drafted as if it were.
    (isConstrained && defaults.mode === 'verify') ||
    // Whoever names a block length does not want one token at a time.
    (isSaid('blockLength') && defaults.mode === 'ar');
  const dropped: readonly string[] = !own ? [] : isSaid('mode') ? [...STRATEGY, 'blockLength'] : STRATEGY;
  const kept = Object.entries(defaults).filter(([name]) => !dropped.includes(name));
  const given = Object.entries(said).filter(([, value]) => value !== undefined);
  return Object.fromEntries([...kept, ...given]) as T;
}
