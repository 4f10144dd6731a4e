/** Bodies in the shapes of llama.cpp's server, of Ollama and of Tabby. */
import { z } from 'zod';
import { body, flag, jsonSchema, manyStops, text, tintype, withDefault } from './schema-parts.ts';
import { tools } from './schemas.ts';

const number = z.number({ error: 'expected a number' });
const whole = z.int('expected a whole number');
const share = number.min(0, 'expected at least 0').max(1, 'expected at most 1');
/** 0 warms the cache, -1 is what the context leaves; other negative numbers are errors. */
const predict = whole.min(-1, 'expected at least 0, or -1 for no limit').nullish();

const llama = {
  model: text.nullish().describe('llama.vim sends none.'),
  n_predict: predict.describe(
    'Most tokens to write, 256 when absent; 0 only warms the cache, -1 is what the context leaves.',
  ),
  max_tokens: predict.describe('The same.'),
  temperature: number.min(0, 'expected at least 0').nullish().describe('0, the default, is greedy.'),
  top_k: whole.nullish(),
  top_p: share.nullish(),
  seed: whole.nullish().describe('Negative: drawn.'),
  stop: manyStops,
  stream: withDefault(flag, false),
  n_probs: whole.nullish().describe('Accepted and ignored.'),
  cache_prompt: flag.nullish().describe('Accepted: prompts are always cached.'),
  samplers: z
    .union([text, z.array(text)])
    .nullish()
    .describe('Accepted and ignored.'),
  response_fields: z
    .array(text)
    .nullish()
    .describe('Only these fields, nested ones as "timings/prompt_n"; unknown ones are left out.'),
  t_max_prompt_ms: number.nullish().describe('Accepted and ignored, as by llama.cpp.'),
  t_max_predict_ms: number
    .nullish()
    .describe('So long after its first token the text ends where it is, if it has a whole line.'),
  json_schema: jsonSchema.nullish().describe('The text is JSON, valid by this schema.'),
  tintype,
};

/** `POST /infill`. A prompt that is too long is cut at its far ends, never refused. */
export const llamaInfillBody = body({
  ...llama,
  input_prefix: withDefault(text, '').describe('Text before the gap.'),
  input_suffix: withDefault(text, '').describe('Text after the gap.'),
  prompt: withDefault(text, '').describe('More text before the gap: the line left of the cursor.'),
  input_extra: z
    .array(z.object({ text: withDefault(text, ''), filename: text.nullish() }))
    .max(1000)
    .nullish()
    .describe('Other pieces of the project.'),
  n_indent: whole.nullish().describe('Accepted and ignored.'),
});

/** `POST /completion`. */
export const llamaCompletionBody = body({
  ...llama,
  prompt: z
    .union([text, z.array(text).length(1)], { error: 'expected a string' })
    .transform((given) => (typeof given === 'string' ? given : given[0]))
    .describe('Fill-in-the-middle markers of other models are understood.'),
});
export type LlamaBody = z.infer<typeof llamaCompletionBody>;

const ollamaOptions = z
  .object({
    num_predict: whole.min(-2, 'expected at least -2').nullish().describe('-1, -2: what the context leaves.'),
    temperature: number.min(0, 'expected at least 0').nullish(),
    top_k: whole.nullish(),
    top_p: share.nullish(),
    seed: whole.nullish(),
    stop: manyStops,
  })
  .nullish();

const ollama = {
  model: text.describe('Name, with or without ":latest".'),
  stream: withDefault(flag, true).describe('Lines of JSON; the default is true.'),
  options: ollamaOptions,
  format: z
    .union([z.literal('json'), z.literal(''), z.record(z.string(), z.unknown())], {
      error: 'expected "json" or a JSON Schema',
    })
    .nullish()
    .describe('The text is JSON.'),
  keep_alive: z.union([text, number]).nullish().describe('Accepted and ignored.'),
  tintype,
};

/** `POST /api/generate`. */
export const ollamaGenerateBody = body({
  ...ollama,
  prompt: withDefault(text, ''),
  suffix: text.nullish(),
  system: text.nullish(),
  raw: flag.nullish().describe('No chat template.'),
});

/** `POST /api/chat`. */
export const ollamaChatBody = body({
  ...ollama,
  messages: z
    .array(
      z.object({
        role: z.enum(['system', 'user', 'assistant', 'tool']),
        content: withDefault(text, ''),
        tool_calls: z
          .array(z.object({ function: z.object({ name: text, arguments: z.unknown() }) }))
          .nullish(),
      }),
    )
    .max(1000)
    .nullish(),
  tools,
});

export const ollamaShowBody = body({ model: text.nullish(), name: text.nullish() });
export type OllamaBody = z.infer<typeof ollamaGenerateBody> | z.infer<typeof ollamaChatBody>;

/** `POST /v1/events` of Tabby. */
export const tabbyEventBody = body({
  type: text.describe('view, select or dismiss.'),
  completion_id: text,
  choice_index: whole.nullish(),
});
