/** What is said between an engine and the thread that computes, in Node and in a browser. */
import type { SentRequest } from './engine-answer.ts';
import type { EngineEvent, ServedModel } from './engine-types.ts';
import type { SentError } from './sent-error.ts';

/** What the worker is told. */
export type ToWorker =
  | { type: 'ask'; id: number; request: SentRequest }
  | { type: 'abort'; id: number }
  | { type: 'close' };

/** What is told of requests: events up to a reply, or `failed`, for each. */
export type FromHost =
  | { type: 'event'; id: number; event: EngineEvent }
  | { type: 'failed'; id: number; error: SentError }
  | { type: 'statistics'; running: number; cacheBytes: number; cacheMaxBytes: number };

/** What the worker tells: `loaded` or `unloadable` first, perhaps after `converting`. All of one turn is one message. */
export type FromWorker =
  | { type: 'loaded'; models: ServedModel[] }
  | { type: 'unloadable'; error: SentError }
  | { type: 'converting'; model: string; percent: number }
  | FromHost;
