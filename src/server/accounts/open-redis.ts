/** Everything that must last, in Redis. */
import { redisBatches, redisQueue } from '../batches/redis-batches.ts';
import type { OpenStore } from './open.ts';
import { redisAccounts } from './redis-accounts.ts';
import { connectRedis } from './redis-client.ts';

/** Errors: `unsupported` without bullmq and ioredis; `io` when Redis does not answer. */
export async function openRedis(url: string, onError?: (error: unknown) => void): Promise<OpenStore> {
  const redis = await connectRedis(url);
  const queue = await redisQueue(url, onError ? { onError } : {});
  return {
    accounts: redisAccounts(redis),
    batches: { store: redisBatches(redis), queue },
    async close() {
      await queue.close();
      await redis.quit();
    },
  };
}
