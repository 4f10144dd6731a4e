/**
 * The HTTP surface, as a Hono app over an injected engine: no sockets, no files, so tests call it directly.
 * OpenAI's shapes; API errors in OpenAI's shape too.
 */
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { CompletionEngine, CompletionReply } from '../decode/engine-types.ts';
import { fromZod, HttpError, toHttpError } from './errors.ts';
import { completionBody, fimBody, type CompletionBody } from './schemas.ts';

/** Far above any context window, far below what would hurt. */
const MOST_BODY_BYTES = 4 * 1024 * 1024;

export interface AppOptions {
  engine: CompletionEngine;
  logger: Logger;
  /** Aborted when the server has waited long enough for running requests. */
  shutdown?: AbortSignal;
  /** Unix time, seconds; `created` of models and replies. */
  nowSeconds?: () => number;
}

/** What one request adds to its log line: counts, never text. */
type Env = { Variables: { requestId: string; log: Record<string, string | number> } };

export function createApp(options: AppOptions): Hono<Env> {
  const { engine, logger, shutdown, nowSeconds = () => Math.floor(Date.now() / 1000) } = options;
  const startedAt = nowSeconds();
  const app = new Hono<Env>();

  app.use(async (c, next) => {
    const startedMs = performance.now();
    c.set('requestId', crypto.randomUUID());
    c.set('log', {});
    await next();
    const elapsedMs = performance.now() - startedMs;
    c.header('x-request-id', c.var.requestId);
    c.header('server-timing', `total;dur=${elapsedMs.toFixed(1)}`, { append: true });
    const { method, path } = c.req;
    logger.info(
      {
        requestId: c.var.requestId,
        method,
        path,
        status: c.res.status,
        elapsedMs: Math.round(elapsedMs),
        ...c.var.log,
      },
      'request',
    );
  });

  app.use(
    bodyLimit({
      maxSize: MOST_BODY_BYTES,
      onError: () => {
        throw new HttpError(413, `the body is larger than ${MOST_BODY_BYTES} bytes`, {
          code: 'body_too_large',
        });
      },
    }),
  );

  app.get('/health', (c) => c.json({ status: 'ok', models: engine.models().map((model) => model.id) }));

  app.get('/v1/models', (c) =>
    c.json({
      object: 'list',
      data: engine.models().map(({ id, layout, contextLength }) => ({
        id,
        object: 'model',
        created: startedAt,
        owned_by: 'tintype',
        layout,
        context_length: contextLength,
      })),
    }),
  );

  app.post('/v1/completions', async (c) => {
    const body = await readBody(c, completionBody);
    return c.json(await answer(c, body, (text) => ({ text })));
  });

  // Mercury's clients read `text`, Mistral's `message.content`.
  app.post('/v1/fim/completions', async (c) => {
    const body = await readBody(c, fimBody);
    return c.json(await answer(c, body, (text) => ({ text, message: { role: 'assistant', content: text } })));
  });

  app.notFound(() => {
    throw new HttpError(404, 'no such route; GET /v1/models lists the models', { code: 'not_found' });
  });

  app.onError((error, c) => {
    const answered = toHttpError(error, c.req.raw.signal.aborted);
    if (answered.status === 500) logger.error({ requestId: c.var.requestId, err: error }, 'failed');
    // A Response, since 499 is no status that Hono's types know.
    return Response.json(answered.body, { status: answered.status });
  });

  return app;

  /** One choice for each prompt, in the order of the prompts. */
  async function answer(
    c: Context<Env>,
    body: CompletionBody,
    words: (text: string) => object,
  ): Promise<object> {
    const model = findModel(engine, body.model ?? null);
    const signal = AbortSignal.any([c.req.raw.signal, ...(shutdown ? [shutdown] : [])]);
    const replies: CompletionReply[] = [];
    for (const prompt of body.prompt) {
      replies.push(
        // One after the other: the engine decides what runs together, and later prompts may reuse the first's cache.
        await engine.complete({
          model,
          prompt,
          suffix: body.suffix,
          maxTokens: body.max_tokens,
          temperature: body.temperature,
          topP: body.top_p,
          seed: body.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
          stop: body.stop,
          logitBias: body.logit_bias,
          options: body.tintype,
          signal,
        }),
      );
    }
    const total = (
      field: 'promptTokens' | 'cachedTokens' | 'completionTokens' | 'nfe' | 'elapsedMs',
    ): number => replies.reduce((sum, reply) => sum + reply[field], 0);
    const [promptTokens, completionTokens, nfe] = [
      total('promptTokens'),
      total('completionTokens'),
      total('nfe'),
    ];
    c.set('log', { model, promptTokens, completionTokens, nfe });
    c.header('server-timing', `decode;dur=${total('elapsedMs').toFixed(1)};desc="${nfe} forwards"`);
    return {
      id: `cmpl-${c.var.requestId}`,
      object: 'text_completion',
      created: nowSeconds(),
      model,
      choices: replies.map((reply, index) => ({
        index,
        ...words(reply.text),
        finish_reason: reply.finishReason,
        logprobs: null,
      })),
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
        prompt_tokens_details: { cached_tokens: total('cachedTokens') },
      },
    };
  }
}

/** The body, checked by its schema. The content type does not matter: `curl -d` sends the wrong one. */
async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  let json: unknown;
  try {
    json = JSON.parse(await c.req.text());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HttpError(400, 'the body is not valid JSON', { code: 'invalid_json' });
  }
  const result = schema.safeParse(json);
  if (!result.success) throw fromZod(result.error);
  return result.data;
}

/** The wanted model's id, or the first loaded one's when the client names none. */
function findModel(engine: CompletionEngine, wanted: string | null): string {
  const loaded = engine.models().map((model) => model.id);
  if (wanted === null) return loaded[0];
  if (loaded.includes(wanted)) return wanted;
  throw new HttpError(404, `model "${wanted.slice(0, 80)}" is not loaded; loaded: ${loaded.join(', ')}`, {
    param: 'model',
    code: 'model_not_found',
  });
}
