/** Between answers and their clients: one row of usage a request, in the order that `ledger.ts` explains. */
import type { MiddlewareHandler } from 'hono';
import type { TokenCounts } from '../../decode/engine-types.ts';
import type { Ctx, Env } from '../deps.ts';
import type { Ledger } from './ledger.ts';
import { priceNanos } from './prices.ts';
import type { Prices } from './prices.ts';
import { isMetered } from './scopes.ts';
import { storageError } from './storage-error.ts';
import type { Accounts, UsageRow, UsageState } from './types.ts';

export interface MeterOptions {
  accounts: Accounts;
  ledger: Ledger;
  prices: Prices;
  nowMs?: () => number;
}

/** Errors: 503 when the row cannot be written; then the answer is not given. */
export function meter({ accounts, ledger, prices, nowMs = Date.now }: MeterOptions): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!isMetered(c.req.path)) return next();
    const createdMs = nowMs();
    const rowOf = (
      state: UsageState,
      counts: TokenCounts,
      isBilled: boolean,
      status = c.var.log.status ?? c.res.status,
    ): UsageRow => {
      const { model = '' } = c.var.log;
      return {
        requestId: c.var.requestId,
        keyId: c.var.key?.id ?? c.env?.internal?.keyId ?? null,
        model,
        route: c.req.path,
        status,
        state,
        promptTokens: counts.promptTokens,
        cachedTokens: counts.cachedTokens,
        completionTokens: counts.completionTokens,
        priceNanos: isBilled ? priceNanos(prices, model, counts) : 0,
        createdMs,
      };
    };
    const whole = (): TokenCounts => ({ ...NOTHING, ...c.var.log });
    const { internal } = c.env ?? {};
    /** The disk is waited for while the engine works. */
    let early: Promise<void> | null = null;
    c.set('onAsked', () => {
      if (internal !== undefined || early !== null) return;
      early = ledger.commit(rowOf('sending', NOTHING, false, 200));
      // Its error is told where it is waited for, unless the request has failed by then.
      early.catch(() => {});
    });
    await next();
    if (internal !== undefined) {
      // The batch writes the row together with the answer.
      internal.row = rowOf('answered', whole(), c.res.ok);
      return;
    }
    if (!c.res.ok) return ledger.later(rowOf('failed', NOTHING, false));

    const end = (row: UsageRow): void => {
      ledger.later(row);
      const tokens = row.promptTokens + row.completionTokens;
      if (c.var.key === null || row.priceNanos === 0) return;
      accounts.limiter.debit(c.var.key, tokens, nowMs()).catch(() => {
        // The row is what counts; a limiter that is away refuses the next request itself.
      });
    };
    if (c.var.finished === null) {
      await (early ?? ledger.commit(rowOf('sending', whole(), false))).catch(storageError);
      void sent(c).then((isSent) => end(rowOf(isSent ? 'answered' : 'left', whole(), isSent)));
      return;
    }
    const { delivered } = c.var;
    try {
      await (early ?? ledger.commit(rowOf('streaming', NOTHING, false))).catch(storageError);
    } catch (error) {
      c.var.abort.abort();
      throw error;
    }
    let written = NOTHING;
    let isOver = false;
    c.set('onDelivered', () => {
      const taken = { ...delivered };
      const note = (): void => {
        if (isOver || !isWritten(c)) return;
        written = taken;
        ledger.later(rowOf('streaming', written, true));
      };
      // The reader is Node's server, which reads ahead before it writes its headers, and may wait for a slow socket.
      if (c.env?.outgoing) setImmediate(note);
      else note();
    });
    void sent(c).then((isSent) => {
      isOver = true;
      return end(rowOf(isSent ? 'answered' : 'left', isSent ? delivered : written, true));
    });
  };
}

const NOTHING: TokenCounts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

/** Whether all that was written is with the operating system. */
function isWritten(c: Ctx): boolean {
  const { outgoing } = c.env ?? {};
  if (outgoing === undefined) return true;
  return outgoing.headersSent && outgoing.writableLength === 0;
}

/**
 * Whether the whole answer was handed to the socket. Node says `finish` when the operating system has the last byte,
 * which it delivers even when this process is gone.
 */
function sent(c: Ctx): Promise<boolean> {
  const { outgoing } = c.env ?? {};
  if (outgoing === undefined)
    return (c.var.finished ?? Promise.resolve()).then(() => c.var.log.status !== 499);
  // The client left before there was an answer.
  if (outgoing.destroyed) return Promise.resolve(outgoing.writableFinished);
  return new Promise((resolve) => {
    outgoing.once('finish', () => resolve(true));
    outgoing.once('close', () => resolve(outgoing.writableFinished));
  });
}
