/** Files and batches, where they are kept, and who works on them: interfaces that SQLite and Redis both fill. */
import type { UsageRow } from '../accounts/types.ts';

/** How long files and final batches are kept, by default. */
export const KEPT_MS = 30 * 86_400_000;

export interface StoredFile {
  /** `file-…`; the name that a client gave is never a path. */
  id: string;
  /** Null where the server is open. */
  keyId: string | null;
  filename: string;
  purpose: 'batch' | 'batch_output';
  bytes: number;
  createdMs: number;
}

/** `validating` until every line waits for a worker. The last four are final. */
export type BatchStatus =
  | 'validating'
  | 'in_progress'
  | 'cancelling'
  | 'finalizing'
  | 'failed'
  | 'completed'
  | 'expired'
  | 'cancelled';

export interface BatchError {
  code: string;
  message: string;
  param: string | null;
  /** From 1. */
  line: number | null;
}

export interface Batch {
  id: string;
  keyId: string | null;
  /** Repeating a request with the same one gives the same batch. */
  idempotencyKey: string | null;
  endpoint: string;
  inputFileId: string;
  outputFileId: string | null;
  errorFileId: string | null;
  status: BatchStatus;
  /** What `finalizing` ends as. */
  outcome: 'completed' | 'expired' | 'cancelled' | null;
  errors: BatchError[];
  total: number;
  metadata: Record<string, string>;
  createdMs: number;
  expiresMs: number;
  /** When it came to a status, Unix time in milliseconds. */
  times: Partial<Record<BatchStatus, number>>;
}

/** One request of a batch. */
export interface BatchLine {
  customId: string;
  /** JSON. */
  body: string;
}

export interface LineResult {
  customId: string;
  statusCode: number;
  requestId: string;
  /** JSON. */
  body: string;
}

export interface BatchStore {
  /** Replaces a file of the same id. */
  addFile(file: StoredFile, content: Uint8Array): Promise<void>;
  file(id: string): Promise<StoredFile | null>;
  content(id: string): Promise<Uint8Array | null>;
  /** Of one key, newest first; undefined: all. */
  files(keyId: string | null | undefined): Promise<StoredFile[]>;
  removeFile(id: string): Promise<boolean>;

  /** The batch, or the one that the same key has begun with the same idempotency key. */
  addBatch(batch: Batch, lines: readonly BatchLine[]): Promise<Batch>;
  batch(id: string): Promise<Batch | null>;
  /** Of one key, newest first; undefined: all. */
  batches(keyId: string | null | undefined): Promise<Batch[]>;
  /** Those that are not final. */
  unfinished(): Promise<Batch[]>;
  /** Sets fields if the status is one of `from`; false when it is not. Two that ask at once never both get true. */
  change(id: string, from: readonly BatchStatus[], fields: Partial<Batch>): Promise<boolean>;

  /** Null when it is done or the batch is not in progress. */
  line(id: string, index: number): Promise<BatchLine | null>;
  /**
   * The result of a line and its row of usage, together, unless it has a result or the batch is over: then false, and
   * nothing is written. So a line is answered and billed once, however often it ran.
   */
  finishLine(id: string, index: number, result: LineResult, row: UsageRow | null): Promise<boolean>;
  /** `failed`: a status of 400 or more. */
  counts(id: string): Promise<{ completed: number; failed: number }>;
  /** By line; null where there is none. */
  results(id: string): Promise<(LineResult | null)[]>;
  /** Custom ids by line. */
  customIds(id: string): Promise<string[]>;

  /** Forgets files and final batches that were made before. */
  expire(beforeMs: number): Promise<void>;
}

/** Works on one line. Rejects when it should be tried again later. */
export type LineHandler = (batchId: string, index: number) => Promise<void>;

export interface BatchQueue {
  /** Lines 0 to total - 1 wait for a worker. May be repeated. */
  add(batchId: string, total: number): Promise<void>;
  /** There is a batch in progress. */
  wake(): void;
  /** Hands lines of all batches to the handler, some at once, until closed; a line whose worker died comes again. */
  work(handle: LineHandler, concurrency: number): { close(): Promise<void> };
}

export interface Batches {
  store: BatchStore;
  queue: BatchQueue;
}
