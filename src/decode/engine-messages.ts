/** What is said between an engine and the thread that computes, in Node and in a browser. */
import { TintypeError } from '../errors.ts';
import type { ErrorCode, ErrorParts } from '../errors.ts';
import type { SentRequest } from './engine-answer.ts';
import type { EngineEvent, ServedModel } from './engine-types.ts';

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

/** What is told of requests: events up to a reply, or `failed`, for each. */
export type FromHost =
  | { type: 'event'; id: number; event: EngineEvent }
  | { type: 'failed'; id: number; error: SentError }
  | { type: 'statistics'; running: number; cacheBytes: number; cacheMaxBytes: number };

/** What the worker tells: `loaded` or `unloadable` first. */
export type FromWorker =
  | { type: 'loaded'; models: ServedModel[] }
  | { type: 'unloadable'; error: SentError }
  | FromHost;

export function sentError(error: unknown): SentError {
  if (!(error instanceof TintypeError)) {
    return { code: null, parts: { what: error instanceof Error ? error.message : String(error) } };
  }
  const { cause: _, ...parts } = error.parts;
  return { code: error.code, parts };
}

export const receivedError = ({ code, parts }: SentError): Error =>
  code === null ? new Error(parts.what) : new TintypeError(code, parts);
