/** Every knob of decoding, one schema: the command line, HTTP bodies and the API are all checked by it. */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { createRng } from '../rng.ts';
import type { Rng } from '../rng.ts';
import type { CacheMode } from './cache.ts';
import { confidenceThreshold } from './policies/confidence-threshold.ts';
import { fixedSteps } from './policies/fixed-steps.ts';
import type { UnmaskPolicy } from './policies/policy.ts';
import { random } from './policies/random.ts';
import { MOST_CANDIDATES } from './sampling.ts';
import type { Sampling } from './sampling.ts';

export const POLICY_NAMES = ['confidenceThreshold', 'fixedSteps', 'random'] as const;

const range = (low: number, high: number) => `a number from ${low} to ${high}`;
const integerRange = (low: number, high: number) => `a whole number from ${low} to ${high}`;
const number = (low: number, high: number) =>
  z.number(range(low, high)).min(low, range(low, high)).max(high, range(low, high));
const integer = (low: number, high: number) =>
  z.int(integerRange(low, high)).min(low, integerRange(low, high)).max(high, integerRange(low, high));
const choice = <const T extends readonly string[]>(names: T) => z.enum(names, `one of ${names.join(', ')}`);

export const decodeOptionsSchema = z.strictObject({
  /** Positions denoised together; the model's own by default. */
  blockLength: integer(1, 65_536).optional(),
  policy: choice(POLICY_NAMES).default('confidenceThreshold'),
  /** For `confidenceThreshold`; above 1 commits one token a step. */
  threshold: number(0, 2).default(0.9),
  /** Forwards a block, for `fixedSteps` and `random`; as many as a block has positions by default. */
  steps: integer(1, 65_536).optional(),
  /** What `fixedSteps` calls sure. */
  order: choice(['confidence', 'margin', 'entropy']).default('confidence'),
  /** `block` by default where the layout has a cache, else `none`. */
  cache: choice(['none', 'block']).optional(),
  /** 0 is greedy. */
  temperature: number(0, 10).default(0),
  /** Keeps the fewest tokens whose probabilities reach this sum. */
  topP: number(0, 1).default(1),
  /** Keeps the most probable tokens. */
  topK: integer(1, MOST_CANDIDATES).nullable().default(null),
  /** Same seed, same transcript. */
  seed: integer(0, Number.MAX_SAFE_INTEGER).default(0),
});

/** What completing text adds. */
export const completionOptionsSchema = z.object({
  /** Most tokens to write. */
  maxTokens: integer(1, 65_536).default(64),
  /** Most prompt tokens; by default what the model's context leaves beside `maxTokens`. */
  contextTokens: integer(8, 1_048_576).optional(),
});

/** What a caller may say; everything has a default. */
export type DecodeOptions = Omit<z.input<typeof decodeOptionsSchema>, 'policy'> & {
  /** One by name, or one of your own. */
  policy?: (typeof POLICY_NAMES)[number] | UnmaskPolicy | undefined;
  /** Asked after each block with the settled answer; true ends the text here. */
  stop?: ((settled: Int32Array) => boolean) | undefined;
  /** Ends decoding between two forwards. */
  signal?: AbortSignal | undefined;
  /** Milliseconds of a clock that never goes back. */
  now?: (() => number) | undefined;
};

/** What the loop works with. */
export interface DecodeSettings {
  blockLength: number;
  policy: UnmaskPolicy;
  cache: CacheMode;
  sampling: Sampling;
  rng: Rng;
  stop: (settled: Int32Array) => boolean;
  signal: AbortSignal | undefined;
  now: () => number;
}

/** Checks options against their ranges and a model, and fills in what was not said. Throws `bad_option`. */
export function resolveOptions(options: DecodeOptions, config: ModelConfig): DecodeSettings {
  const { policy, stop = () => false, signal, now = () => performance.now(), ...plain } = options;
  const own = typeof policy === 'object' ? policy : undefined;
  const parsed = parseOptions(decodeOptionsSchema, { ...plain, policy: own ? undefined : policy });

  const blockLength = parsed.blockLength ?? config.blockLength;
  if (config.layout === 'causal' && blockLength !== 1) {
    throw badOption(
      'blockLength',
      blockLength,
      '1, since an autoregressive model writes one token at a time',
    );
  }
  if (config.layout === 'full' && parsed.cache === 'block') {
    throw badOption('cache', 'block', 'none, since with full attention every token changes all others');
  }
  return {
    blockLength,
    policy: own ?? namedPolicy(parsed, blockLength),
    cache: parsed.cache ?? (config.layout === 'full' ? 'none' : 'block'),
    sampling: { temperature: parsed.temperature, topK: parsed.topK, topP: parsed.topP },
    rng: createRng(parsed.seed, 'decode'),
    stop,
    signal,
    now,
  };
}

function namedPolicy(options: z.output<typeof decodeOptionsSchema>, blockLength: number): UnmaskPolicy {
  const { policy, threshold, steps = blockLength, order } = options;
  switch (policy) {
    case 'confidenceThreshold':
      return confidenceThreshold(threshold);
    case 'fixedSteps':
      return fixedSteps(steps, order);
    case 'random':
      return random(steps);
  }
}

/** Parses by a schema; the first thing wrong becomes a `bad_option` that names the option and its range. */
export function parseOptions<T>(schema: z.ZodType<T>, input: Record<string, unknown>): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue.code === 'unrecognized_keys') {
    throw new TintypeError('bad_option', { what: `there is no option "${issue.keys[0]}"` });
  }
  const name = String(issue.path[0]);
  throw badOption(name, input[name], issue.message);
}

function badOption(name: string, got: unknown, wanted: string): TintypeError {
  return new TintypeError('bad_option', { what: `${name} is not usable`, got: JSON.stringify(got), wanted });
}
