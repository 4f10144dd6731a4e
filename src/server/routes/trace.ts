/** `POST /v1/trace`: one completion and everything that happened while it was made, for views that replay it. */
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { findModel, note, runJob } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { usageOf } from '../openai-shapes.ts';
import { traceBody } from '../schemas-trace.ts';
import type { TraceBody } from '../schemas-trace.ts';
import { line, NDJSON, streamed } from '../streaming.ts';

export const traceRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/trace',
    tag: 'tintype',
    summary: 'Fill one gap, or the masks of a canvas, and tell every step',
    body: traceBody,
    streams: 'application/x-ndjson',
    answer: (c, body, deps) => streamed(c, lines(c, body, deps), NDJSON, deps),
  }),
];

/** The lines of `decode/trace.ts` between the name of the model and the counts. */
async function* lines(c: Ctx, body: TraceBody, deps: Deps): AsyncGenerator<string, void, void> {
  const model = findModel(deps, body.model);
  const job: Job = {
    model,
    sources: [
      body.canvas
        ? { canvas: { ids: body.canvas.ids, answerStart: body.canvas.answer_start } }
        : { prompt: body.prompt ?? '', suffix: body.suffix ?? null },
    ],
    n: 1,
    seed: body.seed ?? null,
    settings: {
      maxTokens: body.max_tokens,
      shrink: true,
      overflow: 'keepNearest',
      temperature: body.temperature,
      topP: body.top_p,
      stop: body.stop,
      options: body.tintype,
      trace: { candidates: body.candidates },
    },
  };
  yield line({ type: 'start', id: `trace-${c.var.requestId}`, model: model.id });
  for await (const { event } of runJob(c, job, deps)) {
    if (event.type === 'trace') yield line(event.line);
    if (event.type === 'reply') {
      const { text: _, ...reply } = event.reply;
      yield line({ type: 'reply', ...reply, usage: usageOf(note(c, job, [event.reply])) });
    }
  }
}
