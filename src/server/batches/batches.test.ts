import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkBatches } from '../../../tests/check-batches.ts';
import { openDatabase } from '../accounts/sqlite.ts';
import { sqliteAccounts } from '../accounts/sqlite-accounts.ts';
import { sqliteBatches, sqliteQueue } from './sqlite-batches.ts';
import type { Batch } from './types.ts';

const newDir = (): string => mkdtempSync(join(tmpdir(), 'tintype-batches-'));

checkBatches('SQLite', async () => {
  const dir = newDir();
  const db = await openDatabase(dir);
  return {
    accounts: sqliteAccounts(db),
    batches: { store: sqliteBatches(db), queue: sqliteQueue(db, { pollMs: 20 }) },
    close: async () => {
      db.close();
      rmSync(dir, { recursive: true });
    },
  };
});

describe('the queue in SQLite', () => {
  it('gives a line to another worker when the first shows no sign of life', async () => {
    const dir = newDir();
    const db = await openDatabase(dir);
    const store = sqliteBatches(db);
    let nowMs = 1_000_000;
    const queue = () => sqliteQueue(db, { nowMs: () => nowMs, leaseMs: 1_000_000, pollMs: 10 });
    const batch = { id: 'batch_1', keyId: null, idempotencyKey: null, status: 'in_progress', createdMs: 0 };
    await store.addBatch(batch as Batch, [{ customId: 'a', body: '{}' }]);
    const taken: string[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const dead = queue().work(async () => {
      taken.push('dead');
      await held;
    }, 1);
    await expect.poll(() => taken).toEqual(['dead']);
    const alive = queue().work(async () => void taken.push('alive'), 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toEqual(['dead']);
    nowMs += 1_000_001;
    await expect.poll(() => taken[1]).toBe('alive');
    release();
    await Promise.all([dead.close(), alive.close()]);
    db.close();
    rmSync(dir, { recursive: true });
  });
});
