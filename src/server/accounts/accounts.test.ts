/** What every store of accounts must do; run against SQLite here and against Redis where there is one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkAccounts, row } from '../../../tests/check-accounts.ts';
import { needsKeys } from './index.ts';
import { createKey, hashOf } from './keys.ts';
import { createLedger } from './ledger.ts';
import { DEFAULT_PRICES, priceNanos } from './prices.ts';
import { openDatabase } from './sqlite.ts';
import { sqliteAccounts } from './sqlite-accounts.ts';
import type { UsageRow } from './types.ts';

const dirs: string[] = [];
const newDir = (): string => {
  dirs.push(mkdtempSync(join(tmpdir(), 'tintype-accounts-')));
  return dirs.at(-1)!;
};
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

checkAccounts('SQLite', async () => {
  const db = await openDatabase(newDir());
  return { accounts: sqliteAccounts(db), close: async () => void db.close() };
});

const wishes = {
  name: 'a',
  scopes: ['complete' as const],
  requestsPerMinute: null,
  tokensPerMinute: null,
  budgetNanos: null,
};

describe('keys', () => {
  it('keep a hash of a long random secret', () => {
    const { key, secret } = createKey(wishes, 0);
    expect(secret).toMatch(/^tt-[\w-]{43}$/);
    expect(key.hash).toBe(hashOf(secret));
    expect(JSON.stringify(key)).not.toContain(secret);
    expect(createKey(wishes, 0).secret).not.toBe(secret);
  });

  it('are needed from the first one on, and where others can come', async () => {
    const db = await openDatabase(newDir());
    const accounts = sqliteAccounts(db);
    expect(await needsKeys(accounts, { host: '127.0.0.1', noKeys: false })).toBe(false);
    expect(await needsKeys(accounts, { host: '::1', noKeys: false })).toBe(false);
    await expect(needsKeys(accounts, { host: '0.0.0.0', noKeys: false })).rejects.toThrow('--no-keys');
    expect(await needsKeys(accounts, { host: '0.0.0.0', noKeys: true })).toBe(false);
    const { key } = createKey(wishes, 0);
    await accounts.keys.add(key);
    expect(await needsKeys(accounts, { host: '127.0.0.1', noKeys: false })).toBe(true);
    expect(await needsKeys(accounts, { host: '0.0.0.0', noKeys: false })).toBe(true);
    await accounts.keys.revoke(key.id, 1);
    await expect(needsKeys(accounts, { host: '0.0.0.0', noKeys: false })).rejects.toThrow();
    db.close();
  });
});

describe('prices', () => {
  it('are for a million tokens, cached ones a tenth of the others', () => {
    const counts = { promptTokens: 1_000_000, cachedTokens: 400_000, completionTokens: 1_000_000 };
    expect(priceNanos(DEFAULT_PRICES, 'any', counts)).toBe(0.6 * 0.25e9 + 0.4 * 0.025e9 + 1e9);
    const own = { ...DEFAULT_PRICES, models: { big: { input: 2, cached: 1, output: 8 } } };
    expect(priceNanos(own, 'big', counts)).toBe(1.2e9 + 0.4e9 + 8e9);
    expect(priceNanos(own, 'constructor', counts)).toBe(priceNanos(DEFAULT_PRICES, 'any', counts));
  });
});

describe('the database', () => {
  it('can be opened by two at once, and says what to do when it cannot be opened', async () => {
    const dir = newDir();
    const [one, two] = [await openDatabase(dir), await openDatabase(dir)];
    await sqliteAccounts(one).usage.write([row('a')], true);
    expect(await sqliteAccounts(two).usage.rows({})).toHaveLength(1);
    one.close();
    two.close();
    await expect(openDatabase('/dev/null/x')).rejects.toMatchObject({
      code: 'io',
      parts: { next: expect.stringContaining('--data') },
    });
  });

  it('of a newer version is left alone', async () => {
    const dir = newDir();
    const db = await openDatabase(dir);
    db.exec('PRAGMA user_version = 99');
    db.close();
    await expect(openDatabase(dir)).rejects.toThrow('newer');
  });
});

describe('the ledger', () => {
  it('writes what comes together together, in order', async () => {
    const written: [string[], boolean][] = [];
    const ledger = createLedger({
      store: {
        write: async (rows, durable) => void written.push([rows.map((each) => each.requestId), durable]),
      },
    });
    await Promise.all([ledger.commit(row('a')), ledger.commit(row('b'))]);
    ledger.later(row('a', { state: 'answered' }));
    ledger.later(row('a', { state: 'left' }));
    await ledger.flush();
    expect(written).toEqual([
      [['a', 'b'], true],
      [['a'], false],
    ]);
  });

  it('refuses when the store does, and keeps what waits', async () => {
    let isFull = true;
    const errors: unknown[] = [];
    const written: UsageRow[] = [];
    const ledger = createLedger({
      store: {
        write: async (rows) => {
          if (isFull) throw new Error('database or disk is full');
          written.push(...rows);
        },
      },
      onError: (error) => errors.push(error),
    });
    await expect(ledger.commit(row('a'))).rejects.toThrow('full');
    ledger.later(row('b'));
    await ledger.flush();
    expect(errors).toHaveLength(1);
    isFull = false;
    await ledger.flush();
    expect(written.map((each) => each.requestId)).toEqual(['b']);
    await ledger.commit(row('c'));
  });
});
