/** `tintype usage`: what was used and what it cost, from the ledger of a server. */
import type { Command } from 'commander';
import { TintypeError } from '../errors.ts';
import type { UsageQuery } from '../server/accounts/types.ts';
import { addDataOption } from './data-option.ts';
import { withStore } from './keys.ts';
import { formatTable, printJson, printLine } from './output.ts';

const EXAMPLES = `
The table and --json sum up by key and model; --csv has one line a request, oldest first. Prices are in the currency of the
server's price list. States: answered; streaming and left are billed for what was delivered; sending and failed are not
billed.

Examples:
  tintype usage --since 2026-11-01
  tintype usage --csv --key key_0a1b2c3d4e5f6a7b8c > november.csv`;

interface UsageOptions {
  since?: string;
  until?: string;
  key?: string;
  csv?: boolean;
  json?: boolean;
  data: string;
}

export function register(program: Command): void {
  addDataOption(program.command('usage').description('what was used and what it cost'))
    .option('--since <time>', 'from here on: a date such as 2026-11-01 (UTC), or seconds since 1970')
    .option('--until <time>', 'before this')
    .option('--key <id>', 'of one key')
    .option('--csv', 'one line a request')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(usage);
}

async function usage(options: UsageOptions): Promise<void> {
  if (options.csv && options.json) {
    throw new TintypeError('bad_option', { what: '--csv and --json exclude each other' });
  }
  const { time, wireRow, wireTotals } = await import('../server/accounts/usage-route.ts');
  const toMs = (name: string, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const read = time.safeParse(text);
    if (read.success) return read.data;
    throw new TintypeError('bad_option', {
      what: `${name} is not usable`,
      got: JSON.stringify(text),
      wanted: 'a date such as 2026-11-01, or seconds since 1970',
    });
  };
  const query: UsageQuery = {
    keyId: options.key,
    sinceMs: toMs('--since', options.since),
    untilMs: toMs('--until', options.until),
  };
  await withStore(options.data, async ({ accounts: { usage: store, keys } }) => {
    if (options.csv) {
      const rows = (await store.rows(query)).map(wireRow).reverse();
      for (const line of csvLines(rows)) printLine(line);
      return;
    }
    const totals = (await store.totals(query)).map(wireTotals);
    if (options.json) return printJson(totals);
    if (totals.length === 0) return printLine('nothing was used');
    const names = new Map((await keys.list()).map(({ id, name }) => [id, name]));
    printLine(
      formatTable(
        ['key', 'name', 'model', 'requests', 'prompt', 'cached', 'completion', 'price'],
        totals.map((total) => [
          total.key_id,
          names.get(total.key_id ?? '') ?? null,
          total.model,
          total.requests,
          total.prompt_tokens,
          total.cached_tokens,
          total.completion_tokens,
          total.price,
        ]),
      ),
    );
  });
}

const CSV_COLUMNS = [
  'created_at',
  'request_id',
  'key_id',
  'model',
  'route',
  'status',
  'state',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'price',
] as const;

type CsvRow = Record<(typeof CSV_COLUMNS)[number], string | number | null>;

function* csvLines(rows: Iterable<CsvRow>): Generator<string> {
  yield CSV_COLUMNS.join(',');
  for (const row of rows) {
    const cells = { ...row, created_at: new Date(Number(row.created_at) * 1000).toISOString() };
    yield CSV_COLUMNS.map((name) => csvCell(cells[name])).join(',');
  }
}

/** RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe, since models may have any name. */
function csvCell(value: string | number | null): string {
  if (value === null) return '';
  // Without an exponent, which 1e-7 would have.
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(9);
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
