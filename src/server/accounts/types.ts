/** Keys, usage and limits, and where they are kept: interfaces that SQLite and Redis both fill. */
import type { TokenCounts } from '../../decode/engine-types.ts';

export const SCOPES = ['complete', 'chat', 'batch', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface ApiKey {
  id: string;
  name: string;
  /** SHA-256 of the secret, hexadecimal. */
  hash: string;
  /** The first letters of the secret, to tell keys apart. */
  hint: string;
  scopes: Scope[];
  /** Null: no limit. */
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  /** Of a calendar month (UTC), billionths of the currency of the prices. */
  budgetNanos: number | null;
  createdMs: number;
  revokedMs: number | null;
}

export interface KeyStore {
  add(key: ApiKey): Promise<void>;
  /** Oldest first, revoked ones too. */
  list(): Promise<ApiKey[]>;
  /** A key that is not revoked. */
  find(hash: string): Promise<ApiKey | null>;
  /** By id, revoked or not. */
  get(id: string): Promise<ApiKey | null>;
  /** False when there is no such key, or no longer. */
  revoke(id: string, nowMs: number): Promise<boolean>;
}

/**
 * - `sending`: asked, and nothing is written yet. Not billed: whoever dies here may not have answered.
 * - `streaming`: pieces are being delivered; what was is billed.
 * - `answered`: the last byte was handed to the socket; billed.
 * - `left`: the client went away; a whole answer is not billed, a stream for what was delivered.
 * - `failed`: refused or broken; not billed.
 */
export type UsageState = 'sending' | 'streaming' | 'answered' | 'left' | 'failed';

export interface UsageRow extends TokenCounts {
  requestId: string;
  /** Null where the server is open. */
  keyId: string | null;
  model: string;
  /** Path that was asked. */
  route: string;
  /** HTTP status. */
  status: number;
  state: UsageState;
  /** What is billed, billionths of the currency of the prices; 0 as long as nothing is. */
  priceNanos: number;
  /** Unix time of the request, milliseconds. */
  createdMs: number;
}

export interface UsageQuery {
  /** Undefined: of all. */
  keyId?: string | undefined;
  /** Unix time in milliseconds, included. */
  sinceMs?: number | undefined;
  /** Excluded. */
  untilMs?: number | undefined;
  /** At most so many rows, the newest. */
  limit?: number | undefined;
}

export interface UsageTotals extends TokenCounts {
  keyId: string | null;
  model: string;
  requests: number;
  priceNanos: number;
}

export interface UsageStore {
  /** Adds rows, or replaces those of the same request. @param durable survives a loss of power, not only of the process */
  write(rows: readonly UsageRow[], durable: boolean): Promise<void>;
  /** Newest first. */
  rows(query: UsageQuery): Promise<UsageRow[]>;
  /** By key and model. */
  totals(query: UsageQuery): Promise<UsageTotals[]>;
  /** Billed in a month, `2026-11`. */
  spentNanos(keyId: string, month: string): Promise<number>;
}

/** How full two buckets are; they fill again evenly, a whole one in a minute. */
export interface LimitState {
  /** Null when this request may run; else the time until one may, milliseconds. */
  waitMs: number | null;
  /** What ran out. */
  exhausted: 'requests' | 'tokens' | null;
  /** Left now; tokens below 0 are owed. */
  requests: number;
  tokens: number;
}

export interface Limiter {
  /** Takes one request, if there is one and tokens are not exhausted. */
  take(key: ApiKey, nowMs: number): Promise<LimitState>;
  /** Takes tokens that were used. */
  debit(key: ApiKey, tokens: number, nowMs: number): Promise<void>;
}

export interface Accounts {
  keys: KeyStore;
  usage: UsageStore;
  limiter: Limiter;
}
