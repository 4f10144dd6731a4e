/**
 * Many clients at once on every route, some of which leave in the middle of a stream, and what must hold afterwards:
 *
 *     npm run build && npx tsx scripts/check-load.ts [--minutes 10] [--connections 200] [--model DIR] [--seed 1] [--json]
 *
 * 1. Every answer is the one that the same request gets alone. 2. The ledger has one row for each request and bills
 * what its client saw: whole answers and streams exactly, streams that were left at most that. 3. The month costs what
 * its rows cost. 4. The heap of the server and its cache of prompts are back to where they were, within 5 %.
 * The model is a tiny one with random weights unless one is named; 503 is no fault, clients come back after it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve as absolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/eval/metrics.ts';
import { createRng } from '../src/rng.ts';
import { openStore } from '../src/server/accounts/open.ts';
import { isMetered } from '../src/server/accounts/scopes.ts';
import { monthOf } from '../src/server/accounts/sqlite-accounts.ts';
import type { UsageRow } from '../src/server/accounts/types.ts';
import { tintype } from '../tests/e2e/run.ts';
import { serve } from '../tests/e2e/served.ts';
import type { Served } from '../tests/e2e/served.ts';
import { writeTinyModel } from '../tests/e2e/tiny-model.ts';
import { ask } from './load/client.ts';
import type { Key, Outcome } from './load/client.ts';
import { mixedRequests } from './load/requests.ts';

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    connections: { type: 'string', default: '200' },
    model: { type: 'string' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
/** Clients that leave, of those that stream; and how far numbers may be from where they were. */
const [LEAVING, KEYS, TOLERANCE] = [0.05, 4, 0.05];
/** Under load, before anything is measured. */
const WARM_UP_MS = 30_000;

const dir = await mkdtemp(join(tmpdir(), 'tintype-load-'));
const [modelDir, dataDir] = [join(dir, 'model'), join(dir, 'data')];
if (flags.model === undefined) await writeTinyModel(modelDir);

const keys: Key[] = [];
for (let i = 0; i < KEYS; i++) {
  const { stdout } = await tintype('keys', 'create', `client ${i}`, '--json', '--data', dataDir);
  keys.push(JSON.parse(stdout) as Key);
}
const admin = JSON.parse(
  (await tintype('keys', 'create', 'admin', '--scope', 'admin', '--json', '--data', dataDir)).stdout,
) as Key;

const served = await serve(['--model', flags.model ?? modelDir, '--data', dataDir, '--log-level', 'warn'], {
  NODE_OPTIONS: `--import ${pathToFileURL(absolute('scripts/heap-on-signal.mjs')).href}`,
});
const agent = new Agent({ keepAlive: true, maxSockets: Number(flags.connections) });
const requests = mixedRequests();
const rng = createRng(Number(flags.seed));
const outcomes: Outcome[] = [];
const wrong: string[] = [];

try {
  const wanted = new Map<string, string>();
  await alone(wanted);
  await load(WARM_UP_MS, wanted);
  // What the cache holds depends on who asked last, so the same ask before it is measured.
  await alone(wanted);
  const start = await measure(served);
  const loaded = await load(Number(flags.minutes) * 60_000, wanted);
  await alone(wanted);
  const end = await measure(served);

  for (const [name, low, high] of [
    ['heap', start.heapBytes, end.heapBytes],
    ['cache', start.cacheShare, end.cacheShare],
  ] as const) {
    if (high > low * (1 + TOLERANCE)) wrong.push(`${name}: ${low} at the start, ${high} at the end`);
  }
  agent.destroy();
  served.child.kill('SIGTERM');
  const ended = await served.end;
  if (ended.status !== 0) wrong.push(`the server ended with status ${ended.status}`);
  const told = await compareLedger();

  const firsts = loaded.filter(({ status }) => status === 200).map(({ firstMs }) => firstMs);
  const count = (which: (outcome: Outcome) => boolean): number => loaded.filter(which).length;
  const summary = {
    requests: loaded.length,
    answered: count(({ status, isLeft }) => status === 200 && !isLeft),
    left: count(({ isLeft }) => isLeft),
    refusedAsWrong: count(({ status }) => status === 400),
    refusedAsFull: count(({ status }) => status === 503),
    firstByteP50Ms: percentile(firsts, 0.5),
    firstByteP95Ms: percentile(firsts, 0.95),
    start,
    end,
    ...told,
    wrong: wrong.length,
  };
  console.log(flags.json ? JSON.stringify(summary) : summary);
} finally {
  served.child.kill('SIGKILL');
  agent.destroy();
  await rm(dir, { recursive: true, force: true });
}
for (const each of wrong.slice(0, 20)) console.error(each);
process.exitCode = wrong.length > 0 ? 1 : 0;

