/** The body of `POST /v1/trace`. */
import { z } from 'zod';
import { body, count, fixedMaxTokens, generation, manyStops, suffixText, text } from './schema-parts.ts';

const MOST_SHOWN = 20;
const MOST_CANVAS = 65_536;

export const traceBody = body({
  model: generation.model,
  prompt: text.nullish().describe('Text before the gap.'),
  suffix: suffixText.nullish().describe('Text after the gap; without it the prompt is continued.'),
  canvas: z
    .object({
      ids: z
        .array(z.int('expected a whole number').min(-1, 'expected at least -1'), {
          error: 'expected token ids',
        })
        .min(1, 'expected at least one token')
        .max(MOST_CANVAS, `expected at most ${MOST_CANVAS} tokens`),
      answer_start: count(0),
    })
    .refine(({ ids, answer_start }) => answer_start < ids.length, {
      error: 'expected a position of the canvas',
      path: ['answer_start'],
    })
    .nullish()
    .describe('In place of a prompt: token ids, -1 where masked, and where the answer starts.'),
  max_tokens: fixedMaxTokens,
  temperature: generation.temperature,
  top_p: generation.top_p,
  seed: generation.seed,
  stop: manyStops,
  candidates: count(0)
    .max(MOST_SHOWN, `expected at most ${MOST_SHOWN}`)
    .default(0)
    .describe(`So many likely tokens of every position that a forward looked at, at most ${MOST_SHOWN}.`),
  tintype: generation.tintype,
}).refine(({ canvas, prompt }) => (canvas ?? null) !== null || typeof prompt === 'string', {
  error: 'expected a prompt or a canvas',
  path: ['prompt'],
});
export type TraceBody = z.infer<typeof traceBody>;
