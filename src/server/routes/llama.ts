/** llama.cpp's routes, as llama.vim, llama.vscode and Tabby call them. */
import type { CompletionReply, RequestSource, ServedModel } from '../../decode/engine-types.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { markedGap } from '../fim-markers.ts';
import { completeJob, findModel, note, runJob } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { llamaCompletionBody, llamaInfillBody } from '../schemas-local.ts';
import type { LlamaBody } from '../schemas-local.ts';
import { optionsOf } from '../settings.ts';
import { sse, SSE, streamed } from '../streaming.ts';

type Body = Omit<LlamaBody, 'prompt'>;

export const llamaRoutes: Route[] = [
  route({
    method: 'post',
    path: '/infill',
    tag: 'llama.cpp',
    summary: 'Fill a gap',
    body: llamaInfillBody,
    streams: 'text/event-stream',
    answer: (c, body, deps) => {
      const extra = (body.input_extra ?? []).map(
        ({ text, filename }) => (filename ? `// ${filename}\n` : '') + text,
      );
      const prompt = [...extra, body.input_prefix + body.prompt].join('\n');
      return complete(c, body, { prompt, suffix: body.input_suffix }, deps);
    },
  }),
  route({
    method: 'post',
    path: '/completion',
    tag: 'llama.cpp',
    summary: 'Continue a text',
    body: llamaCompletionBody,
    streams: 'text/event-stream',
    answer: (c, body, deps) => {
      const gap = markedGap(body.prompt);
      const source = gap ? { prompt: gap.prefix, suffix: gap.suffix } : { prompt: body.prompt, suffix: null };
      return complete(c, body, source, deps);
    },
  }),
  route({
    method: 'get',
    path: '/props',
    tag: 'llama.cpp',
    summary: 'What the server can do, as llama.cpp says it',
    answer: (c, _, deps) => {
      const model = findModel(deps, null);
      return c.json({
        default_generation_settings: {
          n_ctx: model.contextLength,
          params: { n_predict: -1, temperature: 0 },
        },
        total_slots: SLOTS,
        model_path: model.id,
        model_alias: model.id,
        chat_template: '',
        modalities: { vision: false, audio: false },
        build_info: 'tintype',
        is_sleeping: false,
      });
    },
  }),
  route({
    method: 'get',
    path: '/slots',
    tag: 'llama.cpp',
    summary: 'Places for requests, as llama.cpp says it',
    answer: (c, _, deps) => {
      const { contextLength } = findModel(deps, null);
      const { running } = deps.engine.statistics();
      return c.json(
        Array.from({ length: SLOTS }, (_, id) => ({ id, n_ctx: contextLength, is_processing: id < running })),
      );
    },
  }),
];

/** Requests of one model that decode together. */
const SLOTS = 8;

async function complete(c: Ctx, body: Body, source: RequestSource, deps: Deps): Promise<Response> {
  const model = findModel(deps, body.model);
  const wanted = body.n_predict ?? body.max_tokens ?? USUAL_TOKENS;
  const seed = body.seed ?? -1;
  const job: Job = {
    model,
    sources: [source],
    n: 1,
    seed: seed < 0 ? null : seed,
    settings: {
      // 0 only warms the cache, for which the shortest answer is enough.
      maxTokens: wanted === -1 ? Math.min(UNLIMITED, model.contextLength) : Math.max(1, wanted),
      shrink: true,
      overflow: 'keepNearest',
      temperature: Math.min(body.temperature ?? 0, 2),
      topP: body.top_p || 1,
      stop: body.stop,
      predictMs: (body.t_max_predict_ms ?? 0) > 0 ? body.t_max_predict_ms! : undefined,
      options: optionsOf(body.tintype, { topK: body.top_k, schema: body.json_schema ?? undefined }),
    },
  };
  const final = (reply: CompletionReply, content: string): object =>
    picked(finalOf(model, reply, wanted === 0 ? '' : content, wanted), body.response_fields);

  if (!body.stream) {
    const { replies } = await completeJob(c, job, deps);
    return c.json(final(replies[0], replies[0].text));
  }
  async function* pieces(): AsyncGenerator<string, void, void> {
    for await (const { event } of runJob(c, job, deps)) {
      if (event.type === 'delta' && wanted !== 0)
        yield sse({ index: 0, content: event.text, tokens: [], stop: false });
      if (event.type === 'reply') {
        note(c, job, [event.reply]);
        yield sse(final(event.reply, ''));
      }
    }
  }
  return streamed(c, pieces(), SSE, deps);
}

/** Where the client names no limit. */
const USUAL_TOKENS = 256;

/** Of an answer without a limit, so that one request cannot hold a place for minutes. */
const UNLIMITED = 1024;

const rate = (tokens: number, ms: number): number => (ms > 0 ? (tokens / ms) * 1000 : 0);

function finalOf(model: ServedModel, reply: CompletionReply, content: string, wanted: number) {
  const { promptTokens, cachedTokens, completionTokens, elapsedMs, prefillMs, finishReason } = reply;
  const promptN = promptTokens - cachedTokens;
  const predictedMs = elapsedMs - prefillMs;
  const predictedN = wanted === 0 ? 0 : completionTokens;
  return {
    index: 0,
    content,
    tokens: [],
    id_slot: 0,
    stop: true,
    model: model.id,
    tokens_predicted: predictedN,
    tokens_evaluated: promptTokens,
    generation_settings: { n_ctx: model.contextLength, n_predict: wanted },
    truncated: false,
    stop_type: finishReason === 'length' ? 'limit' : 'eos',
    stopping_word: '',
    tokens_cached: promptTokens + completionTokens,
    has_new_line: content.includes('\n'),
    timings: {
      cache_n: cachedTokens,
      prompt_n: promptN,
      prompt_ms: prefillMs,
      prompt_per_token_ms: promptN > 0 ? prefillMs / promptN : 0,
      prompt_per_second: rate(promptN, prefillMs),
      predicted_n: predictedN,
      predicted_ms: predictedMs,
      predicted_per_token_ms: predictedN > 0 ? predictedMs / predictedN : 0,
      predicted_per_second: rate(predictedN, predictedMs),
      /** Forwards: what an autoregressive server has one of for each token. */
      denoising_steps: reply.nfe,
    },
  };
}

/** Only some fields; a nested one keeps its path as its name. */
function picked(whole: object, fields: readonly string[] | null | undefined): object {
  if (!fields || fields.length === 0) return whole;
  const found: [string, unknown][] = [];
  for (const field of fields) {
    let value: unknown = whole;
    for (const step of field.split('/')) {
      value =
        typeof value === 'object' && value !== null && Object.hasOwn(value, step)
          ? Reflect.get(value, step)
          : undefined;
    }
    if (value !== undefined) found.push([field, value]);
  }
  return Object.fromEntries(found);
}
