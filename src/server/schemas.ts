/**
 * Bodies of the completion routes, OpenAI's names. Unknown fields are ignored, as clients send many; `null` means
 * the default, as in OpenAI's API.
 */
import { z } from 'zod';
import type { CompleteOptions } from '../decode/complete.ts';
import { completionOptionsSchema, decodeOptionsSchema } from '../decode/options.ts';

const MOST_PROMPTS = 16;
const MOST_STOPS = 16;
const DEFAULT_MAX_TOKENS = 64;

const text = z.string({ error: 'expected a string' });
const list = (most: number) => z.array(text).min(1).max(most);

/** An optional parameter whose `null` means the default too. */
const withDefault = <T>(schema: z.ZodType<T>, value: T) =>
  schema.nullish().transform((given) => given ?? value);

/** The decoder's own options, as the command line and the API know them; what was not said stays unsaid. */
const ownOptions = decodeOptionsSchema.extend({
  contextTokens: completionOptionsSchema.shape.contextTokens,
  schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]).optional(),
  regex: z.string().optional(),
});
const tintype = z
  .record(z.string(), z.unknown())
  .superRefine((given, context) => {
    for (const issue of ownOptions.safeParse(given).error?.issues ?? [])
      context.addIssue({ code: 'custom', message: issue.message, path: issue.path });
  })
  .transform((given) => given as CompleteOptions)
  .nullish()
  .transform((given) => given ?? {});

const shared = {
  /** The only loaded model, or the first one, when a client sends none (llama.vim does not). */
  model: text.nullish(),
  prompt: z
    .union([text, list(MOST_PROMPTS)], { error: `expected a string or 1 to ${MOST_PROMPTS} strings` })
    .transform((given) => (typeof given === 'string' ? [given] : given)),
  max_tokens: withDefault(z.int().min(1), DEFAULT_MAX_TOKENS),
  /** Greedy by default: code wants the likeliest text. */
  temperature: withDefault(z.number().min(0).max(2), 0),
  top_p: withDefault(z.number().gt(0).max(1), 1),
  /** Drawn by the server when absent. */
  seed: z.int().nullish(),
  stop: z
    .union([text.min(1), z.array(text.min(1)).max(MOST_STOPS)], {
      error: `expected a string or up to ${MOST_STOPS} strings, none of them empty`,
    })
    .nullish()
    .transform((given) => (typeof given === 'string' ? [given] : (given ?? []))),
  logit_bias: z
    .record(z.string(), z.number().min(-100).max(100))
    .nullish()
    .transform((given) => given ?? {}),
  /** Policy, mode, cache, constraint …: one object, the names of the API. */
  tintype,
  n: z.literal(1, { error: 'expected 1: one completion a prompt' }).nullish(),
  stream: z.literal(false, { error: 'expected false: this server answers in one piece' }).nullish(),
};

const body = <T extends z.ZodRawShape>(shape: T) => z.object(shape, { error: 'expected a JSON object' });

/** `POST /v1/completions`: without a suffix the prompt is continued, with one the gap is filled. */
export const completionBody = body({ ...shared, suffix: text.nullish().transform((given) => given ?? null) });

/** `POST /v1/fim/completions`: always a gap; nothing may follow it. */
export const fimBody = body({ ...shared, suffix: withDefault(text, '') });

export type CompletionBody = z.infer<typeof completionBody>;
