/**
 * When usage is written, and what that promises.
 *
 * A process can die between any two instructions, so "billed" and "answered" cannot become true together. The order is:
 * 1. `commit` a row that bills nothing, and wait until it is in the store. 2. Write the answer. 3. When the socket has
 * taken its last byte, note the price. A death after 1 leaves a row that says `sending`; one after 2 leaves an answer
 * whose row is there and not billed. So what was answered is never lost from the ledger, what was not answered is never
 * billed, and the doubt in between goes to the customer. A stream is the same in small: its row is committed before its
 * first byte, and the price follows what the socket has taken. Nothing needs to be repaired at the next start.
 *
 * Rows committed by several requests at once share one transaction, and so one wait for the disk.
 */
import type { UsageRow, UsageStore } from './types.ts';

export interface Ledger {
  /** Resolves when the row is in the store. Rejects with the error of the store. */
  commit(row: UsageRow): Promise<void>;
  /** Writes the row soon. */
  later(row: UsageRow): void;
  /** Writes what waits. */
  flush(): Promise<void>;
}

export interface LedgerOptions {
  store: Pick<UsageStore, 'write'>;
  /** `commit` waits for the disk, so that a loss of power loses nothing. */
  durable?: boolean;
  /** How long `later` may wait. */
  delayMs?: number;
  /** Told when what waits could not be written; it stays and is tried again. */
  onError?: (error: unknown) => void;
}

interface Waiting {
  row: UsageRow;
  resolve: () => void;
  reject: (error: unknown) => void;
}

const DELAY_MS = 40;
/** After a failure, such as a full disk. */
const RETRY_MS = 1_000;

export function createLedger({
  store,
  durable = true,
  delayMs = DELAY_MS,
  onError = () => {},
}: LedgerOptions): Ledger {
  let commits: Waiting[] = [];
  const late = new Map<string, UsageRow>();
  let timer: NodeJS.Timeout | null = null;
  /** Writes one after the other: a later row of a request must not be overtaken by an earlier one. */
  let last: Promise<void> = Promise.resolve();

  const inOrder = (work: () => Promise<void>): Promise<void> => (last = last.then(work, work));

  const writeCommits = async (): Promise<void> => {
    const batch = commits;
    commits = [];
    if (batch.length === 0) return;
    try {
      await store.write(
        batch.map(({ row }) => row),
        durable,
      );
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };

  const writeLate = async (): Promise<void> => {
    if (late.size === 0) return;
    const batch = [...late.values()];
    late.clear();
    try {
      await store.write(batch, false);
    } catch (error) {
      for (const row of batch) if (!late.has(row.requestId)) late.set(row.requestId, row);
      onError(error);
      schedule(RETRY_MS);
    }
  };

  const schedule = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      void inOrder(writeLate);
    }, ms).unref();
  };

  return {
    commit(row) {
      return new Promise((resolve, reject) => {
        commits.push({ row, resolve, reject });
        // The first of a turn of the event loop writes for all that come in the same turn.
        if (commits.length === 1) setImmediate(() => void inOrder(writeCommits));
      });
    },
    later(row) {
      late.set(row.requestId, row);
      schedule(delayMs);
    },
    async flush() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await inOrder(writeLate);
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
