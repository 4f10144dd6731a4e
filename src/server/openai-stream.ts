/** A job as a stream of OpenAI's chunks, for every route that speaks them. */
import type { Ctx, Deps } from './deps.ts';
import { note, runJob } from './jobs.ts';
import type { Job } from './jobs.ts';
import { chunksOf } from './openai-shapes.ts';
import type { ChunkOptions, ChunkShape } from './openai-shapes.ts';
import { DONE, sse, SSE, streamed } from './streaming.ts';

/** What a body says of its stream. */
interface StreamBody {
  diffusing?: ChunkOptions['diffusing'];
  stream_options?: { include_usage?: boolean | null | undefined } | null | undefined;
}

export function streamJob(
  c: Ctx,
  job: Job,
  deps: Deps,
  { shape, body, logprobs }: { shape: ChunkShape; body: StreamBody; logprobs: boolean },
): Promise<Response> {
  const chunks = chunksOf(runJob(c, job, deps), shape, {
    diffusing: body.diffusing,
    includeUsage: body.stream_options?.include_usage === true,
    logprobs,
    note: (replies) => note(c, job, replies),
  });
  return streamed(c, events(chunks), SSE, deps);
}

async function* events(chunks: AsyncIterable<object>): AsyncGenerator<string, void, void> {
  for await (const chunk of chunks) yield sse(chunk);
  yield DONE;
}
