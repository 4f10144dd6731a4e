/** Where a server keeps what must last: the SQLite file of a folder, or Redis where REDIS_URL names one. */
import { sqliteBatches, sqliteQueue } from '../batches/sqlite-batches.ts';
import type { Batches } from '../batches/types.ts';
import { openDatabase } from './sqlite.ts';
import { sqliteAccounts } from './sqlite-accounts.ts';
import type { Accounts } from './types.ts';

export interface OpenStore {
  accounts: Accounts;
  batches: Batches;
  close(): Promise<void>;
}

export interface OpenOptions {
  dir: string;
  /** `redis://…`; then `dir` is not used. */
  redisUrl?: string | undefined;
  onError?: (error: unknown) => void;
}

/** Errors: `io`; `unsupported` when Redis is asked for and its packages are not installed. */
export async function openStore({ dir, redisUrl, onError }: OpenOptions): Promise<OpenStore> {
  if (redisUrl !== undefined && redisUrl !== '') {
    // Loaded here: its packages are optional.
    const { openRedis } = await import('./open-redis.ts');
    return openRedis(redisUrl, onError);
  }
  const db = await openDatabase(dir);
  return {
    accounts: sqliteAccounts(db),
    batches: { store: sqliteBatches(db), queue: sqliteQueue(db, onError ? { onError } : {}) },
    close: async () => void db.close(),
  };
}
