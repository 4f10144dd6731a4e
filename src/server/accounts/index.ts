/** Accounts of a server, put together: what `createApp` is given for them. */
import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import { TintypeError } from '../../errors.ts';
import type { Env, Route } from '../deps.ts';
import { guard } from './guard.ts';
import { createLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { meter } from './meter.ts';
import type { Prices } from './prices.ts';
import type { Accounts } from './types.ts';
import { usageRoute } from './usage-route.ts';

export interface AccountsOptions {
  accounts: Accounts;
  prices: Prices;
  /** Whether requests need a key. */
  keys: boolean;
  logger: Logger;
  nowMs?: (() => number) | undefined;
}

export interface AccountsParts {
  guards: MiddlewareHandler<Env>[];
  routes: Route[];
  ledger: Ledger;
}

export function accountsParts({ accounts, prices, keys, logger, nowMs }: AccountsOptions): AccountsParts {
  const ledger = createLedger({
    store: accounts.usage,
    // Where nobody pays a loss of power may lose the last rows, and no answer waits for the disk.
    durable: keys,
    onError: (error) => logger.error({ err: error }, 'usage is not written; it will be tried again'),
  });
  return {
    guards: [
      ...(keys ? [guard({ accounts, ...(nowMs ? { nowMs } : {}) })] : []),
      meter({ accounts, ledger, prices, ...(nowMs ? { nowMs } : {}) }),
    ],
    routes: [usageRoute(accounts, ledger)],
    ledger,
  };
}

export const isLoopback = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);

/**
 * Whether requests need a key: as soon as there is one, unless told otherwise. Errors: `bad_option` for an address that
 * others can reach, without keys.
 */
export async function needsKeys(
  accounts: Accounts,
  { host, noKeys }: { host: string; noKeys: boolean },
): Promise<boolean> {
  if (noKeys) return false;
  const usable = (await accounts.keys.list()).some(({ revokedMs }) => revokedMs === null);
  if (usable || isLoopback(host)) return usable;
  throw new TintypeError('bad_option', {
    what: `${host} can be reached from other machines, and there are no keys`,
    next: 'make one with "tintype keys create NAME", or let everybody in with --no-keys',
  });
}
