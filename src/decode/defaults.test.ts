import { expect, it } from 'vitest';
import type { CompleteOptions } from './complete.ts';
import { withDefaults } from './defaults.ts';

const TUNED: CompleteOptions = {
  mode: 'diffusion',
  blockLength: 16,
  policy: 'confidenceThreshold',
  threshold: 0.5,
};

it.each<[CompleteOptions, CompleteOptions, CompleteOptions]>([
  // What has nothing to do with the choice leaves it alone.
  [{}, TUNED, TUNED],
  [{ maxTokens: 9, temperature: 1 }, TUNED, { ...TUNED, maxTokens: 9, temperature: 1 }],
  [{ threshold: undefined }, TUNED, TUNED],
  [{ blockLength: 4 }, TUNED, { ...TUNED, blockLength: 4 }],
  [{ regex: 'a+' }, TUNED, { ...TUNED, regex: 'a+' }],
  // A policy, or a parameter of one, is a policy of one's own.
  [{ policy: 'klass' }, TUNED, { policy: 'klass', blockLength: 16 }],
  [{ threshold: 0.9 }, TUNED, { threshold: 0.9, blockLength: 16 }],
  [{ mode: 'ar' }, TUNED, { mode: 'ar' }],
  [{ regex: 'a+' }, { ...TUNED, mode: 'verify' }, { regex: 'a+', blockLength: 16 }],
  [{ blockLength: 8 }, { mode: 'ar' }, { blockLength: 8 }],
  [{ mode: 'diffusion' }, { mode: 'verify', threshold: 0.3, redrafts: 2 }, { mode: 'diffusion' }],
  // Defaults of other things stay.
  [{ policy: 'klass' }, { ...TUNED, cache: 'none' }, { policy: 'klass', blockLength: 16, cache: 'none' }],
  [{ seed: 1 }, {}, { seed: 1 }],
])('%j over %j is %j', (said, defaults, both) => {
  expect(withDefaults(said, defaults)).toEqual(both);
});
