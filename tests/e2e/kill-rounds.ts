/**
 * Kills a server that is answering, with SIGKILL, and holds its ledger against what clients received:
 * 1. every answer that a client has in full, or has a piece of, has its row;
 * 2. what is billed was received: whole answers in full, streams at least as many tokens as are billed;
 * 3. the sum of the month is the sum of the rows.
 */
import { openStore } from '../../src/server/accounts/open.ts';
import { monthOf } from '../../src/server/accounts/sqlite-accounts.ts';
import type { Rng } from '../../src/rng.ts';
import { serve } from './served.ts';

export interface Received {
  requestId: string;
  isStream: boolean;
  tokens: number;
  /** The last byte came. */
  isWhole: boolean;
}

export interface Round {
  answers: number;
  streams: number;
  cutStreams: number;
  rows: number;
  billed: number;
  /** Whole answers that came and are not billed: the doubt that goes to the customer. */
  unbilled: number;
}

export interface KillOptions {
  modelDir: string;
  dataDir: string;
  secret: string;
  keyId: string;
  rng: Rng;
  /** What clients received in all rounds; this one adds to it. */
  history: Received[];
}

const CLIENTS = 8;

export async function killRound({
  modelDir,
  dataDir,
  secret,
  keyId,
  rng,
  history,
}: KillOptions): Promise<Round> {
  const { child, url, end } = await serve(
    ['--model', modelDir, '--threads', '1', '--data', dataDir, '--log-level', 'silent'],
    {},
  );
  const received: Received[] = [];
  const dead = new AbortController();
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    while (!dead.signal.aborted) {
      // A client asks again when it has its answer.
      await askOnce(url, secret, index % 2 === 1, rng, received).catch(() => {});
    }
  });
  const untilMs = 100 + rng.next() * 900;
  while (received.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, untilMs));
  child.kill('SIGKILL');
  await end;
  dead.abort();
  await Promise.all(clients);
  history.push(...received);
  const told = await compare(history, dataDir, keyId);
  const streams = received.filter(({ isStream }) => isStream);
  return {
    answers: received.length - streams.length,
    streams: streams.length,
    cutStreams: streams.filter(({ isWhole }) => !isWhole).length,
    ...told,
  };
}

async function askOnce(
  url: string,
  secret: string,
  isStream: boolean,
  rng: Rng,
  received: Received[],
): Promise<void> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({
      prompt: 'let a = ',
      max_tokens: 1 + rng.int(24),
      temperature: 1,
      seed: rng.int(1e6),
      stream: isStream,
      logprobs: isStream ? 1 : null,
    }),
  });
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  const requestId = response.headers.get('x-request-id')!;
  if (!isStream) {
    const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
    received.push({ requestId, isStream, tokens: usage.completion_tokens, isWhole: true });
    return;
  }
  const record: Received = { requestId, isStream, tokens: 0, isWhole: false };
  received.push(record);
  let rest = '';
  const decoder = new TextDecoder();
  for await (const part of response.body!) {
    const events = (rest + decoder.decode(part, { stream: true })).split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      if (event === 'data: [DONE]') record.isWhole = true;
      else if (event.startsWith('data: ')) record.tokens += tokensOf(event.slice(6));
    }
  }
}

/** Tokens of a chunk: each is told, as the request asks for logprobs. */
function tokensOf(json: string): number {
  const { choices } = JSON.parse(json) as { choices: { logprobs?: { tokens: string[] } | null }[] };
  return choices.reduce((sum, { logprobs }) => sum + (logprobs?.tokens.length ?? 0), 0);
}

type Told = Pick<Round, 'rows' | 'billed' | 'unbilled'>;

async function compare(received: readonly Received[], dataDir: string, keyId: string): Promise<Told> {
  const store = await openStore({ dir: dataDir });
  try {
    const { usage } = store.accounts;
    const rows = new Map((await usage.rows({})).map((row) => [row.requestId, row]));
    const known = new Map(received.map((each) => [each.requestId, each]));
    const wrong: string[] = [];
    for (const { requestId } of received)
      if (!rows.has(requestId)) wrong.push(`${requestId}: answered, no row`);
    const billed = [...rows.values()].filter(({ priceNanos }) => priceNanos > 0);
    let unbilled = 0;
    for (const row of billed) {
      const each = known.get(row.requestId);
      if (!each)
        wrong.push(`${row.requestId}: billed (${row.state}, ${row.completionTokens} tokens), not answered`);
      else if (each.isStream && row.completionTokens > each.tokens)
        wrong.push(`${row.requestId}: ${row.completionTokens} tokens billed, ${each.tokens} came`);
    }
    for (const each of received) {
      if (!each.isStream && rows.get(each.requestId)?.priceNanos === 0) unbilled++;
    }
    const sum = billed.reduce((total, { priceNanos }) => total + priceNanos, 0);
    const spent = await usage.spentNanos(keyId, monthOf(Date.now()));
    if (sum !== spent) wrong.push(`the rows cost ${sum}, the month ${spent}`);
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    return { rows: rows.size, billed: billed.length, unbilled };
  } finally {
    await store.close();
  }
}
