/** Every knob of decoding, one schema: the command line, HTTP bodies and the API are all checked by it. */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { createRng } from '../rng.ts';
import type { Rng } from '../rng.ts';
import { BIGRAM_WEIGHT, createBigrams, SIGHT, NO_BIGRAMS } from './bigrams.ts';
import type { Bigrams } from './bigrams.ts';
import { createBias } from './bias.ts';
import type { Bias } from './bias.ts';
import { openStart } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import type { TokenAutomaton } from './constraints/tokens.ts';
import { CACHE_MODES } from './context.ts';
import type { CacheSettings } from './context.ts';
import { MODES, POSSIBLE_MODES } from './modes.ts';
import type { Mode } from './modes.ts';
import { namedPolicy, POLICIES, POLICY_PARAMETERS } from './policies/index.ts';
import type { PolicyName, PolicyParameter, PolicyValues } from './policies/index.ts';
import type { UnmaskPolicy } from './policies/policy.ts';
import type { Recipe } from './official/recipe.ts';
import { SAMPLER_CHOICES } from './official/choose.ts';
import { SAMPLER_PARAMETERS } from './official/values.ts';
import type { OfficialValues } from './official/values.ts';
import type { OfficialOptions } from './official/plan.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { MOST_CANDIDATES } from './sampling.ts';
import type { Sampling } from './sampling.ts';
import { checkUnread } from './unread.ts';
import { checkVerifier } from './verified.ts';

export const POLICY_NAMES = Object.keys(POLICIES) as [PolicyName, ...PolicyName[]];

const range = (low: number, high: number) => `a number from ${low} to ${high}`;
const integerRange = (low: number, high: number) => `a whole number from ${low} to ${high}`;
const number = (low: number, high: number) =>
  z.number(range(low, high)).min(low, range(low, high)).max(high, range(low, high));
const integer = (low: number, high: number) =>
  z.int(integerRange(low, high)).min(low, integerRange(low, high)).max(high, integerRange(low, high));
const choice = <const T extends readonly string[]>(names: T) => z.enum(names, `one of ${names.join(', ')}`);

/** The parameters of all policies; each reads its own and has its own defaults. */
const policyParameters = Object.fromEntries(
  Object.entries<PolicyParameter>(POLICY_PARAMETERS).map(([name, parameter]) => [
    name,
    (parameter.type === 'choice'
      ? choice(parameter.values)
      : parameter.type === 'integer'
        ? integer(parameter.min, parameter.max)
        : number(parameter.min, parameter.max)
    ).optional(),
  ]),
) as unknown as { [N in keyof PolicyValues]: z.ZodOptional<z.ZodType<PolicyValues[N], PolicyValues[N]>> };

/** Parameters of published samplers that no policy has. */
const samplerParameters = Object.fromEntries(
  Object.entries(SAMPLER_PARAMETERS).map(([name, parameter]) => [
    name,
    (parameter.type === 'flag'
      ? z.boolean('true or false')
      : parameter.type === 'integer'
        ? integer(parameter.min, parameter.max)
        : number(parameter.min, parameter.max)
    ).optional(),
  ]),
) as unknown as {
  [N in keyof typeof SAMPLER_PARAMETERS]: z.ZodOptional<z.ZodType<OfficialValues[N], OfficialValues[N]>>;
};

export { MODES };
export type { Mode };

