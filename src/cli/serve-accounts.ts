/** The part of `tintype serve` that knows keys, prices and the ledger. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import { TintypeError } from '../errors.ts';
import { databasePath } from '../server/accounts/sqlite.ts';
import type { Env, Route } from '../server/deps.ts';
import { addDataOption } from './data-option.ts';

export interface AccountFlags {
  host: string;
  data: string;
  /** False after --no-keys. */
  keys: boolean;
  prices?: string;
}

export interface ServeAccounts {
  guards: MiddlewareHandler<Env>[];
  routes: Route[];
  /** Whether requests need a key. */
  keys: boolean;
  /** Writes what waits. */
  close(): Promise<void>;
}

export const addAccountOptions = (command: Command): Command =>
  addDataOption(command)
    .option('--no-keys', 'let everybody in, also from other machines and also where there are keys')
    .option(
      '--prices <file>',
      'JSON: {"default": {"input": 0.25, "cached": 0.025, "output": 1}, "models": {}}, for a million tokens',
    );

/** Errors: `bad_option` where others could come in without keys; those of `openStore` and `readPrices`. */
export async function openAccounts(options: AccountFlags, logger: Logger): Promise<ServeAccounts> {
  const [{ openStore }, { accountsParts, needsKeys, isLoopback }, { DEFAULT_PRICES, readPrices }] =
    await Promise.all([
      import('../server/accounts/open.ts'),
      import('../server/accounts/index.ts'),
      import('../server/accounts/prices.ts'),
    ]);
  const prices = options.prices === undefined ? DEFAULT_PRICES : await readPrices(options.prices);
  let store;
  try {
    store = await openStore(options.data);
  } catch (error) {
    // On this machine alone nobody pays, so a home that cannot be written (a container) is no reason to stop. A file
    // that is there may hold keys, and must not be passed over.
    const isOptional =
      error instanceof TintypeError &&
      error.code === 'io' &&
      isLoopback(options.host) &&
      !existsSync(databasePath(options.data));
    if (!isOptional) throw error;
    logger.warn({ err: error }, 'no usage is written');
    return { guards: [], routes: [], keys: false, close: async () => {} };
  }
  try {
    const keys = await needsKeys(store.accounts, { host: options.host, noKeys: !options.keys });
    const { guards, routes, ledger } = accountsParts({ accounts: store.accounts, prices, keys, logger });
    return {
      guards,
      routes,
      keys,
      async close() {
        await ledger.flush();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}
