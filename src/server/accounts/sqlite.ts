/** The SQLite file of a server: write-ahead log, a schema with a version, short transactions. */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type Database from 'libsql';
import { TintypeError } from '../../errors.ts';

export type Db = Database.Database;

/** Each is run once, in order; never change one, add another. */
const MIGRATIONS = [
  `CREATE TABLE keys (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, scopes TEXT NOT NULL,
     requests_per_minute INTEGER, tokens_per_minute INTEGER, budget_nanos INTEGER,
     created_ms INTEGER NOT NULL, revoked_ms INTEGER
   ) STRICT;
   CREATE TABLE usage (
     request_id TEXT PRIMARY KEY, key_id TEXT, model TEXT NOT NULL, route TEXT NOT NULL, status INTEGER NOT NULL,
     state TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
     completion_tokens INTEGER NOT NULL, price_nanos INTEGER NOT NULL, created_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX usage_by_time ON usage (created_ms);
   CREATE INDEX usage_by_key ON usage (key_id, created_ms);
   CREATE TABLE spent (
     key_id TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL, PRIMARY KEY (key_id, month)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE buckets (
     key_id TEXT PRIMARY KEY, requests REAL, tokens REAL, at_ms INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE files (
     id TEXT PRIMARY KEY, key_id TEXT, filename TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
     created_ms INTEGER NOT NULL, content BLOB NOT NULL
   ) STRICT;
   CREATE TABLE batches (
     id TEXT PRIMARY KEY, key_id TEXT, idempotency_key TEXT, status TEXT NOT NULL, data TEXT NOT NULL,
     created_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX batches_by_key ON batches (key_id, idempotency_key);
   CREATE INDEX batches_by_status ON batches (status);
   CREATE TABLE lines (
     batch_id TEXT NOT NULL, line INTEGER NOT NULL, custom_id TEXT NOT NULL, body TEXT NOT NULL,
     result TEXT, status_code INTEGER, worker TEXT, lease_ms INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (batch_id, line)
   ) STRICT;
   CREATE INDEX lines_waiting ON lines (batch_id, line) WHERE result IS NULL;`,
];

/** Where a server keeps its files: TINTYPE_DATA_DIR, else the user's data folder. */
export const dataDir = (): string =>
  process.env.TINTYPE_DATA_DIR ??
  join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'tintype');

export const databasePath = (dir: string): string => join(dir, 'tintype.db');

/** How long one process waits for another's transaction. */
const BUSY_MS = 5_000;

/** Opens `<dir>/tintype.db`, or another file with tables of its own; made where there is none. Errors: `io`. */
export async function openDatabase(
  dir: string,
  path = databasePath(dir),
  migrations: readonly string[] = MIGRATIONS,
): Promise<Db> {
  // Loaded here, so that commands without accounts do not wait for it.
  const { default: Database } = await import('libsql');
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const db = new Database(path);
    db.pragma(`busy_timeout = ${BUSY_MS}`);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    migrate(db, migrations);
    return db;
  } catch (cause) {
    throw new TintypeError('io', {
      what: `cannot open ${path}`,
      got: cause instanceof Error ? cause.message : String(cause),
      next: 'name a folder that can be written with --data or TINTYPE_DATA_DIR',
      cause,
    });
  }
}

function migrate(db: Db, migrations: readonly string[]): void {
  db.transaction(() => {
    const done = pragmaNumber(db, 'user_version');
    if (done > migrations.length) throw new Error('it was written by a newer tintype');
    for (const sql of migrations.slice(done)) db.exec(sql);
    if (done < migrations.length) db.exec(`PRAGMA user_version = ${migrations.length}`);
  }).immediate();
}

/** libsql answers pragmas with rows, better-sqlite3's `simple` notwithstanding. */
function pragmaNumber(db: Db, name: string): number {
  const [row] = db.prepare(`PRAGMA ${name}`).all() as Record<string, number>[];
  return row[name];
}

/** Runs `work` so that its commit is on the disk when this returns: without it only a loss of power can undo a commit. */
export function durably<T>(db: Db, work: () => T): T {
  db.pragma('synchronous = FULL');
  try {
    return work();
  } finally {
    db.pragma('synchronous = NORMAL');
  }
}