export const decodeOptionsSchema = z.strictObject({
  /**
   * `diffusion` commits in parallel; `verify` drafts so and keeps what one token at a time would have written; `ar`
   * writes one token at a time. The first where the model can, by default.
   */
  mode: choice(MODES).optional(),
  /** Positions denoised together; the model's own by default. */
  blockLength: integer(1, 65_536).optional(),
  /** By default `confidenceThreshold`, or `fixedSteps` for who says how many steps. */
  policy: choice(POLICY_NAMES).optional(),
  ...policyParameters,
  /**
   * A published sampler, exactly as its authors wrote it, in place of mode, policy and cache: by its name, by the rule
   * that the model's own sampler follows, or `official` for the model's own.
   */
  sampler: choice(SAMPLER_CHOICES).optional(),
  ...samplerParameters,
  /**
   * With `verify`: behind so many of the first drafts that a forward checks it drafts anew, as if the text ended there.
   * Where one of them is refused, the next drafts are there already: fewer forwards, of more rows.
   */
  redrafts: integer(0, 64).default(0),
  /**
   * With `verify`: where a forward leaves fewer drafts, counts (`decode/bigrams.ts`) guess up to so many. Needs no forward
   * and no masks, so that an autoregressive model can check them too.
   */
  guesses: integer(0, 64).optional(),
  /**
   * With `verify`: a draft stands too where the model gives it at least 1 − tolerance of the probability of its best token
   * (typical acceptance, Medusa 2401.10774, relative to the best). 0 is lossless. With temperature 0.
   */
  tolerance: number(0, 1).default(0),
  /** `block` by default where the layout has an exact cache, else `none`. */
  cache: choice(CACHE_MODES).optional(),
  /** Forwards after which an approximate cache is computed anew; by default only where a block starts. */
  refreshEvery: integer(1, 65_536).optional(),
  /** Blocks that may be active at once (blockCausal, full). */
  activeBlocks: integer(1, 16).default(1),
  /** A block starts ahead of its turn when this share of the one before it is committed; 0.5 by default. */
  activateAt: number(0, 1).optional(),
  /**
   * Full attention: begin with so many masks, and add as many whenever the last of them does not look like the end of
   * the text. By default all of the answer's masks are there from the start.
   */
  grow: integer(1, 65_536).optional(),
  /**
   * Weight of what is known of pairs of tokens where neighbouring masks are filled in one forward; 0: each mask for
   * itself. By default 0.6 where the model's folder counts the pairs of a corpus, else 0. With temperature 0.
   */
  bigrams: number(0, 1).optional(),
  /** 0 is greedy. */
  temperature: number(0, 10).default(0),
  /** Keeps the fewest tokens whose probabilities reach this sum. */
  topP: number(0, 1).default(1),
  /** Keeps the most probable tokens. */
  topK: integer(1, MOST_CANDIDATES).nullable().default(null),
  /** Same seed, same transcript. */
  seed: integer(0, Number.MAX_SAFE_INTEGER).default(0),
  /** Added to the logits of these tokens: {id: −100 … 100}. */
  logitBias: z
    .record(
      z.string().regex(/^\d{1,9}$/),
      number(-100, 100),
      'ids of tokens with a number each, such as {"5": -100}',
    )
    .default({}),
});

/** Where nobody says how many. */
const GUESSES = 8;
/** Most rows of one forward that draft behind drafts: more would cost more than the forwards that they save. */
const MOST_REDRAFTED = 256;

const inspectSchema = z.object({ inspect: integer(1, MOST_CANDIDATES - 1).optional() });

/** The parameters of published samplers among all options, checked. Throws `bad_option`. */
export function samplerOptions(options: Omit<DecodeOptions, 'stop'>): OfficialOptions {
  const names = [
    'steps',
    'blockLength',
    'threshold',
    'editThreshold',
    'rounds',
    'order',
    'cache',
    'activateAt',
    'gamma',
  ] as const;
  const all = [...names, ...Object.keys(SAMPLER_PARAMETERS)] as (keyof typeof decodeOptionsSchema.shape)[];
  const shape = Object.fromEntries(all.map((name) => [name, decodeOptionsSchema.shape[name]]));
  const said = Object.fromEntries(all.map((name) => [name, options[name]]));
  return parseOptions(z.object(shape), said);
}

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
  /** A language that the answer must belong to, over the model's tokens. */
  constraint?: TokenAutomaton | undefined;
  /** With `verify`: an autoregressive model of the same vocabulary that checks the drafts instead of this one. */
  verifier?: Denoiser | undefined;
  /** How a published sampler does it, in place of mode, policy and cache (`official/`). */
  recipe?: Recipe | undefined;
  /** Keys and values of earlier prompts, to begin with and to add to. */
  prefixCache?: PrefixCache | undefined;
  /** Tells with `look` events what the model said of each position: so many candidates, 1 to 63. */
  inspect?: number | undefined;
  /** Asked after each stretch of text with the settled answer; true ends the text here. */
  stop?: ((settled: Int32Array) => boolean) | undefined;
  /** Ends decoding between two forwards. */
  signal?: AbortSignal | undefined;
  /** Milliseconds of a clock that never goes back. */
  now?: (() => number) | undefined;
};

