/** The part of `tintype serve` that knows keys, prices and the ledger. */
import { existsSync } from 'node:fs';
import { Option, type Command } from 'commander';
import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { TintypeError } from '../errors.ts';
import { databasePath } from '../server/accounts/sqlite.ts';
import type { AppOptions } from '../server/app.ts';
import type { BatchService } from '../server/batches/service.ts';
import type { Bindings, Env } from '../server/deps.ts';
import { addDataOption } from './data-option.ts';
import { toInteger } from './options.ts';

const DAY_MS = 86_400_000;

export interface AccountFlags {
  host: string;
  data: string;
  /** False after --no-keys. */
  keys: boolean;
  prices?: string;
  /** Milliseconds. */
  keepFiles: number;
}

export interface ServeAccounts {
  /** For `createApp`. */
  parts: Pick<AppOptions, 'guards' | 'routes' | 'bodyBytes' | 'pricing'>;
  /** Whether requests need a key. */
  keys: boolean;
  /** Begins to work on batches, which ask the app. */
  start(app: Hono<Env>): void;
  /** Writes what waits. */
  close(): Promise<void>;
}

export const addAccountOptions = (command: Command): Command =>
  addDataOption(command)
    .option('--no-keys', 'let everybody in, also from other machines and also where there are keys')
    .addOption(
      new Option('--keep-files <days>', 'how long files and finished batches are kept')
        .argParser((text: string) => toInteger('--keep-files', text, 1, 3650) * DAY_MS)
        .default(30 * DAY_MS, '30'),
    )
    .option(
      '--prices <file>',
      'JSON: {"default": {"input": 0.25, "cached": 0.025, "output": 1}, "models": {}}, for a million tokens',
    );

/** Without a store: nothing is counted. */
const NONE: ServeAccounts = { parts: {}, keys: false, start: () => {}, close: async () => {} };

/** Errors: `bad_option` where others could come in without keys; those of `openStore` and `readPrices`. */
export async function openAccounts(options: AccountFlags, logger: Logger): Promise<ServeAccounts> {
  const { openStore, accountsParts, needsKeys, isLoopback, batchRoutes, MOST_FILE_BYTES, startBatches } =
    await loadAccounts();
  const { DEFAULT_PRICES, pricingOf, readPrices } = await import('../server/accounts/prices.ts');
  const prices = options.prices === undefined ? DEFAULT_PRICES : await readPrices(options.prices);
  const onError = (error: unknown): void => logger.warn({ err: error }, 'store');
  let store;
  try {
    store = await openStore({ dir: options.data, redisUrl: process.env.REDIS_URL, onError });
  } catch (error) {
    // On this machine alone nobody pays, so a home that cannot be written (a container) is no reason to stop. A file
    // that is there may hold keys, and must not be passed over.
    const isOptional =
      error instanceof TintypeError &&
      error.code === 'io' &&
      !process.env.REDIS_URL &&
      isLoopback(options.host) &&
      !existsSync(databasePath(options.data));
    if (!isOptional) throw error;
    logger.warn({ err: error }, 'no usage is written');
    return NONE;
  }
  const opened = store;
  const { accounts, batches } = opened;
  try {
    const keys = await needsKeys(accounts, { host: options.host, noKeys: !options.keys });
    const { guards, routes, ledger } = accountsParts({ accounts, prices, keys, logger });
    let service: BatchService | null = null;
    return {
      parts: {
        guards,
        routes: [...routes, ...batchRoutes(batches, Date.now, options.keepFiles)],
        bodyBytes: { '/v1/files': MOST_FILE_BYTES },
        // An open server asks for nothing.
        // An open server asks for nothing, unless it is told what.
        ...(keys || options.prices !== undefined ? { pricing: pricingOf(prices) } : {}),
      },
      keys,
      start(app) {
        const fetch = (request: Request, bindings: Bindings) => app.fetch(request, bindings);
        service = startBatches({ batches, accounts, fetch, keepMs: options.keepFiles, onError });
      },
      async close() {
        await service?.close();
        await ledger.flush();
        await opened.close();
      },
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Loaded here, so that `tintype --help` does not wait for them. */
async function loadAccounts() {
  const [open, index, routes, service] = await Promise.all([
    import('../server/accounts/open.ts'),
    import('../server/accounts/index.ts'),
    import('../server/batches/routes.ts'),
    import('../server/batches/service.ts'),
  ]);
  return { ...open, ...index, ...routes, ...service };
}
