/** Making secrets, and what is kept of them. */
import { createHash, randomBytes } from 'node:crypto';
import type { ApiKey, Scope } from './types.ts';

export interface KeyWishes {
  name: string;
  scopes: Scope[];
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  budgetNanos: number | null;
}

/**
 * SHA-256 and not a slow hash: a secret has 256 random bits, so there is nothing to guess, and every request is checked.
 */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** A key and its secret, which is kept nowhere. */
export function createKey(wishes: KeyWishes, nowMs: number): { key: ApiKey; secret: string } {
  const secret = `tt-${randomBytes(32).toString('base64url')}`;
  const key: ApiKey = {
    id: `key_${randomBytes(9).toString('hex')}`,
    ...wishes,
    hash: hashOf(secret),
    hint: secret.slice(0, 8),
    createdMs: nowMs,
    revokedMs: null,
  };
  return { key, secret };
}
