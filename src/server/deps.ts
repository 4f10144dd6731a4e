/** What routes are given, and what a route is. */
import type { ServerResponse } from 'node:http';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { CompletionEngine, CompletionReply, TokenCounts } from '../decode/engine-types.ts';
import type { ApiKey, UsageRow } from './accounts/types.ts';
import type { Metrics } from './metrics.ts';

export interface Deps {
  engine: CompletionEngine;
  logger: Logger;
  metrics: Metrics;
  /** Unix time, seconds. */
  nowSeconds: () => number;
  /** When the server started; `created` of models. */
  startedAt: number;
  /** Silence on a stream after which a comment keeps the connection open. */
  keepAliveMs: number;
  /** All, to be described. */
  routes: readonly Route[];
  /** Money for one token, as OpenRouter's clients read it. */
  pricing: (model: string) => Pricing;
}

export interface Pricing {
  prompt: string;
  completion: string;
  input_cache_reads: string;
}

/** What one request adds to its log line and to the ledger: counts, never text. */
export interface RequestRecord {
  requestId: string;
  method: string;
  path: string;
  status: number;
  elapsedMs: number;
  model?: string | undefined;
  promptTokens?: number | undefined;
  cachedTokens?: number | undefined;
  completionTokens?: number | undefined;
  nfe?: number | undefined;
}

export interface Variables {
  requestId: string;
  log: Partial<RequestRecord>;
  /** Aborted when the client leaves, when the server ends, and by `abort`. */
  signal: AbortSignal;
  abort: AbortController;
  /** Of a streamed answer: settles when its last byte is written or the client has left. */
  finished: Promise<void> | null;
  /** Of a streamed answer: tokens of the pieces that the reader has taken. */
  delivered: TokenCounts;
  onDelivered: () => void;
  /** The engine has the request: what takes time anyway can be done meanwhile. */
  onAsked: () => void;
  /** Whose request it is; null where the server is open. */
  key: ApiKey | null;
  /** For the answer, errors included. */
  headers: Record<string, string>;
}

export interface Bindings {
  /** Node's, when there is a socket. */
  outgoing?: ServerResponse;
  /** The server asks itself, for a line of a batch; no client can set this. `row` is filled in. */
  internal?: { keyId: string | null; row: UsageRow | null };
}

export type Env = { Variables: Variables; Bindings: Bindings };
export type Ctx = Context<Env>;

export interface Route<T = unknown> {
  method: 'get' | 'post' | 'delete';
  path: string;
  /** The same under other names, for clients whose base address lacks `/v1`. */
  aliases?: readonly string[];
  tag: 'OpenAI' | 'Mercury and Mistral' | 'tintype' | 'llama.cpp' | 'Ollama' | 'Tabby' | 'Server';
  summary: string;
  body?: z.ZodType<T>;
  /** Media type of a streamed answer. */
  streams?: 'text/event-stream' | 'application/x-ndjson';
  answer: (c: Ctx, body: T, deps: Deps) => Response | Promise<Response>;
}

/** A route whose body has the type of its schema. */
export const route = <T = undefined>(parts: Route<T>): Route => parts as unknown as Route;

/** Totals of replies, for usage and logs. */
export function totalsOf(replies: readonly CompletionReply[], n = 1) {
  const sum = (pick: (reply: CompletionReply) => number, each = replies): number =>
    each.reduce((total, reply) => total + pick(reply), 0);
  // Several answers to one prompt count the prompt once.
  const prompts = replies.filter((_, index) => index % n === 0);
  return {
    promptTokens: sum((reply) => reply.promptTokens, prompts),
    cachedTokens: sum((reply) => reply.cachedTokens, prompts),
    completionTokens: sum((reply) => reply.completionTokens),
    nfe: sum((reply) => reply.nfe),
    decodeMs: sum((reply) => reply.elapsedMs),
    queuedMs: Math.max(0, ...replies.map((reply) => reply.queuedMs)),
    prefillMs: sum((reply) => reply.prefillMs, prompts),
  };
}
export type Totals = ReturnType<typeof totalsOf>;
