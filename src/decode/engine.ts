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
import type { CompletionEngine, CompletionReply, CompletionRequest, LoadedModel } from './engine-types.ts';

export interface EngineOptions {
  /** Model folders; the name of a folder is the id of its model. */
  modelDirs: readonly string[];
  /** Threads that compute. */
  threads?: number | undefined;
  /** By id of the model: options where a request says nothing (`withDefaults`); plain data. */
  defaults?: Readonly<Record<string, CompleteOptions>> | undefined;
  /** By id of the model: how its matrix products are computed. */
  precisions?: Readonly<Record<string, Precision | undefined>> | undefined;
  /** What the files of the models do not say; the same for all. */
  overrides?: Overrides | undefined;
}

/** An error on its way between threads; classes do not survive the trip. */
export interface SentError {
  code: ErrorCode | null;
  parts: ErrorParts;
}

/** What the worker is told. */
export type ToWorker =
  | { type: 'complete'; id: number; request: Omit<CompletionRequest, 'signal'> }
  | { type: 'abort'; id: number }
  | { type: 'close' };

/** What the worker tells: `loaded` or `unloadable` first, then one `reply` or `failed` for each request. */
export type FromWorker =
  | { type: 'loaded'; models: LoadedModel[] }
  | { type: 'unloadable'; error: SentError }
  | { type: 'reply'; id: number; reply: CompletionReply }
  | { type: 'failed'; id: number; error: SentError };

interface Waiting {
  resolve: (reply: CompletionReply) => void;
  reject: (error: unknown) => void;
}

const aborted = (what: string): TintypeError => new TintypeError('aborted', { what });

const receivedError = ({ code, parts }: SentError): Error =>
  code === null ? new Error(parts.what) : new TintypeError(code, parts);

/** Loads the models. Errors: those of `loadDenoiser`, and `bad_option` for two folders of the same name. */
export async function createEngine(options: EngineOptions): Promise<CompletionEngine> {
  const worker = spawnWorker(import.meta.url, 'engine-worker', { workerData: options });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  /** Why nothing can be asked any more. */
  let over: Error | null = null;

  const settle = (id: number): Waiting | undefined => {
    const entry = waiting.get(id);
    waiting.delete(id);
    return entry;
  };
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const models = await new Promise<LoadedModel[]>((resolve, reject) => {
    const end = (error: Error): void => {
      over ??= error;
      reject(over);
      for (const id of waiting.keys()) settle(id)?.reject(over);
    };
    worker.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'loaded':
          return resolve(message.models);
        case 'unloadable':
          return end(receivedError(message.error));
        case 'reply':
          return settle(message.id)?.resolve(message.reply);
        case 'failed':
          return settle(message.id)?.reject(receivedError(message.error));
      }
    });
    worker.on('error', end);
    worker.on('exit', (status) => end(new Error(`the engine ended with status ${status}`)));
  });

  const send = (message: ToWorker): void => worker.postMessage(message);

  return {
    models: () => models,

    async complete({ signal, ...request }) {
      if (over) throw over;
      if (signal?.aborted) throw aborted('the request was given up');
      const id = ++lastId;
      const abort = (): void => send({ type: 'abort', id });
      try {
        return await new Promise<CompletionReply>((resolve, reject) => {
          waiting.set(id, { resolve, reject });
          signal?.addEventListener('abort', abort, { once: true });
          send({ type: 'complete', id, request });
        });
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    },

    close() {
      over ??= aborted('the engine was closed');
      send({ type: 'close' });
      return exited;
    },
  };
}
