/** `POST /v1/infill`: a template with many holes of unknown length, filled one after the other. */
import { HOLE } from '../../decode/complete.ts';
import type { CompletionReply } from '../../decode/engine-types.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { checkTotal, findModel, note, runJob } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { usageOf } from '../openai-shapes.ts';
import { infillBody } from '../schemas.ts';
import type { InfillBody } from '../schemas.ts';
import { DONE, sse, SSE, streamed } from '../streaming.ts';

export const infillRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/infill',
    tag: 'tintype',
    summary: 'Fill every <|hole|> of a template',
    body: infillBody,
    streams: 'text/event-stream',
    answer: infill,
  }),
];

type Told = { hole: number; delta: string } | { whole: object };

/** Each hole sees the text around it, earlier holes filled, later ones empty. */
async function* fill(c: Ctx, body: InfillBody, deps: Deps): AsyncGenerator<Told, void, void> {
  const model = findModel(deps, body.model);
  const [first, ...rest] = body.template.split(HOLE);
  checkTotal(model, rest.length, body.max_tokens);
  let prefix = first;
  const replies: CompletionReply[] = [];
  const job: Job = {
    model,
    sources: [],
    n: 1,
    seed: body.seed ?? null,
    settings: {
      maxTokens: body.max_tokens,
      overflow: 'keepNearest',
      temperature: body.temperature,
      topP: body.top_p,
      stop: body.stop,
      options: body.tintype,
    },
  };
  for (const [hole, next] of rest.entries()) {
    const sources = [{ prompt: prefix, suffix: rest.slice(hole).join('') }];
    for await (const { event } of runJob(c, { ...job, sources }, deps, { goesOn: hole > 0 })) {
      if (event.type === 'delta') yield { hole, delta: event.text };
      if (event.type === 'reply') replies.push(event.reply);
    }
    prefix += replies[hole].text + next;
  }
  yield {
    whole: {
      id: `infill-${c.var.requestId}`,
      object: 'infill',
      created: deps.nowSeconds(),
      model: model.id,
      text: prefix,
      holes: replies.map(({ text, finishReason }, index) => ({ index, text, finish_reason: finishReason })),
      usage: usageOf(note(c, job, replies)),
    },
  };
}

async function infill(c: Ctx, body: InfillBody, deps: Deps): Promise<Response> {
  const told = fill(c, body, deps);
  if (body.stream) {
    return streamed(c, pieces(told), SSE, deps);
  }
  for await (const each of told) if ('whole' in each) return c.json(each.whole);
  throw new Error('internal: a template ends with its whole text');
}

async function* pieces(told: AsyncIterable<Told>): AsyncGenerator<string, void, void> {
  for await (const each of told) yield sse('whole' in each ? each.whole : each);
  yield DONE;
}
