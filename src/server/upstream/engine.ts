/**
 * An OpenAI-compatible cluster (SGLang, vLLM, LMDeploy) as an engine: what the server does with models of its own it does
 * with those of the cluster too: every API, gaps, keys, metering, batches. Decoding options of tintype mean nothing there;
 * JSON Schemas go on as `response_format`, regular expressions as vLLM's and SGLang's own fields.
 */
import { z } from 'zod';
import { replyOf } from '../../decode/engine-types.ts';
import type {
  CompletionEngine,
  CompletionReply,
  CompletionRequest,
  EngineEvent,
  ServedModel,
  TokenCounts,
} from '../../decode/engine-types.ts';
import { TintypeError } from '../../errors.ts';
import { HttpError } from '../errors.ts';
import type { Upstream } from './client.ts';
import { styleOf } from './fim.ts';
import type { FimStyle } from './fim.ts';

export interface UpstreamEngineOptions {
  /** How gaps are written; by the model's name where nothing is said. */
  fim?: FimStyle | undefined;
  /** Where the cluster does not say. */
  contextLength?: number | undefined;
  nowMs?: () => number;
}

const CONTEXT_LENGTH = 32_768;

const modelList = z.object({
  data: z
    .array(
      z.object({
        id: z.string(),
        max_model_len: z.number().nullish(),
        context_length: z.number().nullish(),
      }),
    )
    .min(1),
});

const usageShape = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number().nullish(),
  prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
});

