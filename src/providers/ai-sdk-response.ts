/** Answers of the server, as the AI SDK reads them. */
import { APICallError } from '@ai-sdk/provider';
import type {
  JSONObject,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider';
import type { Kind } from './ai-sdk-request.ts';

interface WireUsage {
  prompt_tokens: number;
  completion_tokens: number;
  cached_input_tokens: number;
}

interface WireCall {
  index: number;
  id?: string;
  function: { name?: string; arguments: string };
}

interface WireReply {
  id: string;
  created: number;
  model: string;
  choices: {
    text?: string;
    message?: { content: string | null; tool_calls?: WireCall[] };
    finish_reason: string;
  }[];
  usage: WireUsage;
}

interface WireChunk {
  id: string;
  created: number;
  model: string;
  type?: string;
  block?: number;
  step?: number;
  total?: number;
  progress?: number;
  canvas?: unknown;
  choices: {
    text?: string;
    delta?: { content?: string; tool_calls?: WireCall[] };
    finish_reason: string | null;
  }[];
  usage?: WireUsage | null;
  error?: { message: string };
}

export async function failed(url: string, body: object, response: Response): Promise<APICallError> {
  const responseBody = await response.text();
  let message = `the server answered ${response.status}`;
  try {
    message = (JSON.parse(responseBody) as { error: { message: string } }).error.message;
  } catch {
    // Not the server's own words; its status says enough.
  }
  return new APICallError({
    message,
    url,
    requestBodyValues: body,
    statusCode: response.status,
    responseHeaders: Object.fromEntries(response.headers),
    responseBody,
    isRetryable: response.status === 503 || response.status === 429,
  });
}

const usageOf = (usage: WireUsage | null | undefined): LanguageModelV3Usage => {
  const cacheRead = usage?.cached_input_tokens;
  return {
    inputTokens: {
      total: usage?.prompt_tokens,
      noCache: usage ? usage.prompt_tokens - usage.cached_input_tokens : undefined,
      cacheRead,
      cacheWrite: undefined,
    },
    outputTokens: { total: usage?.completion_tokens, text: usage?.completion_tokens, reasoning: undefined },
  };
};

const REASONS: Readonly<Record<string, LanguageModelV3FinishReason['unified']>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool-calls',
};
const reasonOf = (raw: string | undefined): LanguageModelV3FinishReason => ({
  unified: REASONS[raw ?? ''] ?? 'other',
  raw,
});

const metadataOf = ({ id, created, model }: { id: string; created: number; model: string }) => ({
  id,
  modelId: model,
  timestamp: new Date(created * 1000),
});

export function contentOf(kind: Kind, reply: WireReply) {
  const [choice] = reply.choices;
  const text = kind === 'chat' ? choice.message?.content : choice.text;
  const content: LanguageModelV3Content[] = text ? [{ type: 'text', text }] : [];
  for (const { id, function: call } of choice.message?.tool_calls ?? [])
    content.push({ type: 'tool-call', toolCallId: id!, toolName: call.name!, input: call.arguments });
  return {
    content,
    finishReason: reasonOf(choice.finish_reason),
    usage: usageOf(reply.usage),
    response: metadataOf(reply),
  };
}

/** The parts of a stream; canvases are empty deltas of the text. */
export function partsOf(
  kind: Kind,
  response: Response,
  warnings: SharedV3Warning[],
): ReadableStream<LanguageModelV3StreamPart> {
  const parts = readParts(kind, response, warnings);
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await parts.return();
    },
  });
}

const TEXT_ID = 'text';

async function* readParts(
  kind: Kind,
  response: Response,
  warnings: SharedV3Warning[],
): AsyncGenerator<LanguageModelV3StreamPart, void, void> {
  yield { type: 'stream-start', warnings };
  let [isFirst, hasText] = [true, false];
  let reason: string | undefined;
  let usage: WireUsage | null = null;
  const calls: { id: string; name: string; input: string }[] = [];
  for await (const chunk of readEvents(response)) {
    if (chunk.error) {
      yield { type: 'error', error: new Error(chunk.error.message) };
      reason = 'error';
      break;
    }
    if (isFirst) yield { type: 'response-metadata', ...metadataOf(chunk) };
    isFirst = false;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices.at(0);
    reason = choice?.finish_reason ?? reason;
    const delta = (kind === 'chat' ? choice?.delta?.content : choice?.text) ?? '';
    const isFrame = chunk.type === 'diffusion_frame';
    if (!hasText && (isFrame || delta !== '')) {
      hasText = true;
      yield { type: 'text-start', id: TEXT_ID };
    }
    if (isFrame) {
      const { block, step, total, progress, canvas } = chunk;
      const frame = { block, step, total, progress, canvas } as JSONObject;
      yield { type: 'text-delta', id: TEXT_ID, delta: '', providerMetadata: { tintype: { frame } } };
    } else if (delta !== '') yield { type: 'text-delta', id: TEXT_ID, delta };
    for (const { index, id, function: call } of choice?.delta?.tool_calls ?? []) {
      if (id !== undefined) {
        calls[index] = { id, name: call.name!, input: '' };
        yield { type: 'tool-input-start', id, toolName: call.name! };
      }
      calls[index].input += call.arguments;
      if (call.arguments !== '')
        yield { type: 'tool-input-delta', id: calls[index].id, delta: call.arguments };
    }
  }
  if (hasText) yield { type: 'text-end', id: TEXT_ID };
  for (const { id, name, input } of calls) {
    yield { type: 'tool-input-end', id };
    yield { type: 'tool-call', toolCallId: id, toolName: name, input };
  }
  yield {
    type: 'finish',
    usage: usageOf(usage),
    finishReason: reason === 'error' ? { unified: 'error', raw: reason } : reasonOf(reason),
  };
}

/** Data of server-sent events until the end mark. */
async function* readEvents(response: Response): AsyncGenerator<WireChunk, void, void> {
  const reader = response
    .body!.pipeThrough(new TextDecoderStream() as never)
    .getReader() as unknown as ReadableStreamDefaultReader<string>;
  let buffer = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      const events = buffer.split('\n\n');
      buffer = events.pop()!;
      for (const event of events) {
        if (event === 'data: [DONE]') return;
        if (event.startsWith('data: ')) yield JSON.parse(event.slice(6)) as WireChunk;
      }
    }
  } finally {
    await reader.cancel();
  }
}
