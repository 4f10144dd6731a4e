/**
 * Latency of a 32-token gap in a file of about 600 tokens, through HTTP, one request after the other: of the first request
 * in a file, and of the next one, after the person has typed one more character there.
 *
 *     npm start &   npx tsx scripts/bench-http.ts --data fim.jsonl.gz [--url http://127.0.0.1:8484] [--requests 60] [--json]
 *
 * Files come from fill-in-the-middle rows: the text nearest to the gap, 400 tokens before it and 200 after it, as the
 * server counts them. Rows whose files are shorter are passed over. A request that ends early counts as it is; the mean
 * number of tokens is printed beside the times.
 */
import { parseArgs } from 'node:util';
import { readInfillRows } from '../src/eval/documents.ts';
import { percentile } from '../src/eval/metrics.ts';
import { loadTokenizer } from '../src/text/load.ts';

const { values: flags } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8484' },
    data: { type: 'string' },
    tokenizer: { type: 'string', default: 'models/tintype-code' },
    requests: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});
const [BEFORE, AFTER, GAP, WARM_UP] = [400, 200, 32, 5];

const tokenizer = await loadTokenizer(flags.tokenizer);
const rows = await readInfillRows(flags.data!);
const gaps: { prompt: string; typed: string; suffix: string }[] = [];
for (const { prefix, suffix, middle } of rows) {
  const [before, after] = [tokenizer.encode(prefix), tokenizer.encode(suffix)];
  if (before.length < BEFORE || after.length < AFTER) continue;
  const prompt = tokenizer.decode(before.slice(-BEFORE));
  const typed = Array.from(middle)[0] ?? ' ';
  gaps.push({ prompt, typed, suffix: tokenizer.decode(after.slice(0, AFTER)) });
  if (gaps.length === Number(flags.requests) + WARM_UP) break;
}

interface Reply {
  elapsedMs: number;
  usage: { prompt_tokens: number; completion_tokens: number };
}

async function ask(prompt: string, suffix: string): Promise<Reply> {
  const started = performance.now();
  const reply = await fetch(`${flags.url}/v1/fim/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt, suffix, max_tokens: GAP }),
  });
  const json = (await reply.json()) as Pick<Reply, 'usage'>;
  if (!reply.ok) throw new Error(JSON.stringify(json));
  return { elapsedMs: performance.now() - started, usage: json.usage };
}

const first: Reply[] = [];
const next: Reply[] = [];
for (const [index, { prompt, typed, suffix }] of gaps.entries()) {
  const replies = [await ask(prompt, suffix), await ask(prompt + typed, suffix)] as const;
  if (index < WARM_UP) continue;
  first.push(replies[0]);
  next.push(replies[1]);
}

const summary = (replies: readonly Reply[]) => {
  const mean = (of: (reply: Reply) => number): number =>
    replies.reduce((sum, reply) => sum + of(reply), 0) / replies.length;
  const times = replies.map(({ elapsedMs }) => elapsedMs);
  return {
    requests: replies.length,
    meanPromptTokens: mean(({ usage }) => usage.prompt_tokens),
    meanCompletionTokens: mean(({ usage }) => usage.completion_tokens),
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
  };
};
const result = { first: summary(first), nextKeystroke: summary(next) };
console.log(flags.json ? JSON.stringify(result) : result);
