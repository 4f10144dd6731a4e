/** Keys, usage and limits in SQLite. Calls are synchronous inside; several processes may share the file. */
import { refill, takeRequest } from './limits.ts';
import type { Buckets } from './limits.ts';
import { durably } from './sqlite.ts';
import type { Db } from './sqlite.ts';
import type {
  Accounts,
  ApiKey,
  KeyStore,
  Limiter,
  Scope,
  UsageQuery,
  UsageRow,
  UsageState,
  UsageStore,
} from './types.ts';

export const sqliteAccounts = (db: Db): Accounts => ({
  keys: sqliteKeys(db),
  usage: sqliteUsage(db),
  limiter: sqliteLimiter(db),
});

/** UTC. */
export const monthOf = (ms: number): string => new Date(ms).toISOString().slice(0, 7);

interface KeyRecord {
  id: string;
  name: string;
  hash: string;
  hint: string;
  scopes: string;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  budget_nanos: number | null;
  created_ms: number;
  revoked_ms: number | null;
}

const keyOf = (record: KeyRecord): ApiKey => ({
  id: record.id,
  name: record.name,
  hash: record.hash,
  hint: record.hint,
  scopes: record.scopes.split(' ') as Scope[],
  requestsPerMinute: record.requests_per_minute,
  tokensPerMinute: record.tokens_per_minute,
  budgetNanos: record.budget_nanos,
  createdMs: record.created_ms,
  revokedMs: record.revoked_ms,
});

function sqliteKeys(db: Db): KeyStore {
  const insert = db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const list = db.prepare('SELECT * FROM keys ORDER BY created_ms, id');
  const find = db.prepare('SELECT * FROM keys WHERE hash = ? AND revoked_ms IS NULL');
  const get = db.prepare('SELECT * FROM keys WHERE id = ?');
  const revoke = db.prepare('UPDATE keys SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL');
  return {
    async add(key) {
      const { requestsPerMinute, tokensPerMinute, budgetNanos, createdMs, revokedMs } = key;
      const limits = [requestsPerMinute, tokensPerMinute, budgetNanos];
      durably(db, () =>
        insert.run(
          key.id,
          key.name,
          key.hash,
          key.hint,
          key.scopes.join(' '),
          ...limits,
          createdMs,
          revokedMs,
        ),
      );
    },
    list: async () => (list.all() as KeyRecord[]).map(keyOf),
    async find(hash) {
      const record = find.get(hash) as KeyRecord | undefined;
      return record ? keyOf(record) : null;
    },
    async get(id) {
      const record = get.get(id) as KeyRecord | undefined;
      return record ? keyOf(record) : null;
    },
    revoke: async (id, nowMs) => durably(db, () => revoke.run(nowMs, id).changes) > 0,
  };
}

interface UsageRecord {
  request_id: string;
  key_id: string | null;
  model: string;
  route: string;
  status: number;
  state: string;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  price_nanos: number;
  created_ms: number;
}

/** Writes rows inside a transaction that the caller has begun, and keeps the sums of months. */
export function usageWriter(db: Db): (rows: readonly UsageRow[]) => void {
  const before = db.prepare('SELECT price_nanos FROM usage WHERE request_id = ?');
  const upsert = db.prepare('INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const add = db.prepare(
    'INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET nanos = nanos + excluded.nanos',
  );
  return (rows) => {
    for (const row of rows) {
      const old = before.get(row.requestId) as { price_nanos: number } | undefined;
      const { promptTokens, cachedTokens, completionTokens, priceNanos } = row;
      const counts = [promptTokens, cachedTokens, completionTokens, priceNanos];
      upsert.run(
        row.requestId,
        row.keyId,
        row.model,
        row.route,
        row.status,
        row.state,
        ...counts,
        row.createdMs,
      );
      const more = priceNanos - (old?.price_nanos ?? 0);
      if (row.keyId !== null && more !== 0) add.run(row.keyId, monthOf(row.createdMs), more);
    }
  };
}

