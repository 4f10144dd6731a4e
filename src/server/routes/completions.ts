/** `POST /v1/completions` and `/v1/fim/completions`: text around a gap, in OpenAI's, Mercury's and Mistral's shapes. */
import type { RequestSource } from '../../decode/engine-types.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { markedGap, unwrapped } from '../fim-markers.ts';
import { completeJob, findModel } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { textLogprobs, usageOf } from '../openai-shapes.ts';
import type { ChunkShape } from '../openai-shapes.ts';
import { streamJob } from '../openai-stream.ts';
import { settingsOf } from '../settings.ts';
import { HttpError } from '../errors.ts';
import { MOST_CHOICES } from '../schema-parts.ts';
import { completionBody, fimBody } from '../schemas.ts';
import type { CompletionBody, FimBody } from '../schemas.ts';
import { plainReader } from '../tool-calls.ts';

type Body = FimBody & { echo?: CompletionBody['echo'] };

/** `text` for those who read OpenAI's shape, and what Mercury's and Mistral's clients read. */
type Style = 'text' | 'both';

export const completionRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/completions',
    aliases: ['/completions'],
    tag: 'OpenAI',
    summary: 'Continue a text, or fill a gap in it',
    body: completionBody,
    streams: 'text/event-stream',
    answer: (c, body, deps) => complete(c, deps, { ...body, suffix: '' }, sourcesOf(body), 'text'),
  }),
  route({
    method: 'post',
    path: '/v1/fim/completions',
    aliases: ['/fim/completions'],
    tag: 'Mercury and Mistral',
    summary: 'Fill a gap between a prompt and a suffix',
    body: fimBody,
    streams: 'text/event-stream',
    answer: (c, body, deps) => {
      const sources = body.prompt.map((prompt) => ({ prompt, suffix: body.suffix }));
      return complete(c, deps, body, { sources, stop: body.stop }, 'both');
    },
  }),
];

interface Asked {
  sources: RequestSource[];
  stop: string[];
}

/** Without a suffix, marks inside the prompt may say where the gap is. */
function sourcesOf({ prompt, suffix, stop }: CompletionBody): Asked {
  if (suffix !== null) return { sources: prompt.map((prompt) => ({ prompt, suffix })), stop };
  const plain = prompt.map((each) => unwrapped(each, stop));
  return {
    sources: plain.map(({ prompt }): RequestSource => {
      const gap = markedGap(prompt);
      return gap ? { prompt: gap.prefix, suffix: gap.suffix } : { prompt, suffix: null };
    }),
    stop: plain.every(({ stop: own }) => own.length < stop.length) ? plain[0].stop : stop,
  };
}

async function complete(
  c: Ctx,
  deps: Deps,
  body: Body,
  { sources, stop }: Asked,
  style: Style,
): Promise<Response> {
  if (sources.length * body.n > MOST_CHOICES) {
    throw new HttpError(400, `n: expected at most ${MOST_CHOICES} answers to all prompts together`, {
      param: 'n',
      code: 'invalid_value',
    });
  }
  const model = findModel(deps, body.model);
  const logprobs = body.logprobs !== null && body.logprobs !== undefined && body.logprobs !== false;
  const job: Job = {
    model,
    sources,
    n: body.n,
    seed: body.seed ?? body.random_seed ?? null,
    settings: { ...settingsOf(body), maxTokens: body.max_tokens, stop, logprobs },
  };
  const base = {
    id: `cmpl-${c.var.requestId}`,
    object: 'text_completion',
    created: deps.nowSeconds(),
    model: model.id,
  };
  const echoed = (choice: number): string => (body.echo ? body.prompt[Math.floor(choice / body.n)] : '');

  if (body.stream) {
    const opened = new Set<number>();
    const words = (text: string): object =>
      style === 'text' ? { text } : { text, delta: { role: 'assistant', content: text } };
    const shape: ChunkShape = {
      base,
      open: null,
      piece: (piece, choice, tokens) => {
        const before = opened.has(choice) ? '' : echoed(choice);
        opened.add(choice);
        return {
          ...words(before + (piece.type === 'call' ? '' : piece.text)),
          finish_reason: null,
          logprobs: tokens ? textLogprobs(tokens) : null,
        };
      },
      canvas: (text) => ({ ...words(text), finish_reason: null, logprobs: null }),
      finish: (finish_reason) => ({ ...words(''), finish_reason, logprobs: null }),
      reader: plainReader,
    };
    return streamJob(c, job, deps, { shape, body, logprobs });
  }

  const { replies, tokens, totals } = await completeJob(c, job, deps);
  return c.json({
    ...base,
    choices: replies.map((reply, index) => {
      const text = echoed(index) + reply.text;
      return {
        index,
        text,
        ...(style === 'both' ? { message: { role: 'assistant', content: text } } : {}),
        finish_reason: reply.finishReason,
        logprobs: logprobs ? textLogprobs(tokens[index], echoed(index).length) : null,
      };
    }),
    usage: usageOf(totals),
  });
}
