/** Keys, usage and limits in Redis, for servers that share them. */
import type { Redis } from 'ioredis';
import { refill, takeRequest } from './limits.ts';
import type { Buckets } from './limits.ts';
import { name, replaceField } from './redis-client.ts';
import { monthOf } from './sqlite-accounts.ts';
import type {
  Accounts,
  ApiKey,
  KeyStore,
  Limiter,
  UsageQuery,
  UsageRow,
  UsageStore,
  UsageTotals,
} from './types.ts';

export const redisAccounts = (redis: Redis): Accounts => ({
  keys: redisKeys(redis),
  usage: redisUsage(redis),
  limiter: redisLimiter(redis),
});

function redisKeys(redis: Redis): KeyStore {
  const [keys, hashes, revoked] = [name('keys'), name('hashes'), name('revoked')];
  const keyOf = (json: string, revokedMs: string | null | undefined): ApiKey => ({
    ...(JSON.parse(json) as ApiKey),
    revokedMs: revokedMs ? Number(revokedMs) : null,
  });
  const get = async (id: string): Promise<ApiKey | null> => {
    const [json, revokedMs] = await Promise.all([redis.hget(keys, id), redis.hget(revoked, id)]);
    return json === null ? null : keyOf(json, revokedMs);
  };
  return {
    async add(key) {
      await redis.multi().hset(keys, key.id, JSON.stringify(key)).hset(hashes, key.hash, key.id).exec();
    },
    async list() {
      const [all, ends] = await Promise.all([redis.hgetall(keys), redis.hgetall(revoked)]);
      return Object.entries(all)
        .map(([id, json]) => keyOf(json, ends[id]))
        .sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
    },
    async find(hash) {
      const id = await redis.hget(hashes, hash);
      const key = id === null ? null : await get(id);
      return key === null || key.revokedMs !== null ? null : key;
    },
    get,
    async revoke(id, nowMs) {
      if ((await redis.hexists(keys, id)) === 0) return false;
      return (await redis.hsetnx(revoked, id, String(nowMs))) === 1;
    },
  };
}

/** Lua: `put(row, price, ms, id, keyId, month)` writes a row and keeps the sum of its month. */
export const PUT_USAGE = `
  local function put(row, price, ms, id, keyId, month)
    local key = '${name('usage')}:' .. id
    local before = tonumber(redis.call('HGET', key, 'price') or '0')
    redis.call('HSET', key, 'row', row, 'price', price)
    redis.call('ZADD', '${name('usages')}', ms, id)
    if keyId ~= '' then
      redis.call('ZADD', '${name('usages')}:' .. keyId, ms, id)
      local more = tonumber(price) - before
      if more ~= 0 then
        redis.call('HINCRBY', '${name('spent')}:' .. keyId, month, string.format('%.0f', more))
      end
    end
  end`;

/** The arguments of `put`. */
export const putArguments = (row: UsageRow): (string | number)[] => [
  JSON.stringify(row),
  row.priceNanos,
  row.createdMs,
  row.requestId,
  row.keyId ?? '',
  monthOf(row.createdMs),
];

/** Rows that are read at once. */
const CHUNK = 1_000;

function redisUsage(redis: Redis): UsageStore {
  const script = `${PUT_USAGE}
    put(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])`;

  async function* newestFirst({ keyId, sinceMs, untilMs }: UsageQuery): AsyncGenerator<UsageRow> {
    const index = keyId === undefined ? name('usages') : name('usages', keyId);
    for (let offset = 0; ; offset += CHUNK) {
      const most = untilMs === undefined ? '+inf' : `(${untilMs}`;
      const ids = await redis.zrevrangebyscore(index, most, sinceMs ?? '-inf', 'LIMIT', offset, CHUNK);
      const found = ids.length === 0 ? [] : await readAll(ids);
      for (const json of found) if (json !== null) yield JSON.parse(json) as UsageRow;
      if (ids.length < CHUNK) return;
    }
  }

  async function readAll(ids: readonly string[]): Promise<(string | null)[]> {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hget(name('usage', id), 'row');
    const answers = (await pipeline.exec()) ?? [];
    return answers.map(([error, json]) => {
      if (error) throw error;
      return json as string | null;
    });
  }

  return {
    // How durable that is, the server decides: `appendfsync always` waits for the disk.
    async write(rows) {
      const all = redis.multi();
      for (const row of rows) all.eval(script, 0, ...putArguments(row));
      for (const [error] of (await all.exec()) ?? []) if (error) throw error;
    },
    async rows(query) {
      const { limit = Infinity } = query;
      const rows: UsageRow[] = [];
      for await (const row of newestFirst(query)) {
        if (rows.length >= limit) break;
        rows.push(row);
      }
      return rows;
    },
    async totals(query) {
      const totals = new Map<string, UsageTotals>();
      for await (const row of newestFirst(query)) {
        const { keyId, model } = row;
        const key = JSON.stringify([keyId, model]);
        const sum = totals.get(key) ?? {
          keyId,
          model,
          requests: 0,
          promptTokens: 0,
          cachedTokens: 0,
          completionTokens: 0,
          priceNanos: 0,
        };
        sum.requests++;
        for (const field of ['promptTokens', 'cachedTokens', 'completionTokens', 'priceNanos'] as const)
          sum[field] += row[field];
        totals.set(key, sum);
      }
      const order = ({ keyId, model }: UsageTotals): string => `${keyId ?? ''} ${model}`;
      return [...totals.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
    },
    spentNanos: async (keyId, month) => Number((await redis.hget(name('spent', keyId), month)) ?? 0),
  };
}

function redisLimiter(redis: Redis): Limiter {
  /** JSON has no infinity. */
  const write = (buckets: Buckets): string => JSON.stringify(buckets);
  const read = (text: string | null, key: ApiKey): Buckets | null => {
    if (text === null) return null;
    const { requests, tokens, atMs } = JSON.parse(text) as Record<keyof Buckets, number | null>;
    return {
      requests: requests ?? key.requestsPerMinute ?? Infinity,
      tokens: tokens ?? key.tokensPerMinute ?? Infinity,
      atMs: atMs ?? 0,
    };
  };
  const change = <T>(
    key: ApiKey,
    nowMs: number,
    work: (full: Buckets) => { buckets: Buckets; state: T },
  ): Promise<T> =>
    replaceField(redis, name('buckets'), key.id, (before) => {
      const { buckets, state } = work(refill(read(before, key), key, nowMs));
      return { text: write(buckets), result: state };
    });
  return {
    take: (key, nowMs) => change(key, nowMs, (full) => takeRequest(full, key)),
    debit: (key, tokens, nowMs) =>
      change(key, nowMs, (full) => ({
        buckets: { ...full, tokens: full.tokens - tokens },
        state: undefined,
      })),
  };
}
