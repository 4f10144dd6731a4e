/** Runs on the server that the page came from. While it is away, what was asked waits; nothing is lost. */
import { apiKey, serverState } from '../state.ts';
import type { ModelInfo, RunLine, RunRequest, RunSource } from './run.ts';
import { RunError } from './run.ts';

/** `fetch` with the key, if there is one. Throws `RunError`: `offline`, or the server's own code and words. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey.value !== '') headers.set('authorization', `Bearer ${apiKey.value}`);
  if (init.body !== undefined && init.body !== null && !headers.has('content-type')) {
    headers.set('content-type', 'application/json');
  }
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw new RunError('aborted', 'given up');
    void watchServer();
    throw new RunError('offline', `the server does not answer (${String(error)})`);
  }
  if (response.ok) return response;
  const said: unknown = await response.json().catch(() => null);
  const { code, message } = errorOf(said, response.status);
  if (response.status === 401) serverState.value = 'locked';
  if (code === 'loading') void watchServer();
  throw new RunError(code, message);
}

function errorOf(said: unknown, status: number): { code: string; message: string } {
  const error = (said as { error?: { code?: string | null; message?: string } } | null)?.error;
  return {
    code: error?.code ?? `http_${status}`,
    message: error?.message ?? `the server answers with status ${status}`,
  };
}

let watching: Promise<void> | null = null;

/** Asks for the server's health until it answers; the state says meanwhile how it is. */
export function watchServer(): Promise<void> {
  watching ??= (async () => {
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 4000)) {
      const response = await fetch('/health').catch(() => null);
      if (response?.ok) break;
      serverState.value = response === null ? 'away' : 'loading';
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    serverState.value = 'ready';
    watching = null;
  })();
  return watching;
}

/** Values of a stream with one JSON document a line. */
export async function* jsonLines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T, void, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line !== '') yield JSON.parse(line) as T;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

interface ListedModel {
  id: string;
  layout: string;
  context_length: number;
  supported_features: string[];
}

async function* run(request: RunRequest, signal: AbortSignal): AsyncGenerator<RunLine, void, void> {
  const { model, source, maxTokens, temperature, seed, stop, options, candidates } = request;
  const where =
    'canvas' in source
      ? { canvas: { ids: source.canvas.ids, answer_start: source.canvas.answerStart } }
      : { prompt: source.prompt, suffix: source.suffix };
  const body = {
    model,
    ...where,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    temperature: temperature ?? 0,
    ...(seed === undefined ? {} : { seed }),
    ...(stop === undefined ? {} : { stop }),
    ...(candidates === undefined ? {} : { candidates }),
    ...(options === undefined ? {} : { tintype: options }),
  };
  const response = await ask('/v1/trace', { method: 'POST', body: JSON.stringify(body), signal });
  let ended = false;
  try {
    for await (const line of jsonLines<RunLine | { error: string }>(response.body!)) {
      if ('error' in line) throw new RunError('failed', line.error);
      if (line.type === 'reply') ended = true;
      yield line;
    }
  } catch (error) {
    if (signal.aborted) throw new RunError('aborted', 'given up');
    if (error instanceof RunError) throw error;
    void watchServer();
    throw new RunError('offline', 'the connection broke off in the middle of an answer');
  }
  if (!ended) throw new RunError('offline', 'the answer ended early');
}

export const serverSource: RunSource = {
  kind: 'server',
  async models(): Promise<ModelInfo[]> {
    const { data } = (await (await ask('/v1/models')).json()) as { data: ListedModel[] };
    return data.map(({ id, layout, context_length, supported_features }) => ({
      id,
      layout,
      contextLength: context_length,
      features: supported_features,
    }));
  },
  run,
};