/** Each request by itself: what it must say. */
async function alone(wanted: Map<string, string>): Promise<void> {
  for (const asked of requests) {
    const outcome = await ask(served.url, agent, keys[0], asked, null);
    outcomes.push(outcome);
    if (outcome.status !== asked.status) throw new Error(`${asked.name}: status ${outcome.status}`);
    const before = wanted.get(asked.name) ?? outcome.text;
    if (before !== outcome.text) wrong.push(`${asked.name}: ${before} alone, then ${outcome.text} alone`);
    wanted.set(asked.name, outcome.text);
  }
}

/** All connections ask until the time is over. */
async function load(forMs: number, wanted: ReadonlyMap<string, string>): Promise<Outcome[]> {
  const loaded: Outcome[] = [];
  const endMs = performance.now() + forMs;
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const asked = requests[rng.int(requests.length)];
      const leaves = asked.isStream && rng.next() < LEAVING;
      const outcome = await ask(
        served.url,
        agent,
        keys[rng.int(KEYS)],
        asked,
        leaves ? 1 + rng.int(4) : null,
      ).catch((error: unknown) => void wrong.push(`${asked.name}: ${String(error)}`));
      if (!outcome) continue;
      loaded.push(outcome);
      if (outcome.status === 503) {
        await new Promise((resolve) => setTimeout(resolve, (outcome.retryAfterSeconds ?? 1) * 1000));
      } else check(outcome, wanted.get(asked.name)!);
    }
  };
  await Promise.all(Array.from({ length: Number(flags.connections) }, client));
  for (const outcome of loaded) outcomes.push(outcome);
  return loaded;
}

function check({ asked, status, text, isLeft }: Outcome, wanted: string): void {
  if (status !== asked.status) wrong.push(`${asked.name}: status ${status}, wanted ${asked.status}`);
  else if (isLeft ? !wanted.startsWith(text) : text !== wanted)
    wrong.push(`${asked.name}: wrote ${JSON.stringify(text)}, alone ${JSON.stringify(wanted)}`);
}

async function measure({ child, url }: Served): Promise<{ heapBytes: number; cacheShare: number }> {
  // Rows that are written late are written, and connections that were left are closed.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const heap = new Promise<number>((resolve) => {
    const read = (chunk: Buffer): void => {
      const [, bytes] = /"heapBytes":(\d+)/.exec(String(chunk)) ?? [];
      if (bytes === undefined) return;
      child.stderr!.off('data', read);
      resolve(Number(bytes));
    };
    child.stderr!.on('data', read);
  });
  child.kill('SIGUSR2');
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${admin.secret}` } });
  const [, share] = /^tintype_kv_cache_usage_perc (\S+)$/m.exec(await response.text()) ?? [];
  return { heapBytes: await heap, cacheShare: Number(share) };
}

async function compareLedger(): Promise<{ rows: number; billed: number }> {
  const store = await openStore({ dir: dataDir });
  try {
    const { usage } = store.accounts;
    const rows = new Map((await usage.rows({})).map((row) => [row.requestId, row]));
    const metered = outcomes.filter(({ asked }) => isMetered(asked.path));
    for (const outcome of metered) compareRow(outcome, rows.get(outcome.requestId));
    if (rows.size !== new Set(metered.map(({ requestId }) => requestId)).size)
      wrong.push(`${metered.length} requests, ${rows.size} rows`);
    for (const { id } of keys) {
      const own = [...rows.values()].filter(({ keyId }) => keyId === id);
      const sum = own.reduce((total, { priceNanos }) => total + priceNanos, 0);
      const spent = await usage.spentNanos(id, monthOf(Date.now()));
      if (sum !== spent) wrong.push(`${id}: the rows cost ${sum}, the month ${spent}`);
    }
    return { rows: rows.size, billed: [...rows.values()].filter(({ priceNanos }) => priceNanos > 0).length };
  } finally {
    await store.close();
  }
}

function compareRow(outcome: Outcome, row: UsageRow | undefined): void {
  const { asked, requestId, status, isLeft, keyId } = outcome;
  const said = (what: string): void => void wrong.push(`${requestId} ${asked.name}: ${what}`);
  if (!row) return said('no row');
  if (row.keyId !== keyId) return said(`on the key ${row.keyId}, asked with ${keyId}`);
  if (status !== 200) return row.priceNanos === 0 ? undefined : said(`refused, and billed ${row.priceNanos}`);
  if (isLeft) return ['left', 'answered'].includes(row.state) ? undefined : said(`left, and ${row.state}`);
  const [seen, billed] = [outcome, row].map(({ promptTokens, completionTokens }) =>
    [promptTokens, completionTokens].join(' + '),
  );
  if (row.state !== 'answered' || seen !== billed)
    return said(`saw ${seen} tokens, ${row.state} with ${billed}`);
  return row.priceNanos > 0 || row.completionTokens === 0 ? undefined : said('answered, and not billed');
}
