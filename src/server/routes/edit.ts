/** `POST /v1/edit/completions` and `/v1/apply/completions`: Mercury's edits, by a model that fills gaps. */
import { route } from '../deps.ts';
import type { Ctx, Deps, Route, Totals } from '../deps.ts';
import { totalsOf } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { completeJob, findModel } from '../jobs.ts';
import { fenced, mergeUpdate, readApplyPrompt, readEditPrompt } from '../mercury-prompts.ts';
import { usageOf } from '../openai-shapes.ts';
import { editBody } from '../schemas.ts';
import type { EditBody } from '../schemas.ts';
import { DONE, sse, SSE, streamed } from '../streaming.ts';
import { settingsOf } from '../settings.ts';
import { answerLength } from './chat.ts';

const EDIT_TOKENS = 128;

export const editRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/edit/completions',
    aliases: ['/edit/completions'],
    tag: 'Mercury and Mistral',
    summary: 'The next edit of a region, where the cursor stands',
    body: editBody,
    streams: 'text/event-stream',
    answer: edit,
  }),
  route({
    method: 'post',
    path: '/v1/apply/completions',
    aliases: ['/apply/completions'],
    tag: 'Mercury and Mistral',
    summary: 'An update with "... existing code ..." put into a file, without a model',
    body: editBody,
    streams: 'text/event-stream',
    answer: apply,
  }),
];

/** The reply is the whole region in a fence; `None` when nothing changes. */
async function edit(c: Ctx, body: EditBody, deps: Deps): Promise<Response> {
  const model = findModel(deps, body.model);
  const { before, left, right, after } = readEditPrompt(userMessage(body));
  const job = {
    model,
    sources: [{ prompt: before + left, suffix: right + after }],
    n: 1,
    seed: body.seed ?? body.random_seed ?? null,
    settings: {
      ...settingsOf({ ...body, diffusing: null }),
      ...answerLength(body.max_tokens, model, EDIT_TOKENS),
      overflow: 'keepNearest' as const,
      stop: body.stop,
    },
  };
  const { replies, totals } = await completeJob(c, job, deps);
  const [{ text, finishReason }] = replies;
  const content = text.trim() === '' ? 'None' : fenced(left + text + right);
  return say(c, body, deps, { object: 'edit.completion', content, finishReason, totals, model: model.id });
}

async function apply(c: Ctx, body: EditBody, deps: Deps): Promise<Response> {
  const model = findModel(deps, body.model);
  const merged = mergeUpdate(readApplyPrompt(userMessage(body)));
  if (merged === null) {
    throw new HttpError(
      400,
      'messages: a part of <|update_snippet|> has no line that stands in <|original_code|>, so its place is not known; ' +
        'repeat an unchanged line before and after each part',
      { param: 'messages', code: 'cannot_apply' },
    );
  }
  const content = fenced(merged);
  return say(c, body, deps, {
    object: 'apply.completion',
    content,
    finishReason: 'stop',
    totals: totalsOf([]),
    model: model.id,
  });
}

interface Answer {
  object: string;
  content: string;
  finishReason: string;
  totals: Totals;
  model: string;
}

/** Edits replace a region as a whole, so a stream is one piece. */
function say(
  c: Ctx,
  body: EditBody,
  deps: Deps,
  { object, content, finishReason, totals, model }: Answer,
): Response | Promise<Response> {
  const base = { id: `cmpl-${c.var.requestId}`, created: deps.nowSeconds(), model };
  if (!body.stream) {
    const choice = { index: 0, message: { role: 'assistant', content }, finish_reason: finishReason };
    return c.json({ ...base, object, choices: [choice], usage: usageOf(totals) });
  }
  const chunk = { ...base, object: `${object}.chunk` };
  async function* pieces(): AsyncGenerator<string, void, void> {
    yield sse({
      ...chunk,
      choices: [{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }],
    });
    yield sse({ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: finishReason }] });
    if (body.stream_options?.include_usage) yield sse({ ...chunk, choices: [], usage: usageOf(totals) });
    yield DONE;
  }
  return streamed(c, pieces(), SSE, deps);
}

function userMessage({ messages }: EditBody): string {
  const [message, ...more] = messages.filter(({ role }) => role !== 'system' && role !== 'developer');
  if (message?.role === 'user' && more.length === 0) return message.content;
  throw new HttpError(400, 'messages: expected one user message', {
    param: 'messages',
    code: 'invalid_value',
  });
}
