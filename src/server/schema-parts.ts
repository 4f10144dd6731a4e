/**
 * Pieces of request bodies. One schema makes the check, the type, the line in /openapi.json and the line in docs/api.md.
 * Unknown fields are ignored, as clients send many; `null` means the default, as in OpenAI's API.
 */
import { z } from 'zod';
import type { CompleteOptions } from '../decode/complete.ts';
import { completionOptionsSchema, decodeOptionsSchema } from '../decode/options.ts';

/** Choices of one request: prompts times `n`. */
export const MOST_CHOICES = 16;
const MOST_STOPS = 16;
const MOST_BIASES = 1024;
const MOST_OPTIONS = 100;
export const DEFAULT_MAX_TOKENS = 64;

export const text = z.string({ error: 'expected a string' });
export const flag = z.boolean({ error: 'expected true or false' });
export const name = text.min(1);

/** An optional parameter whose `null` means the default too. */
export const withDefault = <T>(schema: z.ZodType<T>, value: T) =>
  schema.nullish().transform((given) => given ?? value);

export const count = (low: number) => z.int(`expected a whole number`).min(low, `expected at least ${low}`);

const range = (low: number, high: number) =>
  z
    .number({ error: `expected a number from ${low} to ${high}` })
    .min(low, `expected at least ${low}`)
    .max(high, `expected at most ${high}`);

/** One string, or several. */
const stops = (most: number) =>
  z
    .union([text.min(1), z.array(text.min(1)).max(most)], {
      error: `expected a string or up to ${most} strings, none of them empty`,
    })
    .nullish()
    .transform((given) => (typeof given === 'string' ? [given] : (given ?? [])));

/** A number that some clients send as -1 for "none". */
const limit = z
  .int('expected a whole number')
  .refine((given) => given === -1 || given >= 1, 'expected at least 1, or -1 for no limit');

/** Refuses an object with more keys before each is looked at, which takes seconds for half a million. */
const fewKeys =
  (most: number, what: string) =>
  (given: unknown, context: z.RefinementCtx): unknown => {
    if (typeof given !== 'object' || given === null || Object.keys(given).length <= most) return given;
    context.addIssue(`expected at most ${most} ${what}`);
    return z.NEVER;
  };

/** The decoder's own options, as the command line and the API know them; what was not said stays unsaid. */
const ownOptions = decodeOptionsSchema.extend({
  contextTokens: completionOptionsSchema.shape.contextTokens,
  schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]).optional(),
  regex: z.string().optional(),
});

/** What the command line calls so, but belongs to the loading of a model. */
const LOADING: Readonly<Record<string, string>> = {
  precision: 'not of a request: weights are loaded once, for all of them; start tintype serve --precision',
  draft: 'not of a request: the twin is loaded with the model; start tintype serve --draft',
};

const checkedOptions = z
  .record(z.string(), z.unknown())
  .superRefine((given, context) => {
    const loading = Object.keys(LOADING).find((key) => key in given);
    if (loading !== undefined) {
      context.addIssue({ code: 'custom', message: LOADING[loading], path: [loading] });
      return;
    }
    for (const issue of ownOptions.safeParse(given).error?.issues ?? [])
      context.addIssue({ code: 'custom', message: issue.message, path: issue.path });
  })
  .transform((given) => given as CompleteOptions)
  .nullish();

export const tintype = z
  .preprocess(fewKeys(MOST_OPTIONS, 'options'), checkedOptions)
  .transform((given) => given ?? {})
  .describe('Options of the decoder: mode, policy, threshold, cache, blockLength, schema, regex and others.');

export const jsonSchema = z.union([z.record(z.string(), z.unknown()), flag], {
  error: 'expected a JSON Schema',
});

export const responseFormat = z
  .discriminatedUnion(
    'type',
    [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({
          name: text.nullish(),
          description: text.nullish(),
          schema: jsonSchema,
          strict: flag.nullish(),
        }),
      }),
    ],
    { error: 'expected {"type": "text" | "json_object" | "json_schema", …}' },
  )
  .nullish()
  .describe('The text is JSON, valid by the schema: decoding allows nothing else.');

const shape = <T extends z.ZodRawShape>(parts: T): T => parts;

/** What every OpenAI-shaped route takes. */
export const generation = shape({
  model: text.nullish().describe('Id as GET /v1/models lists it; the first one when absent.'),
  temperature: withDefault(range(0, 2), 0).describe('0, the default, is greedy.'),
  top_p: withDefault(range(0, 1).gt(0, 'expected more than 0'), 1),
  top_k: count(-1).nullish().describe('0 or -1: all tokens.'),
  presence_penalty: range(-2, 2).nullish().describe('Accepted and ignored.'),
  frequency_penalty: range(-2, 2).nullish().describe('Accepted and ignored.'),
  repetition_penalty: z
    .number({ error: 'expected a number' })
    .gt(0, 'expected more than 0')
    .nullish()
    .describe('Accepted and ignored.'),
  seed: z
    .int('expected a whole number')
    .nullish()
    .describe('Same seed, same request, same text. Drawn when absent.'),
  random_seed: z.int('expected a whole number').nullish().describe('The same, as Mistral calls it.'),
  logit_bias: z
    .preprocess(
      fewKeys(MOST_BIASES, 'tokens'),
      z.record(z.string().regex(/^[0-9]{1,9}$/, 'expected ids of tokens'), range(-100, 100)).nullish(),
    )
    .transform((given) => given ?? {})
    .describe('Added to the logits of tokens, by id.'),
  n: withDefault(count(1).max(MOST_CHOICES, `expected at most ${MOST_CHOICES}`), 1).describe(
    'Answers a prompt.',
  ),
  stream: withDefault(flag, false).describe('Server-sent events: settled text only, never taken back.'),
  stream_options: z
    .object({ include_usage: flag.nullish() })
    .nullish()
    .describe('include_usage: the last chunk has the usage.'),
  diffusing: z
    .union([flag, z.literal('frames')], { error: 'expected true, false or "frames"' })
    .nullish()
    .describe('true: each chunk is the whole canvas. "frames": canvases beside the settled text.'),
  response_format: responseFormat,
  tintype,
});

/** Stop words on completion routes, where editors send many. */
export const manyStops = stops(MOST_STOPS).describe('The text ends before the first of these.');
export const fewStops = stops(4).describe('The text ends before the first of these.');
export const maxTokens = limit.nullish().describe('Most tokens to write; -1 is what the context leaves.');
export const fixedMaxTokens = withDefault(count(1), DEFAULT_MAX_TOKENS).describe('Most tokens to write.');

export const body = <T extends z.ZodRawShape>(parts: T) =>
  z.object(parts, { error: 'expected a JSON object' });

/** Continue sends a blank suffix so. */
export const suffixText = text.transform((given) => (given === '<|endoftext|>' ? '' : given));
