/**
 * The one interface between models and decoding: a batch of token runs in, statistics of the next-token or
 * masked-token distributions out. Logits [T, V] stay inside the graph; only top-k, log-sum-exp and entropy leave it.
 */
import type { ModelConfig } from './config.ts';

/** Who sees whom among the tokens of one run; the cached prefix is visible to all of them. */
export type AttentionPattern =
  | { kind: 'causal' }
  | { kind: 'full' }
  /** Blocks are counted from absolute position `origin`. */
  | { kind: 'blockCausal'; blockLength: number; origin: number };

/** Keys and values of positions [0, length), one per sequence. Only the denoiser that made it looks inside. */
export interface KvCache {
  /** Cached positions. */
  readonly length: number;
  /** Forgets positions from `length` on (nothing is recomputed). */
  truncate(length: number): void;
  /** Copy that shares nothing. */
  clone(): KvCache;
  readonly sizeBytes: number;
}

/** One sequence's part of a forward. */
export interface ForwardRun {
  /** Tokens, masks included. [T] */
  ids: Int32Array;
  /** Absolute position of ids[0]. With a cache it equals `cache.length`. */
  start: number;
  attention: AttentionPattern;
  /** Prefix that every token of the run sees; null when there is none. */
  cache: KvCache | null;
  /** Append this run's keys and values to the cache. */
  write: boolean;
  /** Rows of `ids` whose statistics are wanted, ascending. [M], may be empty when only writing. */
  query: Int32Array;
}

export interface StatisticsRequest {
  /** Candidates a row, 1 to V. */
  topK: number;
  /** Entropy costs a pass over V; ask for it only when the policy reads it. */
  entropy: boolean;
  /**
   * When given, `sampled` holds one exact draw per row from softmax(logits / temperature) by inverse CDF with
   * these uniforms, in the order of runs and rows. [sum of M]
   */
  sample?: { temperature: number; uniforms: Float32Array } | undefined;
}

/** Distributions at the queried rows of one run. */
export interface Statistics {
  /** Candidate ids by falling logit, ties by lower id. [M, topK] */
  ids: Int32Array;
  /** Their raw logits. [M, topK] */
  logits: Float32Array;
  /** log Σ exp(logit), over V. [M] */
  logSumExp: Float32Array;
  /** Nats. [M], empty unless asked for. */
  entropy: Float32Array;
  /** Sampled ids. [M], empty unless asked for. */
  sampled: Int32Array;
  /** Their raw logits. [M], empty unless asked for. */
  sampledLogits: Float32Array;
}

export interface Denoiser {
  readonly config: ModelConfig;
  createCache(): KvCache;
  /** Runs all sequences in one forward. The result of a run does not depend on its neighbours. */
  forward(runs: readonly ForwardRun[], want: StatisticsRequest): Promise<Statistics[]>;
  close(): Promise<void>;
}
