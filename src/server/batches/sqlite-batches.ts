/** Files and batches in SQLite. A worker holds a line by a lease; a dead one's lines come again when it has run out. */
import { randomUUID } from 'node:crypto';
import { usageWriter } from '../accounts/sqlite-accounts.ts';
import { durably } from '../accounts/sqlite.ts';
import type { Db } from '../accounts/sqlite.ts';
import type { UsageRow } from '../accounts/types.ts';
import type { Batch, BatchLine, BatchQueue, BatchStore, LineResult, StoredFile } from './types.ts';

const FINAL = `('failed', 'completed', 'expired', 'cancelled')`;

interface FileRecord {
  id: string;
  key_id: string | null;
  filename: string;
  purpose: StoredFile['purpose'];
  bytes: number;
  created_ms: number;
}

const fileOf = (record: FileRecord): StoredFile => ({
  id: record.id,
  keyId: record.key_id,
  filename: record.filename,
  purpose: record.purpose,
  bytes: record.bytes,
  createdMs: record.created_ms,
});

const batchOf = ({ data }: { data: string }): Batch => JSON.parse(data) as Batch;

export function sqliteBatches(db: Db): BatchStore {
  const columns = 'id, key_id, filename, purpose, bytes, created_ms';
  const sql = {
    putFile: db.prepare('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)'),
    file: db.prepare(`SELECT ${columns} FROM files WHERE id = ?`),
    content: db.prepare('SELECT content FROM files WHERE id = ?'),
    files: db.prepare(
      `SELECT ${columns} FROM files WHERE (? OR key_id IS ?) ORDER BY created_ms DESC, rowid DESC`,
    ),
    removeFile: db.prepare('DELETE FROM files WHERE id = ?'),
    insert: db.prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)'),
    same: db.prepare('SELECT data FROM batches WHERE key_id IS ? AND idempotency_key = ?'),
    batch: db.prepare('SELECT data FROM batches WHERE id = ?'),
    batches: db.prepare(
      'SELECT data FROM batches WHERE (? OR key_id IS ?) ORDER BY created_ms DESC, rowid DESC',
    ),
    unfinished: db.prepare(
      `SELECT data FROM batches WHERE status NOT IN ${FINAL} ORDER BY created_ms, rowid`,
    ),
    update: db.prepare('UPDATE batches SET status = ?, data = ? WHERE id = ?'),
    addLine: db.prepare('INSERT INTO lines (batch_id, line, custom_id, body) VALUES (?, ?, ?, ?)'),
    line: db.prepare(
      `SELECT lines.custom_id, lines.body FROM lines JOIN batches ON batches.id = batch_id
       WHERE batch_id = ? AND line = ? AND result IS NULL AND status = 'in_progress'`,
    ),
    finish: db.prepare(
      `UPDATE lines SET result = ?, status_code = ? WHERE batch_id = ? AND line = ? AND result IS NULL
       AND (SELECT status FROM batches WHERE id = batch_id) IN ('in_progress', 'cancelling')`,
    ),
    counts: db.prepare(
      `SELECT COUNT(*) FILTER (WHERE status_code < 400) AS completed, COUNT(*) FILTER (WHERE status_code >= 400) AS failed
       FROM lines WHERE batch_id = ?`,
    ),
    results: db.prepare('SELECT result FROM lines WHERE batch_id = ? ORDER BY line'),
    customIds: db.prepare('SELECT custom_id FROM lines WHERE batch_id = ? ORDER BY line'),
    expireFiles: db.prepare('DELETE FROM files WHERE created_ms < ?'),
    expireLines: db.prepare(
      `DELETE FROM lines WHERE batch_id IN (SELECT id FROM batches WHERE created_ms < ? AND status IN ${FINAL})`,
    ),
    expireBatches: db.prepare(`DELETE FROM batches WHERE created_ms < ? AND status IN ${FINAL}`),
  };
  const writeUsage = usageWriter(db);

  const addBatch = db.transaction((batch: Batch, lines: readonly BatchLine[]): Batch => {
    const { id, keyId, idempotencyKey, status, createdMs } = batch;
    const same = idempotencyKey === null ? undefined : sql.same.get(keyId, idempotencyKey);
    if (same !== undefined) return batchOf(same as { data: string });
    sql.insert.run(id, keyId, idempotencyKey, status, JSON.stringify(batch), createdMs);
    for (const [index, { customId, body }] of lines.entries()) sql.addLine.run(id, index, customId, body);
    return batch;
  });
  const change = db.transaction(
    (id: string, from: readonly Batch['status'][], fields: Partial<Batch>): boolean => {
      const record = sql.batch.get(id) as { data: string } | undefined;
      if (record === undefined) return false;
      const batch = batchOf(record);
      if (!from.includes(batch.status)) return false;
      const changed = { ...batch, ...fields };
      sql.update.run(changed.status, JSON.stringify(changed), id);
      return true;
    },
  );
  const finish = db.transaction(
    (id: string, index: number, result: LineResult, row: UsageRow | null): boolean => {
      if (sql.finish.run(JSON.stringify(result), result.statusCode, id, index).changes === 0) return false;
      if (row !== null) writeUsage([row]);
      return true;
    },
  );

  const expire = db.transaction((beforeMs: number): void => {
    sql.expireFiles.run(beforeMs);
    sql.expireLines.run(beforeMs);
    sql.expireBatches.run(beforeMs);
  });

  return {
    async addFile({ id, keyId, filename, purpose, bytes, createdMs }, content) {
      const blob = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
      durably(db, () => sql.putFile.run(id, keyId, filename, purpose, bytes, createdMs, blob));
    },
    async file(id) {
      const record = sql.file.get(id) as FileRecord | undefined;
      return record ? fileOf(record) : null;
    },
    async content(id) {
      return (sql.content.get(id) as { content: Buffer } | undefined)?.content ?? null;
    },
    files: async (keyId) =>
      (sql.files.all(keyId === undefined ? 1 : 0, keyId ?? null) as FileRecord[]).map(fileOf),
    removeFile: async (id) => sql.removeFile.run(id).changes > 0,
    addBatch: async (batch, lines) => durably(db, () => addBatch.immediate(batch, lines)),
    async batch(id) {
      const record = sql.batch.get(id) as { data: string } | undefined;
      return record ? batchOf(record) : null;
    },
    batches: async (keyId) =>
      (sql.batches.all(keyId === undefined ? 1 : 0, keyId ?? null) as { data: string }[]).map(batchOf),
    unfinished: async () => (sql.unfinished.all() as { data: string }[]).map(batchOf),
    change: async (id, from, fields) => durably(db, () => change.immediate(id, from, fields)),
    async line(id, index) {
      const record = sql.line.get(id, index) as { custom_id: string; body: string } | undefined;
      return record ? { customId: record.custom_id, body: record.body } : null;
    },
    finishLine: async (id, index, result, row) => durably(db, () => finish.immediate(id, index, result, row)),
    async counts(id) {
      const { completed, failed } = sql.counts.get(id) as { completed: number; failed: number };
      return { completed, failed };
    },
    results: async (id) =>
      (sql.results.all(id) as { result: string | null }[]).map(({ result }) =>
        result === null ? null : (JSON.parse(result) as LineResult),
      ),
    expire: async (beforeMs) => expire.immediate(beforeMs),
    customIds: async (id) => (sql.customIds.all(id) as { custom_id: string }[]).map((each) => each.custom_id),
  };
}

