/** What a run is to the page: something is asked, lines come back. Where it is computed is a detail (`RunSource`). */
import type { CompleteOptions } from '../../src/decode/complete.ts';
import type { CompletionReply } from '../../src/decode/engine-types.ts';
import type { DoneEvent } from '../../src/decode/events.ts';
import type { TraceLine } from '../../src/decode/trace.ts';

export interface RunRequest {
  model: string;
  /** Text around a gap (suffix null: a plain continuation), or a canvas of token ids, -1 where masked. */
  source: { prompt: string; suffix: string | null } | { canvas: { ids: number[]; answerStart: number } };
  /** Most tokens to write; of a canvas all masks are written. Default 64. */
  maxTokens?: number;
  /** 0 is greedy, the default. */
  temperature?: number;
  seed?: number;
  stop?: string[];
  /** Plain data: mode, policy, threshold and others. */
  options?: CompleteOptions;
  /** Likely tokens to be told of every position that a forward looked at; 0 (default) to 20. */
  candidates?: number;
}

/** Counts of a finished run, by whoever computed it. Milliseconds. */
export type RunReply = { type: 'reply' } & Omit<CompletionReply, 'text'>;

export type RunLine = { type: 'start'; id: string; model: string } | TraceLine | RunReply;

export interface ModelInfo {
  id: string;
  /** `causal` is an autoregressive twin. */
  layout: string;
  contextLength: number;
  features: string[];
}

export interface RunSource {
  kind: 'server' | 'tab';
  models(): Promise<ModelInfo[]>;
  /** Lines up to `reply`. Throws `RunError`; an abort of the signal ends the run with code `aborted`. */
  run(request: RunRequest, signal: AbortSignal): AsyncIterable<RunLine>;
}

/** Something that a person should read. */
export class RunError extends Error {
  /** `offline`: nobody answers; `aborted`: given up; else what the server says. */
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'RunError';
    this.code = code;
  }
}

export type { DoneEvent, TraceLine };
