/**
 * What the HTTP server asks of decoding, and nothing more: text around a gap in, text for the gap out. The real
 * engine lives in `engine.ts` behind a worker thread; tests hand the server a fake one.
 */

import type { CompleteOptions } from './complete.ts';

export interface CompletionRequest {
  /** Id as `models()` lists it. */
  model: string;
  /** Text before the gap. */
  prompt: string;
  /** Text after the gap; null asks for a plain continuation of the prompt. */
  suffix: string | null;
  /** Most tokens to write, at least 1. */
  maxTokens: number;
  /** 0 is greedy. */
  temperature: number;
  /** In (0, 1]; 1 keeps every token. */
  topP: number;
  /** Same seed, same request, same text. */
  seed: number;
  /** The reply ends before the first of these. */
  stop: string[];
  /** Added to the logits of tokens, by id. */
  logitBias?: Record<string, number> | undefined;
  /** The decoder's own options: mode, policy, cache, constraint. */
  options?: CompleteOptions | undefined;
  /** Asks the decoder to stop between two denoising steps; `complete` then rejects with code `aborted`. */
  signal?: AbortSignal | undefined;
}

export interface CompletionReply {
  text: string;
  /** `length`: the token budget ran out. */
  finishReason: 'stop' | 'length';
  promptTokens: number;
  /** Those of them that an earlier request had computed. */
  cachedTokens: number;
  /** Useful tokens: those before the end of the text. */
  completionTokens: number;
  /** Denoiser forwards. */
  nfe: number;
  elapsedMs: number;
}

export interface LoadedModel {
  id: string;
  /** Attention layout, a `Layout` of `model/config.ts`. */
  layout: string;
  contextLength: number;
}

export interface CompletionEngine {
  /** At least one. */
  models(): LoadedModel[];
  /** Rejects with `prompt_too_long` when prompt, suffix and answer exceed the context. */
  complete(request: CompletionRequest): Promise<CompletionReply>;
  /** Frees the models; running requests reject with code `aborted`. */
  close(): Promise<void>;
}
