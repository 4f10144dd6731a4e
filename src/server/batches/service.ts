/**
 * The work on batches: lines are asked of the server's own app, results are kept once, ended batches become files.
 * Every step may be repeated, by this process or by another after its death, and has its effect once: a result and its
 * row of usage are one transaction that only the first wins (`finishLine`), statuses change by comparison (`change`),
 * and output files have ids that follow from the batch.
 */
import { monthOf } from '../accounts/sqlite-accounts.ts';
import type { Accounts, UsageRow } from '../accounts/types.ts';
import type { Bindings } from '../deps.ts';
import { KEPT_MS } from './types.ts';
import type { Batch, Batches, LineResult } from './types.ts';

export interface ServiceOptions {
  batches: Batches;
  accounts: Accounts;
  /** The app. */
  fetch: (request: Request, bindings: Bindings) => Response | Promise<Response>;
  /** Lines at a time in this process; interactive requests have the rest of the engine. */
  concurrency?: number;
  sweepMs?: number;
  /** After which files and final batches are forgotten. */
  keepMs?: number | undefined;
  nowMs?: () => number;
  onError?: (error: unknown) => void;
}

export interface BatchService {
  /** Looks after batches that end: called now and then, and by tests. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

const EXPIRE_EVERY_MS = 3_600_000;

/** The server has no room now; the line is tried again. */
const LATER = [429, 499, 502, 503, 504];

const OUTCOME_TIME = { completed: 'completed', expired: 'expired', cancelled: 'cancelled' } as const;

export function startBatches(options: ServiceOptions): BatchService {
  const { batches, accounts, fetch, concurrency = 2, sweepMs = 1_000, nowMs = Date.now } = options;
  const { onError = () => {}, keepMs = KEPT_MS } = options;
  const { store, queue } = batches;
  const closing = new AbortController();

  /** Why the key may not ask any more, as an answer. */
  async function refusal(keyId: string | null): Promise<{ status: number; body: string } | null> {
    if (keyId === null) return null;
    const error = (status: number, type: string, code: string, message: string) => ({
      status,
      body: JSON.stringify({ error: { message, type, param: null, code } }),
    });
    const key = await accounts.keys.get(keyId);
    if (key === null || key.revokedMs !== null)
      return error(401, 'authentication_error', 'invalid_api_key', 'the key of this batch was revoked');
    if (key.budgetNanos === null) return null;
    return (await accounts.usage.spentNanos(keyId, monthOf(nowMs()))) >= key.budgetNanos
      ? error(402, 'account_error', 'insufficient_quota', 'the budget of this key is used up for this month')
      : null;
  }

  /** The lines of a batch are in the queue for a moment before its status says so. */
  async function begun(id: string): Promise<Batch | null> {
    for (let waitMs = 5; waitMs < 500; waitMs *= 2) {
      const batch = await store.batch(id);
      if (batch?.status !== 'validating') return batch;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    throw new Error('the batch is not in progress yet');
  }

  async function runLine(batchId: string, index: number): Promise<void> {
    const batch = await begun(batchId);
    const line = await store.line(batchId, index);
    if (batch === null || line === null) return;
    const requestId = `req_${batchId}_${index}`;
    const finish = async (statusCode: number, body: string, row: UsageRow | null): Promise<void> => {
      await store.finishLine(batchId, index, { customId: line.customId, statusCode, requestId, body }, row);
      const { completed, failed } = await store.counts(batchId);
      if (completed + failed === batch.total) await end(batch, 'completed');
    };
    const refused = await refusal(batch.keyId);
    if (refused) return finish(refused.status, refused.body, null);
    const internal: Bindings['internal'] = { keyId: batch.keyId, row: null };
    const request = new Request(`http://internal${batch.endpoint}`, {
      method: 'POST',
      body: line.body,
      signal: closing.signal,
    });
    const response = await fetch(request, { internal });
    const body = await response.text();
    if (LATER.includes(response.status)) throw new Error(`the line got status ${response.status}`);
    const row = internal.row && { ...internal.row, requestId };
    return finish(response.status, body, row);
  }

  /** Begins to end a batch; `write` goes on, here or in the next sweep. */
  async function end(batch: Batch, outcome: NonNullable<Batch['outcome']>): Promise<void> {
    const times = { ...batch.times, finalizing: nowMs() };
    const fields = { status: 'finalizing' as const, outcome, times };
    const from = outcome === 'cancelled' ? (['cancelling'] as const) : (['in_progress'] as const);
    if (await store.change(batch.id, from, fields)) await write({ ...batch, ...fields });
  }

  /** Output files and the final status of a batch whose results no longer change. */
  async function write(batch: Batch): Promise<void> {
    const outcome = batch.outcome!;
    const [results, customIds] = await Promise.all([store.results(batch.id), store.customIds(batch.id)]);
    const good: string[] = [];
    const bad: string[] = [];
    for (const [index, result] of results.entries()) {
      const line = JSON.stringify(wireLine(batch, index, customIds[index], result));
      if (result !== null && result.statusCode < 400) good.push(line);
      else if (result !== null || outcome === 'expired') bad.push(line);
    }
    const keep = async (kind: 'output' | 'error', lines: readonly string[]): Promise<string | null> => {
      if (lines.length === 0) return null;
      const content = Buffer.from(`${lines.join('\n')}\n`);
      const id = `file-${batch.id.slice('batch_'.length)}-${kind}`;
      await store.addFile(
        {
          id,
          keyId: batch.keyId,
          filename: `${batch.id}_${kind}.jsonl`,
          purpose: 'batch_output',
          bytes: content.length,
          createdMs: nowMs(),
        },
        content,
      );
      return id;
    };
    const outputFileId = await keep('output', good);
    const errorFileId = await keep('error', bad);
    const times = { ...batch.times, [OUTCOME_TIME[outcome]]: nowMs() };
    await store.change(batch.id, ['finalizing'], { status: outcome, outputFileId, errorFileId, times });
  }

  async function tend(batch: Batch): Promise<void> {
    switch (batch.status) {
      // Whoever made it died before all its lines waited.
      case 'validating':
        if (nowMs() - batch.createdMs > 5_000) await begin(batches, batch, nowMs());
        return;
      case 'in_progress': {
        if (nowMs() >= batch.expiresMs) return end(batch, 'expired');
        const { completed, failed } = await store.counts(batch.id);
        if (completed + failed === batch.total) await end(batch, 'completed');
        return;
      }
      case 'cancelling':
        return end(batch, 'cancelled');
      case 'finalizing':
        return write(batch);
      default:
    }
  }

  let expiredMs = -Infinity;
  const sweepAll = async (): Promise<void> => {
    for (const batch of await store.unfinished()) await tend(batch);
    if (nowMs() - expiredMs < EXPIRE_EVERY_MS) return;
    await store.expire(nowMs() - keepMs);
    expiredMs = nowMs();
  };
  /** One sweep after the other. */
  let sweeping: Promise<void> = Promise.resolve();
  const sweep = (): Promise<void> => {
    const done = sweeping.then(sweepAll);
    sweeping = done.catch(onError);
    return done;
  };
  const timer = setInterval(() => void sweep().catch(() => {}), sweepMs).unref();
  const worker = queue.work(runLine, concurrency);
  return {
    sweep,
    async close() {
      clearInterval(timer);
      // What is running now goes back to the queue.
      closing.abort();
      await worker.close();
      await sweeping;
    },
  };
}

/** Puts the lines of a new batch in the queue. */
export async function begin({ store, queue }: Batches, batch: Batch, nowMs: number): Promise<void> {
  await queue.add(batch.id, batch.total);
  await store.change(batch.id, ['validating'], {
    status: 'in_progress',
    times: { ...batch.times, in_progress: nowMs },
  });
  queue.wake();
}

/** A line of an output or error file. */
function wireLine({ id }: Batch, index: number, customId: string, result: LineResult | null): object {
  return {
    id: `batch_req_${id.slice('batch_'.length)}_${index}`,
    custom_id: customId,
    response: result && {
      status_code: result.statusCode,
      request_id: result.requestId,
      body: JSON.parse(result.body) as unknown,
    },
    error: result
      ? null
      : { code: 'batch_expired', message: 'the batch expired before this request was answered' },
  };
}
