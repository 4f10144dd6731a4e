/** The app with accounts in a new SQLite file, over a fake engine. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { accountsParts } from '../src/server/accounts/index.ts';
import { hashOf } from '../src/server/accounts/keys.ts';
import { DEFAULT_PRICES } from '../src/server/accounts/prices.ts';
import { openDatabase } from '../src/server/accounts/sqlite.ts';
import { sqliteAccounts } from '../src/server/accounts/sqlite-accounts.ts';
import type { Route } from '../src/server/deps.ts';
import type { ApiKey, UsageStore } from '../src/server/accounts/types.ts';
import { newKey } from './check-accounts.ts';
import { createFakeEngine, type FakeEngine } from './fake-engine.ts';
import { serverRig } from './server-rig.ts';

export const NOW_MS = Date.UTC(2026, 10, 25, 12);

/** A server with keys by their secrets. */
export async function accountsRig(
  keys: Record<string, Partial<ApiKey>> | null,
  engine: FakeEngine = createFakeEngine(),
  routes: readonly Route[] = [],
) {
  const dir = mkdtempSync(join(tmpdir(), 'tintype-http-'));
  const db = await openDatabase(dir);
  const close = (): void => {
    db.close();
    rmSync(dir, { recursive: true });
  };
  const accounts = sqliteAccounts(db);
  for (const [secret, key] of Object.entries(keys ?? {}))
    await accounts.keys.add(
      newKey({
        id: `key_${secret}`,
        requestsPerMinute: null,
        budgetNanos: null,
        ...key,
        hash: hashOf(secret),
      }),
    );
  let nowMs = NOW_MS;
  const parts = accountsParts({
    accounts,
    prices: DEFAULT_PRICES,
    keys: keys !== null,
    logger: pino({ enabled: false }),
    nowMs: () => nowMs,
  });
  const served = serverRig(engine, { ...parts, routes: [...parts.routes, ...routes] });
  const post = (secret: string, path: string, body: unknown) =>
    served.post(path, body, { headers: { authorization: `Bearer ${secret}` } });
  const get = (secret: string, path: string) =>
    served.app.request(path, { headers: { authorization: `Bearer ${secret}` } });
  const rows = async (query: Parameters<UsageStore['rows']>[0] = {}) => {
    await parts.ledger.flush();
    return accounts.usage.rows(query);
  };
  const wait = (ms: number): unknown => (nowMs += ms);
  return { ...served, post, get, rows, wait, db, accounts, open: served.post, close };
}
