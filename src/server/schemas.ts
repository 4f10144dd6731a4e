/** Bodies in OpenAI's, Mercury's and Mistral's shapes. */
import { z } from 'zod';
import {
  body,
  count,
  fewStops,
  fixedMaxTokens,
  flag,
  generation,
  manyStops,
  maxTokens,
  MOST_CHOICES,
  name,
  suffixText,
  text,
  withDefault,
} from './schema-parts.ts';

const MOST_MESSAGES = 1000;
const MOST_TOOLS = 128;
const MOST_HOLES = 32;

const prompts = z
  .union([text, z.array(text).min(1).max(MOST_CHOICES)], {
    error: `expected a string or 1 to ${MOST_CHOICES} strings`,
  })
  .transform((given) => (typeof given === 'string' ? [given] : given));

/** A gap as Tabby's agent says it. Its other fields, snippets of other files, are not used. */
const segments = z.object({ prefix: text, suffix: text.nullish() });

/** Tabby's request for a gap in the words of OpenAI's. */
function withoutSegments(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || 'prompt' in given || !('segments' in given))
    return given;
  const gap = segments.safeParse(given.segments);
  return gap.success ? { ...given, prompt: gap.data.prefix, suffix: gap.data.suffix ?? '' } : given;
}

const plainCompletionBody = body({
  ...generation,
  prompt: prompts.describe('One text or several; fill-in-the-middle markers of other models are understood.'),
  suffix: suffixText
    .nullish()
    .transform((given) => given ?? null)
    .describe('Text after the gap.'),
  max_tokens: fixedMaxTokens,
  stop: manyStops,
  echo: flag.nullish().describe('The prompt stands before the text.'),
  logprobs: z
    .union([z.int().min(0).max(5), flag], { error: 'expected a number from 0 to 5' })
    .nullish()
    .describe('Log-probabilities of the tokens at the steps that committed them; no alternatives.'),
  segments: segments
    .nullish()
    .describe('Instead of prompt and suffix, as editors with Tabby’s agent send it.'),
});

/** `POST /v1/completions`: without a suffix the prompt is continued, with one the gap is filled. */
export const completionBody = z.preprocess(withoutSegments, plainCompletionBody);
export type CompletionBody = z.infer<typeof completionBody>;

/** `POST /v1/fim/completions`: always a gap; nothing may follow it. */
export const fimBody = body({
  ...generation,
  prompt: prompts.describe('Text before the gap.'),
  suffix: withDefault(suffixText as unknown as z.ZodType<string>, '').describe('Text after the gap.'),
  max_tokens: fixedMaxTokens,
  min_tokens: count(0).nullish().describe('Accepted and ignored.'),
  stop: manyStops,
  logprobs: plainCompletionBody.shape.logprobs,
});
export type FimBody = z.infer<typeof fimBody>;

/** Text, or parts of which those that are text count. */
const content = z.union(
  [text, z.array(z.object({ type: z.literal('text'), text }), { error: 'expected parts of type "text"' })],
  { error: 'expected a string, or parts of type "text"' },
);
const plain = content.transform((given) =>
  typeof given === 'string' ? given : given.map((part) => part.text).join(''),
);

const toolCall = z.object({
  id: text,
  type: z.literal('function').nullish(),
  function: z.object({ name, arguments: text }),
});

export const message = z
  .discriminatedUnion(
    'role',
    [
      z.object({ role: z.enum(['system', 'developer']), content: plain, name: text.nullish() }),
      z.object({ role: z.literal('user'), content: plain, name: text.nullish() }),
      z.object({
        role: z.literal('assistant'),
        content: plain.nullish(),
        name: text.nullish(),
        tool_calls: z.array(toolCall).nullish(),
      }),
      z.object({ role: z.literal('tool'), content: plain, tool_call_id: text.nullish() }),
    ],
    { error: 'expected {"role": "system" | "user" | "assistant" | "tool", "content": …}' },
  )
  .describe('A message.');
export type Message = z.infer<typeof message>;

export const tool = z.object({
  type: z.literal('function', { error: 'expected "function"' }),
  function: z.object({
    name: text.regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected 1 to 64 letters, digits, _, - or .'),
    description: text.nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: flag.nullish(),
  }),
});
export type Tool = z.infer<typeof tool>;

export const tools = z.array(tool).max(MOST_TOOLS, `expected at most ${MOST_TOOLS} tools`).nullish();
const messages = z
  .array(message, { error: 'expected a list of messages' })
  .min(1, 'expected at least one message')
  .max(MOST_MESSAGES, `expected at most ${MOST_MESSAGES} messages`);

/** `POST /v1/chat/completions`. */
export const chatBody = body({
  ...generation,
  messages: messages.describe('The conversation.'),
  max_tokens: maxTokens,
  max_completion_tokens: maxTokens,
  stop: fewStops,
  logprobs: flag.nullish().describe('Log-probabilities of the tokens at the steps that committed them.'),
  top_logprobs: z.int().min(0).max(20).nullish().describe('Accepted; no alternatives are told.'),
  reasoning_effort: text.nullish().describe('Accepted and ignored.'),
  tools: tools.describe('What the model may call.'),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        z.object({ type: z.literal('function'), function: z.object({ name }) }),
      ],
      { error: 'expected "none", "auto", "required" or {"type": "function", "function": {"name"}}' },
    )
    .nullish()
    .describe('"required" or a function: the answer is a call, its arguments valid by their schema.'),
  parallel_tool_calls: flag.nullish().describe('Accepted; a forced answer is one call.'),
});
export type ChatBody = z.infer<typeof chatBody>;

/** `POST /v1/edit/completions` and `/v1/apply/completions`: one user message that holds tags. */
export const editBody = body({
  ...generation,
  messages: messages.describe('One user message with the sections of Mercury’s edit or apply prompt.'),
  max_tokens: maxTokens,
  stop: manyStops,
});
export type EditBody = z.infer<typeof editBody>;

/** `POST /v1/infill`: a text with holes of unknown length. */
export const infillBody = body({
  model: generation.model,
  template: text.describe('A text with one or more <|hole|>.'),
  max_tokens: fixedMaxTokens.describe('Most tokens for each hole.'),
  temperature: generation.temperature,
  top_p: generation.top_p,
  seed: generation.seed,
  stop: manyStops,
  stream: generation.stream.describe('Server-sent events {"hole", "delta"}, then the whole.'),
  tintype: generation.tintype,
})
  .refine(({ template }) => template.includes('<|hole|>'), {
    error: 'expected at least one <|hole|>',
    path: ['template'],
  })
  .refine(({ template }) => template.split('<|hole|>').length - 1 <= MOST_HOLES, {
    error: `expected at most ${MOST_HOLES} holes`,
    path: ['template'],
  });
export type InfillBody = z.infer<typeof infillBody>;
