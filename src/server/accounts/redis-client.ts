/** The connection to Redis, and the one primitive that keys, limits and batches need beyond its commands. */
import type { Redis } from 'ioredis';
import { TintypeError } from '../../errors.ts';

export const PREFIX = 'tintype';
export const name = (...parts: (string | number)[]): string => [PREFIX, ...parts].join(':');

/** Errors: `unsupported` without the packages; `io` when nobody answers. */
export async function connectRedis(url: string): Promise<Redis> {
  const { Redis } = await optional(() => import('ioredis'));
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 2 });
  let last: Error | null = null;
  // Without a listener every lost connection would be printed.
  redis.on('error', (error: Error) => (last = error));
  try {
    await redis.connect();
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    const cause = last ?? error;
    throw new TintypeError('io', {
      what: 'cannot reach the Redis server that REDIS_URL names',
      got: cause instanceof Error ? cause.message : String(cause),
      next: 'start it, or unset REDIS_URL to keep everything in a file',
      cause,
    });
  }
}

/** Errors: `unsupported` when a package is not installed. */
export async function optional<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new TintypeError('unsupported', {
      what: 'REDIS_URL is set, but the packages for Redis are not installed',
      next: 'npm install bullmq ioredis, or unset REDIS_URL',
      cause,
    });
  }
}

const REPLACE = `
  if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return 1`;

const MOST_TRIES = 100;

/**
 * Replaces a field of a hash by what `next` makes of it; another's write in between begins it anew. `next` returns null
 * to leave it.
 */
export async function replaceField<T>(
  redis: Redis,
  hash: string,
  field: string,
  next: (before: string | null) => { text: string | null; result: T },
): Promise<T> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const before = await redis.hget(hash, field);
    const { text, result } = next(before);
    if (text === null) return result;
    if ((await redis.eval(REPLACE, 1, hash, field, before ?? '', text)) === 1) return result;
  }
  throw new Error(`${hash} changes too often`);
}
