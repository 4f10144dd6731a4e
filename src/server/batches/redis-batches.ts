/** Files and batches in Redis, and BullMQ as their queue. */
import type { Redis } from 'ioredis';
import { PUT_USAGE, putArguments } from '../accounts/redis-accounts.ts';
import { name, optional, PREFIX, replaceField } from '../accounts/redis-client.ts';
import type { Batch, BatchLine, BatchQueue, BatchStore, LineResult, StoredFile } from './types.ts';

const FINAL: readonly Batch['status'][] = ['failed', 'completed', 'expired', 'cancelled'];

/** Lines that are written at once. */
const CHUNK = 1_000;

/** The batch, or the id of the one that was there first. */
const ADD_BATCH = `
  if ARGV[3] ~= '' then
    local same = redis.call('HGET', KEYS[2], ARGV[3])
    if same then return same end
    redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
  end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  return ARGV[1]`;

const FINISH_LINE = `${PUT_USAGE}
  local json = redis.call('HGET', KEYS[1], ARGV[1])
  if not json then return 0 end
  local status = cjson.decode(json).status
  if status ~= 'in_progress' and status ~= 'cancelling' then return 0 end
  if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
  if redis.call('HSETNX', KEYS[3], ARGV[2], ARGV[3]) == 0 then return 0 end
  redis.call('HINCRBY', KEYS[4], ARGV[4], 1)
  if ARGV[5] ~= '' then put(ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]) end
  return 1`;

const onceOf = (keyId: string | null, idempotencyKey: string): string =>
  JSON.stringify([keyId, idempotencyKey]);

export function redisBatches(redis: Redis): BatchStore {
  const [files, batches, same] = [name('files'), name('batches'), name('idempotency')];
  const lines = (id: string): string => name('lines', id);
  const results = (id: string): string => name('results', id);
  const counts = (id: string): string => name('counts', id);
  const newestFirst = <T extends { createdMs: number; id: string }>(all: T[]): T[] =>
    all.sort((a, b) => b.createdMs - a.createdMs || (a.id < b.id ? 1 : -1));
  const read = async <T extends { createdMs: number; id: string; keyId: string | null }>(
    hash: string,
    keyId: string | null | undefined,
  ): Promise<T[]> =>
    newestFirst(
      (await redis.hvals(hash))
        .map((json) => JSON.parse(json) as T)
        .filter((item) => keyId === undefined || item.keyId === keyId),
    );
  const one = async <T>(hash: string, id: string): Promise<T | null> => {
    const json = await redis.hget(hash, id);
    return json === null ? null : (JSON.parse(json) as T);
  };

  /** By line, however many. */
  async function byLine(hash: string, total: number): Promise<(string | null)[]> {
    const all: (string | null)[] = [];
    for (let from = 0; from < total; from += CHUNK) {
      const fields = Array.from({ length: Math.min(CHUNK, total - from) }, (_, index) =>
        String(from + index),
      );
      all.push(...(await redis.hmget(hash, ...fields)));
    }
    return all;
  }

  return {
    async addFile(file, content) {
      const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
      const done = await redis
        .multi()
        .set(name('file', file.id), bytes)
        .hset(files, file.id, JSON.stringify(file))
        .exec();
      for (const [error] of done ?? []) if (error) throw error;
    },
    file: (id) => one<StoredFile>(files, id),
    content: (id) => redis.getBuffer(name('file', id)),
    files: (keyId) => read<StoredFile>(files, keyId),
    async removeFile(id) {
      await redis.del(name('file', id));
      return (await redis.hdel(files, id)) > 0;
    },
    async addBatch(batch, all) {
      for (let from = 0; from < all.length; from += CHUNK) {
        const some = all
          .slice(from, from + CHUNK)
          .flatMap((line, index) => [String(from + index), JSON.stringify(line)]);
        await redis.hset(lines(batch.id), ...some);
      }
      const once = batch.idempotencyKey === null ? '' : onceOf(batch.keyId, batch.idempotencyKey);
      const id = (await redis.eval(
        ADD_BATCH,
        2,
        batches,
        same,
        batch.id,
        JSON.stringify(batch),
        once,
      )) as string;
      if (id === batch.id) return batch;
      await redis.del(lines(batch.id));
      return (await one<Batch>(batches, id))!;
    },
    batch: (id) => one<Batch>(batches, id),
    batches: (keyId) => read<Batch>(batches, keyId),
    unfinished: async () =>
      (await read<Batch>(batches, undefined)).filter(({ status }) => !FINAL.includes(status)).reverse(),
    change: (id, from, fields) =>
      replaceField(redis, batches, id, (before) => {
        const batch = before === null ? null : (JSON.parse(before) as Batch);
        if (batch === null || !from.includes(batch.status)) return { text: null, result: false };
        return { text: JSON.stringify({ ...batch, ...fields }), result: true };
      }),
    async line(id, index) {
      const [batch, json, result] = await Promise.all([
        one<Batch>(batches, id),
        redis.hget(lines(id), String(index)),
        redis.hexists(results(id), String(index)),
      ]);
      if (batch?.status !== 'in_progress' || json === null || result === 1) return null;
      return JSON.parse(json) as BatchLine;
    },
    async finishLine(id, index, result, row) {
      const kind = result.statusCode < 400 ? 'completed' : 'failed';
      const done = await redis.eval(
        FINISH_LINE,
        4,
        batches,
        lines(id),
        results(id),
        counts(id),
        id,
        String(index),
        JSON.stringify(result),
        kind,
        ...(row === null ? [''] : putArguments(row)),
      );
      return done === 1;
    },
    async counts(id) {
      const [completed, failed] = await redis.hmget(counts(id), 'completed', 'failed');
      return { completed: Number(completed ?? 0), failed: Number(failed ?? 0) };
    },
    async results(id) {
      const total = await redis.hlen(lines(id));
      return (await byLine(results(id), total)).map((json) =>
        json === null ? null : (JSON.parse(json) as LineResult),
      );
    },
    async expire(beforeMs) {
      for (const { id, createdMs } of await read<StoredFile>(files, undefined)) {
        if (createdMs >= beforeMs) continue;
        await redis.del(name('file', id));
        await redis.hdel(files, id);
      }
      for (const { id, createdMs, status, keyId, idempotencyKey } of await read<Batch>(batches, undefined)) {
        if (createdMs >= beforeMs || !FINAL.includes(status)) continue;
        await redis.del(lines(id), results(id), counts(id));
        if (idempotencyKey !== null) await redis.hdel(same, onceOf(keyId, idempotencyKey));
        // Last: what is interrupted is found again.
        await redis.hdel(batches, id);
      }
    },
    async customIds(id) {
      const total = await redis.hlen(lines(id));
      return (await byLine(lines(id), total)).map((json) => (JSON.parse(json!) as BatchLine).customId);
    },
  };
}