export interface SqliteQueueOptions {
  /** After so long without a sign of life of its worker a line is given to another. */
  leaseMs?: number;
  /** How often to look for lines that other processes added. */
  pollMs?: number;
  nowMs?: () => number;
  onError?: (error: unknown) => void;
}

/** How long a line rests that could not be answered now. */
const REST_MS = 1_000;

export function sqliteQueue(
  db: Db,
  { leaseMs = 10_000, pollMs = 500, nowMs = Date.now, onError = () => {} }: SqliteQueueOptions = {},
): BatchQueue {
  const claim = db.prepare(
    `UPDATE lines SET worker = ?, lease_ms = ? WHERE (batch_id, line) = (
       SELECT batch_id, line FROM lines JOIN batches ON batches.id = batch_id
       WHERE result IS NULL AND lease_ms <= ? AND batches.status = 'in_progress'
       ORDER BY batches.created_ms, batch_id, line LIMIT 1)
     RETURNING batch_id, line`,
  );
  const hold = db.prepare(
    'UPDATE lines SET lease_ms = ? WHERE worker = ? AND result IS NULL AND lease_ms > 0',
  );
  const rest = db.prepare('UPDATE lines SET lease_ms = ?, worker = NULL WHERE batch_id = ? AND line = ?');
  let kick = (): void => {};

  return {
    // The rows are the queue.
    add: async () => {},
    wake: () => kick(),
    work(handle, concurrency) {
      const worker = randomUUID();
      const closing = new AbortController();
      const wakers = new Set<() => void>();
      kick = () => {
        for (const wake of wakers) wake();
      };
      const idle = (): Promise<void> =>
        new Promise((resolve) => {
          const wake = (): void => {
            clearTimeout(timer);
            wakers.delete(wake);
            resolve();
          };
          const timer = setTimeout(wake, pollMs);
          wakers.add(wake);
        });
      const renewal = setInterval(() => {
        try {
          hold.run(nowMs() + leaseMs, worker);
        } catch (error) {
          onError(error);
        }
      }, leaseMs / 3).unref();

      const one = async (): Promise<void> => {
        while (!closing.signal.aborted) {
          try {
            const [line] = claim.all(worker, nowMs() + leaseMs, nowMs()) as {
              batch_id: string;
              line: number;
            }[];
            if (line === undefined) {
              await idle();
              continue;
            }
            await handle(line.batch_id, line.line).catch((error: unknown) => {
              rest.run(nowMs() + REST_MS, line.batch_id, line.line);
              onError(error);
            });
          } catch (error) {
            // The store is busy, full or gone: later.
            onError(error);
            await idle();
          }
        }
      };
      const all = Array.from({ length: concurrency }, one);
      return {
        async close() {
          closing.abort();
          clearInterval(renewal);
          kick();
          await Promise.all(all);
        },
      };
    },
  };
}