function sqliteUsage(db: Db): UsageStore {
  const write = db.transaction(usageWriter(db));
  const where = 'WHERE (? IS NULL OR key_id = ?) AND created_ms >= ? AND created_ms < ?';
  const argumentsOf = ({ keyId, sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER }: UsageQuery) =>
    [keyId ?? null, keyId ?? null, sinceMs, untilMs] as const;
  const rows = db.prepare(`SELECT * FROM usage ${where} ORDER BY created_ms DESC, rowid DESC LIMIT ?`);
  const totals = db.prepare(
    `SELECT key_id, model, COUNT(*) AS requests, SUM(prompt_tokens) AS prompt_tokens,
       SUM(cached_tokens) AS cached_tokens, SUM(completion_tokens) AS completion_tokens, SUM(price_nanos) AS price_nanos
     FROM usage ${where} GROUP BY key_id, model ORDER BY key_id, model`,
  );
  const spent = db.prepare('SELECT nanos FROM spent WHERE key_id = ? AND month = ?');
  const countsOf = (record: Omit<UsageRecord, 'request_id'> | UsageRecord) => ({
    promptTokens: record.prompt_tokens,
    cachedTokens: record.cached_tokens,
    completionTokens: record.completion_tokens,
    priceNanos: record.price_nanos,
  });
  return {
    async write(batch, durable) {
      if (durable) durably(db, () => write.immediate(batch));
      else write.immediate(batch);
    },
    rows: async (query) =>
      (rows.all(...argumentsOf(query), query.limit ?? -1) as UsageRecord[]).map((record) => ({
        requestId: record.request_id,
        keyId: record.key_id,
        model: record.model,
        route: record.route,
        status: record.status,
        state: record.state as UsageState,
        ...countsOf(record),
        createdMs: record.created_ms,
      })),
    totals: async (query) =>
      (totals.all(...argumentsOf(query)) as (UsageRecord & { requests: number })[]).map((record) => ({
        keyId: record.key_id,
        model: record.model,
        requests: record.requests,
        ...countsOf(record),
      })),
    spentNanos: async (keyId, month) =>
      (spent.get(keyId, month) as { nanos: number } | undefined)?.nanos ?? 0,
  };
}

interface BucketsRecord {
  requests: number | null;
  tokens: number | null;
  at_ms: number;
}

function sqliteLimiter(db: Db): Limiter {
  const read = db.prepare('SELECT requests, tokens, at_ms FROM buckets WHERE key_id = ?');
  const put = db.prepare('INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?)');
  const full = (key: ApiKey, nowMs: number): Buckets => {
    const record = read.get(key.id) as BucketsRecord | undefined;
    // A limit that was not there before begins with a full bucket.
    const known = record && {
      requests: record.requests ?? key.requestsPerMinute ?? Infinity,
      tokens: record.tokens ?? key.tokensPerMinute ?? Infinity,
      atMs: record.at_ms,
    };
    return refill(known ?? null, key, nowMs);
  };
  const finite = (level: number): number | null => (Number.isFinite(level) ? level : null);
  const save = (key: ApiKey, { requests, tokens, atMs }: Buckets): unknown =>
    put.run(key.id, finite(requests), finite(tokens), Math.round(atMs));
  const take = db.transaction((key: ApiKey, nowMs: number) => {
    const { state, buckets } = takeRequest(full(key, nowMs), key);
    save(key, buckets);
    return state;
  });
  const debit = db.transaction((key: ApiKey, tokens: number, nowMs: number) => {
    const buckets = full(key, nowMs);
    save(key, { ...buckets, tokens: buckets.tokens - tokens });
  });
  return {
    take: async (key, nowMs) => take.immediate(key, nowMs),
    debit: async (key, tokens, nowMs) => debit.immediate(key, tokens, nowMs),
  };
}
