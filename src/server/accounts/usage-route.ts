/** `GET /v1/usage`: what was used and what it cost. */
import { z } from 'zod';
import { route } from '../deps.ts';
import type { Ctx, Route } from '../deps.ts';
import { fromZod } from '../errors.ts';
import { toMoney } from './prices.ts';
import type { Ledger } from './ledger.ts';
import { storageError } from './storage-error.ts';
import type { Accounts, UsageQuery, UsageRow, UsageTotals } from './types.ts';

const MOST_ROWS = 1000;

/** Seconds since 1970, or a date such as `2026-11-01`, or a date with a time. To milliseconds. */
export const time = z.string().transform((text, context) => {
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isSafeInteger(ms)) return ms;
  context.addIssue({ code: 'custom', message: 'expected seconds since 1970 or a date such as 2026-11-01' });
  return z.NEVER;
});

const query = z.object({
  since: time.optional(),
  until: time.optional(),
  limit: z.coerce
    .number({ error: `expected a whole number from 0 to ${MOST_ROWS}` })
    .int()
    .min(0)
    .max(MOST_ROWS)
    .default(100),
  key_id: z.string().optional(),
});

/** Keys see their own usage; those with the scope `admin`, and whoever asks an open server, see all. */
export const usageRoute = ({ usage }: Accounts, ledger: Ledger): Route =>
  route({
    method: 'get',
    path: '/v1/usage',
    tag: 'tintype',
    summary: 'What was used and what it cost: since, until, limit, key_id',
    answer: async (c: Ctx) => {
      const asked = query.safeParse(c.req.query());
      if (!asked.success) throw fromZod(asked.error);
      const { since, until, limit, key_id: wanted } = asked.data;
      const { key } = c.var;
      const isAdmin = key === null || key.scopes.includes('admin');
      const keyId = isAdmin ? wanted : key.id;
      const range: UsageQuery = { keyId, sinceMs: since, untilMs: until };
      await ledger.flush();
      const [rows, totals] = await Promise.all([
        limit === 0 ? [] : usage.rows({ ...range, limit }),
        usage.totals(range),
      ]).catch(storageError);
      return c.json({ object: 'list', data: rows.map(wireRow), totals: totals.map(wireTotals) });
    },
  });

export const wireRow = (row: UsageRow) => ({
  object: 'usage',
  request_id: row.requestId,
  key_id: row.keyId,
  model: row.model,
  route: row.route,
  status: row.status,
  state: row.state,
  prompt_tokens: row.promptTokens,
  cached_tokens: row.cachedTokens,
  completion_tokens: row.completionTokens,
  price: toMoney(row.priceNanos),
  created_at: Math.floor(row.createdMs / 1000),
});

export const wireTotals = (total: UsageTotals) => ({
  key_id: total.keyId,
  model: total.model,
  requests: total.requests,
  prompt_tokens: total.promptTokens,
  cached_tokens: total.cachedTokens,
  completion_tokens: total.completionTokens,
  price: toMoney(total.priceNanos),
});
