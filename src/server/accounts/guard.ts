/** Who may ask, and how much: keys, scopes, rates, budgets. Refusals have OpenAI's shapes and headers. */
import type { MiddlewareHandler } from 'hono';
import type { Ctx, Env } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { hashOf } from './keys.ts';
import { limitHeaders } from './limits.ts';
import { needOf } from './scopes.ts';
import { monthOf } from './sqlite-accounts.ts';
import { storageError } from './storage-error.ts';
import type { Accounts, ApiKey } from './types.ts';

export interface GuardOptions {
  accounts: Accounts;
  nowMs?: () => number;
}

/** Sets `c.var.key`. Errors: 401, 402, 403, 429, 503. */
export function guard({ accounts, nowMs = Date.now }: GuardOptions): MiddlewareHandler<Env> {
  return async (c, next) => {
    const need = needOf(c.req.path);
    // Requests of batches were checked when the batch was made.
    if (need === 'open' || c.env?.internal !== undefined) return next();
    const key = await checkKey(c, accounts);
    if (need !== 'any' && !key.scopes.includes(need)) {
      throw new HttpError(
        403,
        `this key may not do that: it lacks the scope "${need}"; it has ${key.scopes.join(', ')}`,
        { code: 'insufficient_permissions' },
      );
    }
    c.set('key', key);
    if (need === 'chat' || need === 'complete' || need === 'batch')
      await checkLimits(c, accounts, key, nowMs());
    return next();
  };
}

async function checkKey(c: Ctx, { keys }: Accounts): Promise<ApiKey> {
  const secret = secretOf(c);
  if (secret === null) {
    c.var.headers['www-authenticate'] = 'Bearer';
    throw new HttpError(401, 'this server asks for a key: send it as "Authorization: Bearer tt-…"', {
      code: 'missing_api_key',
    });
  }
  const key = await keys.find(hashOf(secret)).catch(storageError);
  if (key !== null) return key;
  c.var.headers['www-authenticate'] = 'Bearer error="invalid_token"';
  throw new HttpError(401, 'the key is wrong or was revoked; "tintype keys list" shows those that are not', {
    code: 'invalid_api_key',
  });
}

/** Mercury's and Continue's clients also send `x-api-key`. */
function secretOf(c: Ctx): string | null {
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '') ?? [];
  return bearer ?? c.req.header('x-api-key') ?? null;
}

async function checkLimits(c: Ctx, accounts: Accounts, key: ApiKey, nowMs: number): Promise<void> {
  // Without money answers can still be fetched, only not asked for.
  const isAsking = c.req.method === 'POST' && c.req.path !== '/v1/files' && !c.req.path.endsWith('/cancel');
  if (key.budgetNanos !== null && isAsking) {
    const spent = await accounts.usage.spentNanos(key.id, monthOf(nowMs)).catch(storageError);
    if (spent >= key.budgetNanos) {
      throw new HttpError(402, 'the budget of this key is used up for this month', {
        code: 'insufficient_quota',
      });
    }
  }
  if (key.requestsPerMinute === null && key.tokensPerMinute === null) return;
  const state = await accounts.limiter.take(key, nowMs).catch(storageError);
  Object.assign(c.var.headers, limitHeaders(key, state));
  if (state.waitMs === null) return;
  const limit =
    state.exhausted === 'tokens' ? `${key.tokensPerMinute} tokens` : `${key.requestsPerMinute} requests`;
  throw new HttpError(
    429,
    `this key may use ${limit} a minute; ask again in ${(state.waitMs / 1000).toFixed(1)} s`,
    { code: 'rate_limit_reached' },
    Math.max(1, Math.ceil(state.waitMs / 1000)),
  );
}
