/**
 * The engine of the server: models in a worker thread, since a forward blocks the thread that it runs in. Requests
 * for one model that are under way together share their forwards.
 */
import { TintypeError } from '../errors.ts';
import type { ErrorCode, ErrorParts } from '../errors.ts';
import type { Overrides } from '../model/config-json.ts';
import type { Precision } from '../model/quantize.ts';
import { spawnWorker } from '../worker.ts';
import type { CompleteOptions } from './complete.ts';
import type { SentRequest } from './engine-answer.ts';
import { replyOf } from './engine-types.ts';
import type { CompletionEngine, CompletionRequest, EngineEvent, ServedModel } from './engine-types.ts';
import { createInbox } from './inbox.ts';
import type { Inbox } from './inbox.ts';

export interface EngineOptions {
  /** Model folders; the name of a folder is the id of its model. */
  modelDirs: readonly string[];
  /** Threads that compute. */
  threads?: number | undefined;
  /** By id of the model: options where a request says nothing (`withDefaults`); plain data. */
  defaults?: Readonly<Record<string, CompleteOptions>> | undefined;
  /** By id of the model: how its matrix products are computed. */
  precisions?: Readonly<Record<string, Precision | undefined>> | undefined;
  /** Bytes that the weights of all loaded models may take; the least recently used make room. No limit by default. */
  memoryBytes?: number | undefined;
  /** Requests under way, running or waiting, before new ones are refused as `overloaded`. */
  mostRequests?: number | undefined;
  /** What the files of the models do not say; the same for all. */
  overrides?: Overrides | undefined;
  /** Weights from which on they are converted into a file, for tests. */
  largeBytes?: number | undefined;
  /** Told while the weights of a large model are converted, at each tenth. */
  onConvert?: ((model: string, percent: number) => void) | undefined;
}

/** An error on its way between threads; classes do not survive the trip. */
export interface SentError {
  code: ErrorCode | null;
  parts: ErrorParts;
}

/** What the worker is told. */
export type ToWorker =
  | { type: 'ask'; id: number; request: SentRequest }
  | { type: 'abort'; id: number }
  | { type: 'close' };

/** What the worker tells: `loaded` or `unloadable` first, perhaps after `converting`, then events up to a reply, or `failed`, for each request. */
export type FromWorker =
  | { type: 'loaded'; models: ServedModel[] }
  | { type: 'unloadable'; error: SentError }
  | { type: 'converting'; model: string; percent: number }
  | { type: 'event'; id: number; event: EngineEvent }
  | { type: 'failed'; id: number; error: SentError }
  | { type: 'statistics'; running: number; cacheBytes: number; cacheMaxBytes: number };

/** Eight run together; the others wait for seconds, not minutes. */
const MOST_REQUESTS = 72;

const aborted = (what: string): TintypeError => new TintypeError('aborted', { what });

const receivedError = ({ code, parts }: SentError): Error =>
  code === null ? new Error(parts.what) : new TintypeError(code, parts);

/** Loads the models. Errors: those of `loadDenoiser`, and `bad_option` for two folders of the same name. */
export async function createEngine({ onConvert, ...options }: EngineOptions): Promise<CompletionEngine> {
  const { mostRequests = MOST_REQUESTS } = options;
  const worker = spawnWorker(import.meta.url, 'engine-worker', { workerData: options });
  const inboxes = new Map<number, Inbox<EngineEvent>>();
  let lastId = 0;
  let told = { running: 0, cacheBytes: 0, cacheMaxBytes: 0 };
  /** Why nothing can be asked any more. */
  let over: Error | null = null;

  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const models = await new Promise<ServedModel[]>((resolve, reject) => {
    const end = (error: Error): void => {
      over ??= error;
      reject(over);
      for (const inbox of inboxes.values()) inbox.fail(over);
    };
    worker.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'loaded':
          return resolve(message.models);
        case 'unloadable':
          return end(receivedError(message.error));
        case 'converting':
          return onConvert?.(message.model, message.percent);
        case 'event': {
          const inbox = inboxes.get(message.id);
          inbox?.put(message.event);
          return message.event.type === 'reply' ? inbox?.end() : undefined;
        }
        case 'failed':
          return inboxes.get(message.id)?.fail(receivedError(message.error));
        case 'statistics':
          told = message;
      }
    });
    worker.on('error', end);
    worker.on('exit', (status) => end(new Error(`the engine ended with status ${status}`)));
  });

  const send = (message: ToWorker): void => worker.postMessage(message);

  async function* stream({ signal, ...request }: CompletionRequest): AsyncGenerator<EngineEvent, void, void> {
    if (over) throw over;
    if (signal?.aborted) throw aborted('the request was given up');
    if (inboxes.size >= mostRequests) {
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
    models: () => models,
    statistics: () => ({
      running: Math.min(told.running, inboxes.size),
      waiting: Math.max(0, inboxes.size - told.running),
      cacheBytes: told.cacheBytes,
      cacheMaxBytes: told.cacheMaxBytes,
    }),
    stream,
    complete: (request) => replyOf(stream(request)),
    close() {
      over ??= aborted('the engine was closed');
      send({ type: 'close' });
      return exited;
    },
  };
}
