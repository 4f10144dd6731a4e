/**
 * Options that nothing would read beside the others. They are refused in words: who says `steps` and gets a policy that
 * counts none would measure something else than was meant.
 */
import { TintypeError } from '../errors.ts';
import { SAMPLER_PARAMETERS } from './official/values.ts';
import { parametersOf, POLICIES, POLICY_PARAMETERS } from './policies/index.ts';
import type { PolicyName } from './policies/index.ts';

/** What only decoding in parallel reads. */
const PARALLEL = [
  'policy',
  ...Object.keys(POLICY_PARAMETERS),
  'blockLength',
  'bigrams',
  'activeBlocks',
  'activateAt',
];

/** What mode ar does anyway, and what options that were filled in say. */
const HARMLESS: Readonly<Record<string, unknown>> = {
  policy: 'confidenceThreshold',
  blockLength: 1,
  bigrams: 0,
  activeBlocks: 1,
};

/**
 * @param said as the caller said them, without defaults but for the policy
 * @param ownPolicy one that is not among those with a name, whose parameters nobody knows
 * @throws bad_option with the options beside which it would be read
 */
export function checkUnread(said: Readonly<Record<string, unknown>>, ownPolicy: boolean): void {
  const isSaid = (name: string): boolean => said[name] !== undefined;
  const refuse = (name: string, wanted: string): never => {
    const got = JSON.stringify(said[name]);
    throw new TintypeError('bad_option', { what: `${name} would not be read`, got, wanted });
  };
  const foreign = Object.keys(SAMPLER_PARAMETERS).find(isSaid);
  if (foreign !== undefined) refuse(foreign, 'a published sampler beside it (sampler)');
  if (said['mode'] === 'ar') {
    const unread = PARALLEL.find((name) => isSaid(name) && said[name] !== HARMLESS[name]);
    if (unread !== undefined)
      refuse(unread, 'another mode: ar writes one token at a time, whatever its probability');
  }
  if (!ownPolicy) {
    const policy = said['policy'] as PolicyName;
    const read = parametersOf(policy, said['inner'] as string | undefined);
    const unread = Object.keys(POLICY_PARAMETERS).find(
      (name) => isSaid(name) && !read.includes(name as (typeof read)[number]),
    );
    if (unread !== undefined) {
      const readers = Object.entries(POLICIES).flatMap(([name, { defaults }]) =>
        unread in defaults ? [name] : [],
      );
      refuse(unread, `a policy that reads it, ${readers.join(', ')}; this one is ${policy}`);
    }
  }
  if (Number(said['bigrams'] ?? 0) > 0 && Number(said['temperature'] ?? 0) > 0)
    refuse('bigrams', 'temperature 0 beside it: tokens that are drawn are each drawn for itself');
  if (isSaid('activateAt') && (said['activeBlocks'] ?? 1) === 1)
    refuse('activateAt', 'activeBlocks of 2 or more beside it');
  if (isSaid('refreshEvery') && ['none', 'block', undefined].includes(said['cache'] as string | undefined)) {
    refuse('refreshEvery', 'an approximate cache beside it: prefix, dual or interstep');
  }
}
