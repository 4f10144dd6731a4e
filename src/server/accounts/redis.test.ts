/** The same as with SQLite, against a real Redis server; skipped with a reason where there is none. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAccounts } from '../../../tests/check-accounts.ts';
import { checkBatches } from '../../../tests/check-batches.ts';
import { missingRedis, startRedis, type RedisProcess } from '../../../tests/redis-server.ts';
import { openRedis } from './open-redis.ts';
import { connectRedis } from './redis-client.ts';

const missing = missingRedis();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('Redis', () => {
  let server: RedisProcess;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  const open = async () => {
    const redis = await connectRedis(server.url);
    await redis.flushall();
    await redis.quit();
    return openRedis(server.url);
  };
  checkAccounts('Redis', open);
  checkBatches('Redis', open);

  it('lets two servers share one limit', async () => {
    const { newKey } = await import('../../../tests/check-accounts.ts');
    const [one, two] = [await open(), await openRedis(server.url)];
    const key = newKey({ requestsPerMinute: 10 });
    const states = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? one : two).accounts.limiter.take(key, 1_000_000)),
    );
    expect(states.filter(({ waitMs }) => waitMs === null)).toHaveLength(10);
    await one.close();
    await two.close();
  });
});

describe('without Redis', () => {
  it('says what to do', async () => {
    await expect(openRedis('redis://127.0.0.1:1')).rejects.toMatchObject({
      code: 'io',
      parts: { next: expect.stringContaining('REDIS_URL') },
    });
  });
});