const toolCall = z.object({
  index: z.number().default(0),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

const chunkShape = z.object({
  choices: z
    .array(
      z.object({
        text: z.string().nullish(),
        delta: z.object({ content: z.string().nullish(), tool_calls: z.array(toolCall).nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: usageShape.nullish(),
});
type Chunk = z.infer<typeof chunkShape>;

/** Asks the cluster for its models. Errors: `HttpError` 502, 504. */
export async function createUpstreamEngine(
  upstream: Upstream,
  { fim, contextLength = CONTEXT_LENGTH, nowMs = () => performance.now() }: UpstreamEngineOptions = {},
): Promise<CompletionEngine> {
  const listed = modelList.safeParse(await upstream.get('/v1/models'));
  if (!listed.success) {
    throw new HttpError(502, 'the upstream server lists no models', { code: 'upstream_broken' });
  }
  const models = listed.data.data.map((model): ServedModel => ({
    id: model.id,
    layout: 'upstream',
    contextLength: model.max_model_len ?? model.context_length ?? contextLength,
    chat: true,
    infill: styleOf(model.id, fim) !== null,
  }));
  const contextOf = (id: string): number =>
    models.find((model) => model.id === id)?.contextLength ?? contextLength;
  const closing = new AbortController();
  let running = 0;

  async function* stream(request: CompletionRequest): AsyncGenerator<EngineEvent, void, void> {
    const startMs = nowMs();
    if (request.trace || request.canvas) {
      throw new HttpError(400, `"${request.model}" is served by another server, whose steps nobody sees`, {
        param: 'model',
        code: 'unsupported',
      });
    }
    const signal = request.signal ? AbortSignal.any([request.signal, closing.signal]) : closing.signal;
    const { path, body } = bodyOf(fitted(request, contextOf(request.model)), fim);
    const calls = createCallWriter();
    const soFar: TokenCounts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    let [text, finish, firstMs] = ['', 'stop', 0];
    let usage: Chunk['usage'] = null;
    running++;
    try {
      for await (const json of upstream.stream(path, body, signal)) {
        const chunk = chunkShape.safeParse(json);
        if (!chunk.success) {
          throw new HttpError(502, 'the upstream server sent a chunk of an unknown shape', {
            code: 'upstream_broken',
          });
        }
        usage = chunk.data.usage ?? usage;
        const [choice] = chunk.data.choices;
        if (choice === undefined) continue;
        const said =
          (choice.text ?? choice.delta?.content ?? '') + calls.push(choice.delta?.tool_calls ?? []);
        finish = choice.finish_reason ?? finish;
        if (said === '') continue;
        firstMs ||= nowMs() - startMs;
        text += said;
        // A chunk is about a token; the cluster's own count comes at the end.
        soFar.completionTokens++;
        yield { type: 'delta', text: said, tokens: [], soFar: { ...soFar } };
      }
    } catch (error) {
      if (request.signal?.aborted || closing.signal.aborted) {
        throw new TintypeError('aborted', { what: 'the request was given up', cause: error });
      }
      throw error;
    } finally {
      running--;
    }
    const rest = calls.end();
    if (rest !== '') yield { type: 'delta', text: rest, tokens: [] };
    const reply: CompletionReply = {
      text: text + rest,
      finishReason: finish === 'length' ? 'length' : 'stop',
      promptTokens: usage?.prompt_tokens ?? 0,
      cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      completionTokens: usage?.completion_tokens ?? soFar.completionTokens,
      nfe: 0,
      elapsedMs: nowMs() - startMs,
      prefillMs: firstMs,
      queuedMs: 0,
    };
    yield { type: 'reply', reply };
  }

  return {
    models: () => models,
    statistics: () => ({ running, waiting: 0, cacheBytes: 0, cacheMaxBytes: 0 }),
    stream,
    complete: (request) => replyOf(stream(request)),
    close: async () => closing.abort(),
  };
}

/** Letters a token, on the safe side: only the cluster can count. */
const LETTERS = 3;

/** What editors ask beyond the context is cut to what is nearest to the gap, as with models of our own. */
function fitted(request: CompletionRequest, contextLength: number): CompletionRequest {
  const maxTokens = request.shrink ? Math.min(request.maxTokens, contextLength >> 1) : request.maxTokens;
  if (request.prompt === undefined || request.overflow !== 'keepNearest') return { ...request, maxTokens };
  const room = (contextLength - maxTokens) * LETTERS;
  const { prompt, suffix } = request;
  const after = suffix === null ? 0 : Math.min(suffix.length, Math.max(room >> 2, room - prompt.length));
  return {
    ...request,
    maxTokens,
    prompt: prompt.slice(-Math.max(1, room - after)),
    suffix: suffix === null ? null : suffix.slice(0, after),
  };
}

/** What the cluster is asked. */
function bodyOf(request: CompletionRequest, fim: FimStyle | undefined): { path: string; body: object } {
  const { options = {} } = request;
  const shared = {
    model: request.model,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    top_p: request.topP,
    // Some clusters keep seeds in 32 bits.
    seed: request.seed % 2 ** 31,
    ...(request.stop.length > 0 ? { stop: request.stop } : {}),
    ...(Object.keys(request.logitBias ?? {}).length > 0 ? { logit_bias: request.logitBias } : {}),
    ...(typeof options.topK === 'number' ? { top_k: options.topK } : {}),
    ...(options.schema === undefined
      ? {}
      : {
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'answer', schema: options.schema, strict: true },
          },
        }),
    ...(options.regex === undefined ? {} : { regex: options.regex, guided_regex: options.regex }),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (request.chat !== undefined) {
    const { messages, tools } = request.chat;
    return { path: '/v1/chat/completions', body: { ...shared, messages, ...(tools ? { tools } : {}) } };
  }
  const { prompt = '', suffix = null } = request;
  if (suffix === null) return { path: '/v1/completions', body: { ...shared, prompt } };
  const style = styleOf(request.model, fim);
  if (style === null) {
    throw new HttpError(400, `it is not known how "${request.model}" is asked to fill a gap`, {
      param: 'suffix',
      code: 'unsupported',
    });
  }
  return {
    path: '/v1/completions',
    body: { ...shared, ...style.write(prompt, suffix), stop: [...request.stop, ...style.stop] },
  };
}

type ToolCall = NonNullable<NonNullable<Chunk['choices'][number]['delta']>['tool_calls']>[number];

/** Calls of tools as the text that `freeCallReader` reads. */
function createCallWriter() {
  let open: number | null = null;
  const close = (): string => (open === null ? '' : '}\n</tool_call>');
  return {
    push(calls: readonly ToolCall[]): string {
      let text = '';
      for (const { index, function: part } of calls) {
        if (index !== open) {
          text += `${close()}<tool_call>\n{"name": ${JSON.stringify(part?.name ?? '')}, "arguments": `;
          open = index;
        }
        text += part?.arguments ?? '';
      }
      return text;
    },
    end: close,
  };
}
