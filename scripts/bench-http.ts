/**
 * Latency of a 32-token gap in a file of about 600 tokens, through HTTP, one request after the other.
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
const bodies: string[] = [];
for (const { prefix, suffix } of rows) {
  const [before, after] = [tokenizer.encode(prefix), tokenizer.encode(suffix)];
  if (before.length < BEFORE || after.length < AFTER) continue;
  const prompt = tokenizer.decode(before.slice(-BEFORE));
  bodies.push(JSON.stringify({ prompt, suffix: tokenizer.decode(after.slice(0, AFTER)), max_tokens: GAP }));
  if (bodies.length === Number(flags.requests) + WARM_UP) break;
}
const times: number[] = [];
const usage = { prompt: 0, completion: 0 };
for (const [index, body] of bodies.entries()) {
  const started = performance.now();
  const reply = await fetch(`${flags.url}/v1/fim/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const json = (await reply.json()) as { usage: { prompt_tokens: number; completion_tokens: number } };
  if (!reply.ok) throw new Error(JSON.stringify(json));
  if (index < WARM_UP) continue;
  times.push(performance.now() - started);
  usage.prompt += json.usage.prompt_tokens;
  usage.completion += json.usage.completion_tokens;
}
const result = {
  requests: times.length,
  meanPromptTokens: usage.prompt / times.length,
  meanCompletionTokens: usage.completion / times.length,
  p50Ms: percentile(times, 0.5),
  p95Ms: percentile(times, 0.95),
};
console.log(flags.json ? JSON.stringify(result) : result);
