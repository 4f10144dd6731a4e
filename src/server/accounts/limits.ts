/** Token buckets: full at first, refilled evenly, a whole one in a minute. */
import type { ApiKey, LimitState } from './types.ts';

export interface Buckets {
  requests: number;
  tokens: number;
  atMs: number;
}

const MINUTE_MS = 60_000;

/** How full they are now. Without a limit a bucket is bottomless. */
export function refill(buckets: Buckets | null, key: ApiKey, nowMs: number): Buckets {
  const elapsedMs = buckets ? Math.max(0, nowMs - buckets.atMs) : 0;
  const level = (most: number | null, before: number | undefined): number =>
    most === null ? Infinity : Math.min(most, (before ?? most) + (elapsedMs * most) / MINUTE_MS);
  return {
    requests: level(key.requestsPerMinute, buckets?.requests),
    tokens: level(key.tokensPerMinute, buckets?.tokens),
    atMs: nowMs,
  };
}

/**
 * Whether a request may run, and the buckets after it. Tokens are known only afterwards, so a request needs one token to
 * begin and its real number is debited when it is over; what it overdraws, later ones wait for.
 */
export function takeRequest(full: Buckets, key: ApiKey): { state: LimitState; buckets: Buckets } {
  const requestsWaitMs = waitMs(1 - full.requests, key.requestsPerMinute);
  const tokensWaitMs = waitMs(1 - full.tokens, key.tokensPerMinute);
  const isRefused = requestsWaitMs > 0 || tokensWaitMs > 0;
  const requests = isRefused ? full.requests : full.requests - 1;
  return {
    state: {
      waitMs: isRefused ? Math.max(requestsWaitMs, tokensWaitMs) : null,
      exhausted: !isRefused ? null : tokensWaitMs > requestsWaitMs ? 'tokens' : 'requests',
      requests,
      tokens: full.tokens,
    },
    buckets: { ...full, requests },
  };
}

/** Sums of fractions may miss a whole one by this. */
const ROUNDING = 1e-6;

const waitMs = (missing: number, perMinute: number | null): number =>
  perMinute === null || missing <= ROUNDING
    ? 0
    : Math.ceil((missing * MINUTE_MS) / perMinute - ROUNDING * MINUTE_MS);

/** OpenAI's headers. */
export function limitHeaders(key: ApiKey, { requests, tokens }: LimitState): Record<string, string> {
  const of = (name: string, most: number | null, left: number): Record<string, string> =>
    most === null
      ? {}
      : {
          [`x-ratelimit-limit-${name}`]: String(most),
          [`x-ratelimit-remaining-${name}`]: String(Math.max(0, Math.floor(left))),
          [`x-ratelimit-reset-${name}`]: `${(((most - left) / most) * 60).toFixed(3)}s`,
        };
  return {
    ...of('requests', key.requestsPerMinute, requests),
    ...of('tokens', key.tokensPerMinute, tokens),
  };
}