const QUEUE = 'lines';
/** How long a line rests that could not be answered now. */
const REST_MS = 1_000;
/** As often as it takes: the batch itself expires. */
const ALWAYS = 1_000_000;

interface QueueOptions {
  /** After so long without a sign of life of its worker a line is given to another. */
  leaseMs?: number;
  onError?: (error: unknown) => void;
}

/** Errors: `unsupported` without the package. */
export async function redisQueue(
  url: string,
  { leaseMs = 15_000, onError = () => {} }: QueueOptions = {},
): Promise<BatchQueue & { close(): Promise<void> }> {
  const { Queue, Worker } = await optional(() => import('bullmq'));
  const common = { connection: { url, maxRetriesPerRequest: null }, prefix: name('queue') };
  const queue = new Queue<{ batchId: string; index: number }>(QUEUE, common);
  queue.on('error', onError);
  return {
    async add(batchId, total) {
      for (let from = 0; from < total; from += CHUNK) {
        await queue.addBulk(
          Array.from({ length: Math.min(CHUNK, total - from) }, (_, at) => ({
            name: PREFIX,
            data: { batchId, index: from + at },
            opts: {
              jobId: `${batchId}-${from + at}`,
              attempts: ALWAYS,
              backoff: { type: 'fixed', delay: REST_MS },
              removeOnComplete: true,
              removeOnFail: true,
            },
          })),
        );
      }
    },
    wake() {},
    work(handle, concurrency) {
      const worker = new Worker<{ batchId: string; index: number }>(
        QUEUE,
        ({ data: { batchId, index } }) => handle(batchId, index),
        {
          ...common,
          concurrency,
          lockDuration: leaseMs,
          stalledInterval: leaseMs,
          maxStalledCount: ALWAYS,
        },
      );
      worker.on('error', onError);
      return { close: () => worker.close() };
    },
    close: () => queue.close(),
  };
}
