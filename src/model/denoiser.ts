/**
 * The one interface between models and decoding: a batch of token runs in, statistics of the next-token or
 * masked-token distributions out. Logits [T, V] stay inside the graph; only top-k, log-sum-exp and entropy leave it.
 */
import type { BigramTable } from './bigrams.ts';
import type { ModelConfig } from './config.ts';

/**
 * Who sees whom among the tokens of one run; cached places are visible to all of them, but for `anchored` and `explicit`.
 * Padding is either left out of a run, the other rows keeping their positions, or hidden by an `explicit` pattern.
 */
export type AttentionPattern =
  | { kind: 'causal' }
  | { kind: 'full' }
  /** Blocks are counted from absolute position `origin`. */
  | { kind: 'blockCausal'; blockLength: number; origin: number }
  /**
   * Causal context and active block in one run: the first `clean` rows see their past. The others, the block, see each
   * other and the clean tokens, cached or not, that stand before the block's first position. Several blocks, each of so
   * many rows (`blocks`), do not see one another.
   */
  | { kind: 'anchored'; clean: number; blocks?: readonly number[] }
  /** 1 where row q sees a place of the cache or, behind those, a row of the run. [T, length + T] */
  | { kind: 'explicit'; visible: Uint8Array };

/**
 * Keys and values of settled places, one cache a sequence; place i holds position i unless a run with `full` or `explicit`
 * attention wrote others. Only the denoiser that made it looks inside.
 */
export interface KvCache {
  /** Cached places. */
  readonly length: number;
  /** Forgets places from `length` on (nothing is recomputed). */
  truncate(length: number): void;
  /** Copy that shares nothing. */
  clone(): KvCache;
  readonly sizeBytes: number;
}

/** One sequence's part of a forward. */
export interface ForwardRun {
  /** Tokens, masks included. [T] */
  ids: Int32Array;
  /** Absolute position of each token. [T] */
  positions: Int32Array;
  attention: AttentionPattern;
  /** What the run sees beside itself; null when there is nothing. */
  cache: KvCache | null;
  /** Keys and values of the first so many rows are appended to the cache. 0 to T */
  write: number;
  /** Rows of `ids` whose statistics are wanted, ascending. [M], may be empty when only writing. */
  query: Int32Array;
  /**
   * σ > 0, for a model that is told its noise level (`Dit`): each token was masked with probability 1 − e^(−σ). Default:
   * what the run's share of masks means.
   */
  noise?: number | undefined;
  /**
   * Models with self-conditioning: `Statistics.expected` of the forward before for each row, zeros where there was none.
   * Only the block of an `anchored` run reads it. [T, D]
   */
  expected?: Float32Array | undefined;
}

export interface StatisticsRequest {
  /** Candidates a row, 1 to V. */
  topK: number;
  /** Entropy costs a pass over V; ask for it only when the policy reads it. */
  entropy: boolean;
  /** When given, added to the logits before anything is computed from them, in the order of runs and rows. [sum of M, V] */
  logitBias?: Float32Array | undefined;
  /** Models with uniform noise: logits are divided by it before anything is computed from them, 1 by default. */
  logitTemperature?: number | undefined;
  /** Models with self-conditioning: `expected` is wanted. */
  expected?: boolean | undefined;
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
  /** The mean embedding under each distribution, [M, D]; only where asked for. */
  expected?: Float32Array | undefined;
}

export interface Denoiser {
  readonly config: ModelConfig;
  /** Bytes of the weights, once, and of the cache for each token. */
  readonly memory?: { weightBytes: number; placeBytes: number };
  /** Which token follows which in its corpus, where its folder says so. */
  readonly bigrams?: BigramTable | undefined;
  createCache(): KvCache;
  /** Runs all sequences in one forward. The result of a run does not depend on its neighbours. */
  forward(runs: readonly ForwardRun[], want: StatisticsRequest): Promise<Statistics[]>;
  close(): Promise<void>;
}

/** Positions start, start + 1, … [T] */
export const positionsFrom = (start: number, length: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => start + i);
