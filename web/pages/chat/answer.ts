/** One answer as it comes: settled text, and between it every state of the canvas. */
import type { CanvasPiece } from '../../../src/decode/canvas-frames.ts';
import { ask, watchServer } from '../../runs/server.ts';
import { RunError } from '../../runs/run.ts';

export interface ChatRequest {
  model: string;
  messages: { role: 'system' | 'user' | 'assistant'; content: string }[];
  /** Null: the server's own, as many as the context leaves. */
  maxTokens: number | null;
  temperature: number;
  /** Null: the model's own. */
  threshold: number | null;
  seed: number;
  /** Undefined: free text. */
  schema?: unknown;
}

export interface Frame {
  /** Forwards so far. */
  step: number;
  canvas: CanvasPiece[];
}

export type ChatEvent =
  | { type: 'text'; text: string }
  | { type: 'frame'; frame: Frame }
  | { type: 'end'; reason: string }
  | { type: 'usage'; tokens: number };

interface Chunk {
  type?: 'diffusion_frame';
  step?: number;
  canvas?: CanvasPiece[];
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { completion_tokens: number } | null;
  error?: { message: string; code?: string | null };
}

/** Throws `RunError`, with code `aborted` when the signal said so. */
export async function* chat(
  request: ChatRequest,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, void> {
  const { model, messages, maxTokens, temperature, threshold, seed, schema } = request;
  const body = {
    model,
    messages,
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    temperature,
    seed,
    stream: true,
    stream_options: { include_usage: true },
    diffusing: 'frames',
    ...(threshold === null ? {} : { tintype: { threshold } }),
    ...(schema === undefined
      ? {}
      : { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } } }),
  };
  const response = await ask('/v1/chat/completions', { method: 'POST', body: JSON.stringify(body), signal });
  let isWhole = false;
  try {
    for await (const data of sseData(response.body!)) {
      if (data === '[DONE]') {
        isWhole = true;
        break;
      }
      yield* eventsOf(JSON.parse(data) as Chunk);
    }
  } catch (error) {
    if (signal.aborted) throw new RunError('aborted', 'given up');
    if (error instanceof RunError) throw error;
    void watchServer();
    throw new RunError('offline', 'the connection broke off in the middle of the answer');
  }
  if (!isWhole) throw new RunError('offline', 'the answer ended early');
}

function* eventsOf({ type, step = 0, canvas = [], choices = [], usage, error }: Chunk): Generator<ChatEvent> {
  if (error) throw new RunError(error.code ?? 'failed', error.message);
  if (type === 'diffusion_frame') yield { type: 'frame', frame: { step, canvas } };
  const [choice] = choices;
  if (choice?.delta?.content) yield { type: 'text', text: choice.delta.content };
  if (choice?.finish_reason) yield { type: 'end', reason: choice.finish_reason };
  if (usage) yield { type: 'usage', tokens: usage.completion_tokens };
}

/** The `data:` of server-sent events (one line each, as this server writes them); comments are passed over. */
async function* sseData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith('data: ')) yield line.slice(6);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
