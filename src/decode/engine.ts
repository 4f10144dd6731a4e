/**
 * The engine of the server: models in a worker thread, since a forward blocks the thread that it runs in. Requests
 * for one model that are under way together share their forwards.
 */
import type { Overrides } from '../model/config-json.ts';
import type { Precision } from '../model/quantize.ts';
import { spawnWorker } from '../worker.ts';
import type { CompleteOptions } from './complete.ts';
import { aborted, createEngineClient } from './engine-client.ts';
import type { FromWorker, ToWorker } from './engine-messages.ts';
import { replyOf } from './engine-types.ts';
import type { CompletionEngine, ServedModel } from './engine-types.ts';
import { receivedError } from './sent-error.ts';

export interface EngineOptions {
  /** Model folders; the name of a folder is the id of its model. */
  modelDirs: readonly string[];
  /** Threads that compute. */
  threads?: number | undefined;
  /** By id of the model: options where a request says nothing (`withDefaults`); plain data. */
  defaults?: Readonly<Record<string, CompleteOptions>> | undefined;
  /** By id of the model: how its matrix products are computed. */
  precisions?: Readonly<Record<string, Precision | undefined>> | undefined;
  /** By id of the model: requests that share forwards, at most; see `HostOptions.together`. */
  together?: Readonly<Record<string, number>> | undefined;
  /** Bytes that the weights of all loaded models may take; the least recently used make room. No limit by default. */
  memoryBytes?: number | undefined;
  /** Requests under way, running or waiting, before new ones are refused as `overloaded`. */
  mostRequests?: number | undefined;
  /** What the files of the models do not say; the same for all. */
  overrides?: Overrides | undefined;
  /** `SessionOptions.packed`, of all. */
  packed?: boolean | undefined;
  /** Weights from which on they are converted into a file, for tests. */
  largeBytes?: number | undefined;
  /** Told while the weights of a large model are converted, at each tenth. */
  onConvert?: ((model: string, percent: number) => void) | undefined;
}

/** Loads the models. Errors: those of `loadDenoiser`, and `bad_option` for two folders of the same name. */
export async function createEngine({ onConvert, ...options }: EngineOptions): Promise<CompletionEngine> {
  const { mostRequests } = options;
  const worker = spawnWorker(import.meta.url, 'engine-worker', { workerData: options });
  const client = createEngineClient((message) => worker.postMessage(message), { mostRequests });

  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const models = await new Promise<ServedModel[]>((resolve, reject) => {
    const end = (error: Error): void => {
      reject(error);
      client.end(error);
    };
    worker.on('message', (told: FromWorker[]) => {
      for (const message of told) {
        if (message.type === 'loaded') resolve(message.models);
        else if (message.type === 'unloadable') end(receivedError(message.error));
        else if (message.type === 'converting') onConvert?.(message.model, message.percent);
        else client.receive(message);
      }
    });
    worker.on('error', end);
    worker.on('exit', (status) => end(new Error(`the engine ended with status ${status}`)));
  });

  return {
    models: () => models,
    statistics: client.statistics,
    stream: client.stream,
    complete: (request) => replyOf(client.stream({ ...request, together: true })),
    close() {
      client.end(aborted('the engine was closed'));
      worker.postMessage({ type: 'close' } satisfies ToWorker);
      return exited;
    },
  };
}
