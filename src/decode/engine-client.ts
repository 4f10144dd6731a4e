/** The side of an engine that asks: requests as messages to a thread that computes, its answers as streams. */
import { TintypeError } from '../errors.ts';
import type { CompletionRequest, EngineEvent, EngineStatistics } from './engine-types.ts';
import type { FromHost, ToWorker } from './engine-messages.ts';
import { createInbox } from './inbox.ts';
import type { Inbox } from './inbox.ts';
import { receivedError } from './sent-error.ts';

export interface EngineClient {
  /** See `CompletionEngine`. */
  stream: (request: CompletionRequest) => AsyncGenerator<EngineEvent, void, void>;
  statistics: () => EngineStatistics;
  /** Takes what the thread says. */
  receive(message: FromHost): void;
  /** Nothing is answered any more: what is under way fails with this, and whatever is asked later. */
  end(error: Error): void;
}

/** Eight run together; the others wait for seconds, not minutes. */
const MOST_REQUESTS = 72;

export const aborted = (what: string): TintypeError => new TintypeError('aborted', { what });

export function createEngineClient(
  send: (message: ToWorker) => void,
  { mostRequests = MOST_REQUESTS }: { mostRequests?: number | undefined } = {},
): EngineClient {
  const inboxes = new Map<number, Inbox<EngineEvent>>();
  let lastId = 0;
  let told = { running: 0, cacheBytes: 0, cacheMaxBytes: 0 };
  /** Why nothing can be asked any more. */
  let over: Error | null = null;

  async function* stream({
    signal,
    goesOn = false,
    ...request
  }: CompletionRequest): AsyncGenerator<EngineEvent, void, void> {
    if (over) throw over;
    if (signal?.aborted) throw aborted('the request was given up');
    if (inboxes.size >= mostRequests && !goesOn) {
      throw new TintypeError('overloaded', {
        what: 'too many requests are waiting',
        got: `${inboxes.size} under way`,
        wanted: `at most ${mostRequests}`,
        next: 'ask again in a second',
      });
    }
    const id = ++lastId;
    // Whoever reads too slowly misses states of the canvas, never text.
    const inbox = createInbox<EngineEvent>(
      (later, earlier) => later.type === 'frame' && earlier.type === 'frame',
    );
    let isOver = false;
    const abort = (): void => send({ type: 'abort', id });
    inboxes.set(id, inbox);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      send({ type: 'ask', id, request });
      for await (const event of inbox.read()) {
        if (event.type === 'reply') isOver = true;
        yield event;
      }
      isOver = true;
    } finally {
      signal?.removeEventListener('abort', abort);
      inboxes.delete(id);
      if (!isOver) abort();
    }
  }

  return {
    stream,
    statistics: () => ({
      running: Math.min(told.running, inboxes.size),
      waiting: Math.max(0, inboxes.size - told.running),
      cacheBytes: told.cacheBytes,
      cacheMaxBytes: told.cacheMaxBytes,
    }),
    receive(message) {
      if (message.type === 'statistics') {
        told = message;
        return;
      }
      const inbox = inboxes.get(message.id);
      if (message.type === 'failed') return inbox?.fail(receivedError(message.error));
      inbox?.put(message.event);
      if (message.event.type === 'reply') inbox?.end();
    },
    end(error) {
      over ??= error;
      for (const inbox of inboxes.values()) inbox.fail(over);
    },
  };
}
