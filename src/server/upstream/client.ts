/** Requests to an OpenAI-compatible server, with its failures put into words for our clients. */
import { HttpError } from '../errors.ts';

export interface UpstreamOptions {
  /** Base address, with or without `/v1`. */
  url: string;
  key?: string | undefined;
  /** Silence after which the upstream is given up. */
  timeoutMs?: number | undefined;
  fetch?: typeof globalThis.fetch;
}

export interface Upstream {
  get(path: string): Promise<unknown>;
  /** The `data:` lines of a stream, parsed, without the end mark. */
  stream(path: string, body: object, signal: AbortSignal | undefined): AsyncGenerator<unknown, void, void>;
}

const TIMEOUT_MS = 120_000;
/** More than any error message that is worth reading. */
const MOST_ERROR_BYTES = 64 * 1024;
const MOST_EVENT_LETTERS = 8 * 1024 * 1024;

export function connectUpstream({
  url,
  key,
  timeoutMs = TIMEOUT_MS,
  fetch = globalThis.fetch,
}: UpstreamOptions): Upstream {
  const base = url.replace(/\/+$/, '').replace(/\/v1$/, '');
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...(key ? { authorization: `Bearer ${key}` } : {}),
  };

  /** One request, from its start to its last byte; `alive` begins the silence anew. */
  function watch(signal: AbortSignal | undefined) {
    const silence = new AbortController();
    let timer: NodeJS.Timeout;
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), timeoutMs);
    };
    alive();
    return {
      alive,
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
      end: () => clearTimeout(timer),
      explain(error: unknown): unknown {
        if (error instanceof HttpError || signal?.aborted) return error;
        return silence.signal.aborted
          ? new HttpError(504, `the upstream server said nothing for ${timeoutMs / 1000} s`, {
              code: 'upstream_timeout',
            })
          : new HttpError(
              502,
              'the connection to the upstream server failed',
              { code: 'upstream_unreachable' },
              1,
            );
      },
    };
  }

  return {
    async get(path) {
      const request = watch(undefined);
      try {
        const response = await fetch(base + path, { headers, signal: request.signal });
        if (!response.ok) throw await refusal(response);
        return await response.json();
      } catch (error) {
        throw request.explain(error);
      } finally {
        request.end();
      }
    },
    async *stream(path, body, signal) {
      const request = watch(signal);
      try {
        const response = await fetch(base + path, {
          method: 'POST',
          headers,
          body: JSON.stringify(body),
          signal: request.signal,
        });
        if (!response.ok) throw await refusal(response);
        if (response.body === null) throw broken('it sent no body');
        let isOver = false;
        for await (const data of eventsOf(response.body, request.alive)) {
          if (data === '[DONE]') {
            isOver = true;
            break;
          }
          const chunk = parse(data);
          if (isError(chunk)) throw broken('it broke off with an error');
          yield chunk;
        }
        if (!isOver) throw broken('its stream ended in the middle');
      } catch (error) {
        throw request.explain(error);
      } finally {
        request.end();
      }
    },
  };
}

/** What stands behind `data:`, event by event. Comments and other fields are passed over. */
async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  alive: () => void,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    alive();
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/);
    rest = lines.pop()!;
    if (rest.length > MOST_EVENT_LETTERS) throw broken('one of its events is too large');
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim();
  }
  if (rest.startsWith('data:')) yield rest.slice(5).trim();
}

const isError = (chunk: unknown): boolean =>
  typeof chunk === 'object' && chunk !== null && 'error' in chunk && Boolean(chunk.error);

function parse(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch {
    throw broken('it sent something that is not JSON');
  }
}

const broken = (why: string): HttpError =>
  new HttpError(502, `the upstream server does not answer as OpenAI’s API does: ${why}`, {
    code: 'upstream_broken',
  });

/** What the upstream refuses, as our own answer. Its own key is nobody's business here. */
async function refusal(response: Response): Promise<HttpError> {
  const { status } = response;
  const message = await messageOf(response);
  const retryAfter = Number(response.headers.get('retry-after')) || 1;
  switch (status) {
    case 400:
    case 404:
    case 413:
    case 422: {
      const isLong = /context|too long|maximum.*length/i.test(message);
      const code = isLong ? 'context_length_exceeded' : status === 404 ? 'model_not_found' : 'invalid_value';
      return new HttpError(status === 404 ? 404 : 400, `upstream: ${message}`, { code });
    }
    case 401:
    case 403:
      return new HttpError(502, 'the upstream server refuses the key of this server (--upstream-key)', {
        code: 'upstream_refused',
      });
    case 429:
    case 503:
      return new HttpError(503, 'the upstream server is overloaded', { code: 'overloaded' }, retryAfter);
    default:
      return new HttpError(502, `the upstream server failed with status ${status}`, {
        code: 'upstream_failed',
      });
  }
}

async function messageOf(response: Response): Promise<string> {
  const text = (await response.text().catch(() => '')).slice(0, MOST_ERROR_BYTES);
  try {
    const { error, message, detail } = JSON.parse(text) as Record<string, unknown>;
    const said =
      typeof error === 'object' && error !== null ? (error as { message?: unknown }).message : error;
    const found = [said, message, detail].find((each) => typeof each === 'string');
    if (found !== undefined) return found.slice(0, 500);
  } catch {
    // No JSON: the text itself may be a page of a proxy, which says nothing to a client.
  }
  return `status ${response.status}`;
}
