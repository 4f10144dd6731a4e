/** What every store of accounts must do. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKey } from '../src/server/accounts/keys.ts';
import type { Accounts, ApiKey, UsageRow } from '../src/server/accounts/types.ts';

const NOVEMBER_MS = Date.UTC(2026, 10, 25, 12);

export const row = (requestId: string, more: Partial<UsageRow> = {}): UsageRow => ({
  requestId,
  keyId: 'key_1',
  model: 'tintype-code',
  route: '/v1/completions',
  status: 200,
  state: 'sending',
  promptTokens: 12,
  cachedTokens: 5,
  completionTokens: 4,
  priceNanos: 0,
  createdMs: NOVEMBER_MS,
  ...more,
});

export const newKey = (more: Partial<ApiKey> = {}): ApiKey => ({
  ...createKey(
    {
      name: 'a name',
      scopes: ['complete', 'chat'],
      requestsPerMinute: 60,
      tokensPerMinute: null,
      budgetNanos: 5e9,
    },
    NOVEMBER_MS,
  ).key,
  ...more,
});

export interface OpenAccounts {
  accounts: Accounts;
  close: () => Promise<void>;
}

export function checkAccounts(name: string, open: () => Promise<OpenAccounts>): void {
  describe(`accounts in ${name}`, () => {
    let opened: OpenAccounts;
    let accounts: Accounts;
    beforeEach(async () => {
      opened = await open();
      accounts = opened.accounts;
    });
    afterEach(() => opened.close());

    it('keep keys, find them by hash, and forget revoked ones once', async () => {
      const [one, two] = [newKey(), newKey({ createdMs: NOVEMBER_MS + 1, name: 'two' })];
      await accounts.keys.add(one);
      await accounts.keys.add(two);
      expect(await accounts.keys.list()).toEqual([one, two]);
      expect(await accounts.keys.find(two.hash)).toEqual(two);
      expect(await accounts.keys.find('0')).toBeNull();
      expect(await accounts.keys.get(one.id)).toEqual(one);
      expect(await accounts.keys.get('key_none')).toBeNull();
      expect(await accounts.keys.revoke(one.id, NOVEMBER_MS + 9)).toBe(true);
      expect(await accounts.keys.revoke(one.id, NOVEMBER_MS + 10)).toBe(false);
      expect(await accounts.keys.revoke('key_none', NOVEMBER_MS)).toBe(false);
      expect(await accounts.keys.find(one.hash)).toBeNull();
      expect((await accounts.keys.list())[0].revokedMs).toBe(NOVEMBER_MS + 9);
    });

    it('keep one row a request, and the sum of a month in step with its rows', async () => {
      const { usage } = accounts;
      await usage.write([row('a'), row('b', { keyId: null })], true);
      expect(await usage.spentNanos('key_1', '2026-11')).toBe(0);
      await usage.write([row('a', { state: 'streaming', priceNanos: 3000 })], false);
      await usage.write([row('a', { state: 'answered', priceNanos: 5650 })], false);
      await usage.write([row('a', { state: 'answered', priceNanos: 5650 })], false);
      await usage.write([row('c', { priceNanos: 7, createdMs: Date.UTC(2026, 11, 1) })], false);
      expect(await usage.spentNanos('key_1', '2026-11')).toBe(5650);
      expect(await usage.spentNanos('key_1', '2026-12')).toBe(7);
      expect(await usage.spentNanos('key_2', '2026-11')).toBe(0);
      expect(await usage.rows({ keyId: 'key_1', untilMs: NOVEMBER_MS + 1 })).toEqual([
        row('a', { state: 'answered', priceNanos: 5650 }),
      ]);
    });

    it('tell rows newest first and totals by key and model, within a time', async () => {
      const { usage } = accounts;
      const rows = [0, 1, 2, 3].map((at) =>
        row(`r${at}`, {
          createdMs: NOVEMBER_MS + at,
          keyId: at === 3 ? null : 'key_1',
          model: at === 0 ? 'other' : 'tintype-code',
          priceNanos: 10 ** at,
        }),
      );
      await usage.write(rows, false);
      const ids = async (query: Parameters<typeof usage.rows>[0]) =>
        (await usage.rows(query)).map(({ requestId }) => requestId);
      expect(await ids({})).toEqual(['r3', 'r2', 'r1', 'r0']);
      expect(await ids({ limit: 2 })).toEqual(['r3', 'r2']);
      expect(await ids({ keyId: 'key_1', sinceMs: NOVEMBER_MS + 1 })).toEqual(['r2', 'r1']);
      expect(await ids({ untilMs: NOVEMBER_MS + 1 })).toEqual(['r0']);
      const counts = { promptTokens: 12, cachedTokens: 5, completionTokens: 4, requests: 1 };
      const twice = { promptTokens: 24, cachedTokens: 10, completionTokens: 8, requests: 2 };
      expect(await usage.totals({})).toEqual([
        { keyId: null, model: 'tintype-code', ...counts, priceNanos: 1000 },
        { keyId: 'key_1', model: 'other', ...counts, priceNanos: 1 },
        { keyId: 'key_1', model: 'tintype-code', ...twice, priceNanos: 110 },
      ]);
      expect(await usage.totals({ keyId: 'nobody' })).toEqual([]);
    });

    it('let as many requests through as a minute has, and refill evenly', async () => {
      const { limiter } = accounts;
      const key = newKey({ requestsPerMinute: 3, tokensPerMinute: null });
      for (const requests of [2, 1, 0])
        expect(await limiter.take(key, NOVEMBER_MS)).toMatchObject({ waitMs: null, requests });
      const refused = await limiter.take(key, NOVEMBER_MS);
      expect(refused).toMatchObject({ waitMs: 20_000, exhausted: 'requests', requests: 0 });
      expect(refused.tokens).toBe(Infinity);
      expect((await limiter.take(key, NOVEMBER_MS + 19_000)).waitMs).toBe(1_000);
      expect((await limiter.take(key, NOVEMBER_MS + 20_000)).waitMs).toBeNull();
      expect((await limiter.take(newKey({ requestsPerMinute: 1 }), NOVEMBER_MS)).waitMs).toBeNull();
    });

    it('let tokens be overdrawn once, and wait until they are back', async () => {
      const { limiter } = accounts;
      const key = newKey({ requestsPerMinute: null, tokensPerMinute: 600 });
      expect((await limiter.take(key, NOVEMBER_MS)).waitMs).toBeNull();
      await limiter.debit(key, 800, NOVEMBER_MS);
      expect(await limiter.take(key, NOVEMBER_MS)).toMatchObject({
        waitMs: 20_100,
        exhausted: 'tokens',
        tokens: -200,
      });
      expect((await limiter.take(key, NOVEMBER_MS + 20_100)).waitMs).toBeNull();
    });
  });
}
