/** `tintype keys`: who may ask a server, and how much. */
import { Option, type Command } from 'commander';
import pc from 'picocolors';
import { TintypeError } from '../errors.ts';
import { SCOPES, type ApiKey, type Scope } from '../server/accounts/types.ts';
import type { OpenStore } from '../server/accounts/open.ts';
import { addDataOption } from './data-option.ts';
import { toInteger, toNumber } from './options.ts';
import { formatTable, printJson, printLine } from './output.ts';

const EXAMPLES = `
A key is shown once, when it is made; only its SHA-256 is kept. Scopes: complete (completions, infill, edits), chat, batch
(files and batches), admin (usage of all keys, /metrics). A running server knows of changes at once, but it asks for keys
only if there was one when it started; when all are revoked the next one asks for none.

Examples:
  tintype keys create "Ada's editor"
  tintype keys create nightly --scope batch chat --tokens-per-minute 100000 --budget 5
  tintype keys list
  tintype keys revoke key_0a1b2c3d4e5f6a7b8c`;

interface CreateOptions {
  scope: Scope[];
  requestsPerMinute?: number;
  tokensPerMinute?: number;
  budget?: number;
  data: string;
  json?: boolean;
}

const MOST_NAME = 200;

export function register(program: Command): void {
  const keys = program.command('keys').description('make, list and revoke the keys of a server');
  keys.addHelpText('after', EXAMPLES);

  addDataOption(keys.command('create <name>').description('make a key and show it once'))
    .addOption(
      new Option('--scope <scopes...>', 'what it may do')
        .choices(SCOPES)
        .default(['complete', 'chat'] as Scope[]),
    )
    .option('--requests-per-minute <number>', 'at most (default: no limit)', limit('--requests-per-minute'))
    .option('--tokens-per-minute <number>', 'at most (default: no limit)', limit('--tokens-per-minute'))
    .option(
      '--budget <money>',
      'at most in a calendar month, in the currency of the prices',
      (text: string) => toNumber('--budget', text, 0, 1e6),
    )
    .option('--json', 'print JSON')
    .action(create);

  addDataOption(keys.command('list').description('all keys, without their secrets'))
    .option('--json', 'print JSON')
    .action(list);

  addDataOption(keys.command('revoke <id>').description('make a key useless, at once and for ever')).action(
    revoke,
  );
}

const limit = (name: string) => (text: string) => toInteger(name, text, 1, 1e9);

/** The store of a folder for as long as `work` runs. */
export async function withStore<T>(dir: string, work: (store: OpenStore) => Promise<T>): Promise<T> {
  const { openStore } = await import('../server/accounts/open.ts');
  const store = await openStore({ dir, redisUrl: process.env.REDIS_URL });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function create(name: string, options: CreateOptions): Promise<void> {
  if (name.trim() === '' || name.length > MOST_NAME || /\p{Cc}/u.test(name)) {
    throw new TintypeError('bad_option', {
      what: 'the name of the key is not usable',
      wanted: `1 to ${MOST_NAME} printable letters, for people`,
    });
  }
  const [{ createKey }, { toNanos }] = await Promise.all([
    import('../server/accounts/keys.ts'),
    import('../server/accounts/prices.ts'),
  ]);
  const { scope, requestsPerMinute = null, tokensPerMinute = null, budget } = options;
  const { key, secret } = createKey(
    {
      name,
      scopes: [...new Set(scope)],
      requestsPerMinute,
      tokensPerMinute,
      budgetNanos: budget === undefined ? null : toNanos(budget),
    },
    Date.now(),
  );
  await withStore(options.data, ({ accounts }) => accounts.keys.add(key));
  if (options.json) return printJson({ ...shown(key), secret });
  printLine(secret);
  process.stderr.write(`${pc.dim(`${key.id}: it is not kept and not shown again; send it as`)}
  Authorization: Bearer ${secret}\n`);
}

async function list({ data, json }: { data: string; json?: boolean }): Promise<void> {
  const keys = (await withStore(data, ({ accounts }) => accounts.keys.list())).map(shown);
  if (json) return printJson(keys);
  if (keys.length === 0) return printLine('no keys; make one with "tintype keys create NAME"');
  printLine(
    formatTable(
      ['id', 'name', 'key', 'scopes', 'req/min', 'tok/min', 'budget', 'created', 'revoked'],
      keys.map((key) => [
        key.id,
        key.name,
        `${key.hint}…`,
        key.scopes.join(' '),
        key.requests_per_minute,
        key.tokens_per_minute,
        key.budget,
        key.created_at.slice(0, 10),
        key.revoked_at?.slice(0, 10) ?? null,
      ]),
    ),
  );
}

async function revoke(id: string, { data }: { data: string }): Promise<void> {
  const isRevoked = await withStore(data, ({ accounts }) => accounts.keys.revoke(id, Date.now()));
  if (isRevoked) return printLine(`${id} is revoked`);
  throw new TintypeError('not_found', {
    what: `there is no key ${JSON.stringify(id.slice(0, 80))} that could be revoked`,
    next: '"tintype keys list" shows ids',
  });
}

/** A key as it may be seen. Money and times in the units of people. */
const shown = (key: ApiKey) => ({
  id: key.id,
  name: key.name,
  hint: key.hint,
  scopes: key.scopes,
  requests_per_minute: key.requestsPerMinute,
  tokens_per_minute: key.tokensPerMinute,
  budget: key.budgetNanos === null ? null : key.budgetNanos / 1e9,
  created_at: new Date(key.createdMs).toISOString(),
  revoked_at: key.revokedMs === null ? null : new Date(key.revokedMs).toISOString(),
});