/** What the loop works with. */
export interface DecodeSettings {
  recipe: Recipe | null;
  blockLength: number;
  /** Commits are drafts until the causal pass has checked them. */
  verify: boolean;
  verifier: Denoiser | null;
  redrafts: number;
  guesses: number;
  tolerance: number;
  policy: UnmaskPolicy;
  bigrams: Bigrams;
  cache: CacheSettings;
  activeBlocks: number;
  activateAt: number;
  grow: number | null;
  sampling: Sampling;
  bias: Bias;
  prefixCache: PrefixCache | undefined;
  inspect: number | undefined;
  rng: Rng;
  stop: (settled: Int32Array) => boolean;
  signal: AbortSignal | undefined;
  now: () => number;
}

/** Who says how many steps, and nothing else, means so many. */
export const defaultPolicy = ({
  steps,
  mode,
  sampler,
}: Pick<DecodeOptions, 'steps' | 'mode' | 'sampler'>): PolicyName =>
  steps === undefined || mode === 'ar' || sampler !== undefined ? 'confidenceThreshold' : 'fixedSteps';

/** Checks options against their ranges and a model, and fills in what was not said. Throws `bad_option`. */
export function resolveOptions(options: DecodeOptions, denoiser: Denoiser, canvas: Canvas): DecodeSettings {
  const { config } = denoiser;
  const {
    policy,
    constraint,
    verifier,
    prefixCache,
    recipe,
    inspect,
    stop = () => false,
    signal,
    now = () => performance.now(),
    ...plain
  } = options;
  const own = recipe?.policy ?? (typeof policy === 'object' ? policy : undefined);
  const named = (policy as PolicyName | undefined) ?? defaultPolicy(plain);
  const said = { ...plain, policy: own ? undefined : named };
  const parsed = parseOptions(decodeOptionsSchema, said);
  const { layout } = config;
  if (parsed.sampler !== undefined && !recipe) {
    throw new TintypeError('bad_option', {
      what: 'a published sampler makes a canvas of its own, so decode cannot fill another one with it',
      got: `sampler ${parsed.sampler}`,
      next: 'use streamCompletion, or planOfficial and its recipe',
    });
  }
  if (!recipe) checkUnread(said, own !== undefined);

  if (config.noise === 'uniform' && !recipe) {
    throw new TintypeError('unsupported', {
      what: 'this model has no masks to fill: its canvases begin as random tokens',
      got: 'a canvas without the recipe of a published sampler',
      next: 'use streamCompletion, or planOfficial and its recipe',
    });
  }

  const mode = parsed.mode ?? (verifier ? 'verify' : layout === 'causal' ? 'ar' : 'diffusion');
  checkMode(mode, layout);
  if (verifier && mode !== 'verify') throw badOption('mode', mode, 'verify, where another model verifies');
  if (verifier) checkVerifier(denoiser, verifier);
  const blockLength = mode === 'ar' ? 1 : (parsed.blockLength ?? config.blockLength);
  if (layout === 'causal' && (parsed.blockLength ?? 1) !== 1) {
    throw badOption(
      'blockLength',
      parsed.blockLength,
      '1, since an autoregressive model writes one token at a time',
    );
  }
  const chosen = own ?? namedPolicy(named, parsed, blockLength);
  if (mode === 'verify') {
    if (chosen.needs.blocks || chosen.needs.committed) {
      throw badOption(
        'policy',
        chosen.name,
        'with verify one that neither counts steps nor changes its mind',
      );
    }
    if (constraint) throw badOption('mode', mode, 'diffusion or ar, where the answer is constrained');
  }
  if (parsed.redrafts > 0 && mode !== 'verify') {
    throw badOption('redrafts', parsed.redrafts, `0 with mode ${mode}, since only verify refuses drafts`);
  }
  if (constraint && chosen.needs.committed) {
    throw badOption(
      'policy',
      chosen.name,
      'one that does not change its mind, where the answer is constrained',
    );
  }
  if ((parsed.guesses ?? 0) > 0 && mode !== 'verify') {
    throw badOption('guesses', parsed.guesses, `0 with mode ${mode}, since only verify checks them`);
  }
  const guesses = mode === 'verify' ? (parsed.guesses ?? GUESSES) : 0;
  if (parsed.tolerance > 0 && (mode !== 'verify' || parsed.temperature > 0)) {
    throw badOption('tolerance', parsed.tolerance, '0 but with mode verify and temperature 0');
  }
  // Tokens that are drawn are each drawn for itself.
  const isLinked = !recipe && mode !== 'ar' && parsed.temperature === 0;
  const weight = isLinked ? (parsed.bigrams ?? (denoiser.bigrams ? BIGRAM_WEIGHT : 0)) : 0;
  const exact = layout !== 'full';
  const cacheMode = (recipe ? undefined : parsed.cache) ?? (exact ? 'block' : 'none');
  if (cacheMode !== 'none' && exact !== (cacheMode === 'block')) {
    throw badOption(
      'cache',
      cacheMode,
      exact
        ? 'block or none, since this layout has an exact cache'
        : 'none, prefix, dual or interstep, since with full attention every token changes all others',
    );
  }
  if (parsed.grow !== undefined && (exact || openStart(canvas) > canvas.answerStart)) {
    throw badOption('grow', parsed.grow, 'full attention and an answer at the end of the canvas');
  }
  if (recipe && (parsed.mode ?? verifier) !== undefined) {
    throw badOption(
      'mode',
      parsed.mode ?? 'verify',
      'none with a published sampler, which is a mode of its own',
    );
  }
  if (recipe && constraint) {
    throw badOption('sampler', recipe.name, 'none of the published ones, where the answer is constrained');
  }
  return {
    recipe: recipe ?? null,
    blockLength,
    verify: mode === 'verify',
    verifier: verifier ?? null,
    // Blocks of one have no masks to draft with.
    redrafts: blockLength === 1 ? 0 : Math.min(parsed.redrafts, Math.floor(MOST_REDRAFTED / blockLength)),
    policy: chosen,
    guesses,
    tolerance: parsed.tolerance,
    bigrams:
      weight > 0 || guesses > 0
        ? createBigrams(weight, config.vocabSize, denoiser.bigrams, guesses > 0 ? SIGHT : 1)
        : NO_BIGRAMS,
    cache: { mode: cacheMode, refreshEvery: parsed.refreshEvery ?? Infinity },
    activeBlocks: parsed.activeBlocks,
    activateAt: parsed.activateAt ?? 0.5,
    grow: parsed.grow ?? null,
    sampling: {
      temperature: parsed.temperature,
      topK: parsed.topK,
      topP: parsed.topP,
      seed: parsed.seed,
    },
    bias: createBias(config, canvas, parsed.logitBias, constraint),
    prefixCache,
    inspect: parseOptions(inspectSchema, { inspect }).inspect,
    rng: createRng(parsed.seed, 'decode'),
    stop,
    signal,
    now,
  };
}

/** What each layout can do. */
function checkMode(mode: Mode, layout: ModelConfig['layout']): void {
  const possible = POSSIBLE_MODES[layout];
  if (possible.includes(mode)) return;
  throw badOption('mode', mode, `${possible.join(' or ')} for a model with layout ${layout}`);
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
