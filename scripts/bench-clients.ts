/**
 * Eight clients against one: useful tokens a second in all, and the time to the first token, over HTTP with streams,
 * beside what forwards of so many sequences cost, as `tintype tune` measures it. Rounds are interleaved; in each, every client
 * asks again as soon as it is answered, until the seconds are over.
 *
 *     npm run build && npx tsx scripts/bench-clients.ts [--model models/tintype-code] [--precision f32] [--clients 8]
 *         [--rounds 4] [--seconds 6] [--threads 2]
 *
 * Prompts are known to the server by then, so that decoding is what is measured. HTTP and the clients take their share of
 * the same cores, which the costs know nothing of.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { batchedMs } from '../src/eval/batched-costs.ts';
import { measureCostCurve } from '../src/eval/cost-curve.ts';
import { percentile } from '../src/eval/metrics.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { PRECISIONS } from '../src/model/quantize.ts';
import { serve } from '../tests/e2e/served.ts';
import { ask } from './load/client.ts';
import type { Asked } from './load/requests.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    clients: { type: 'string', default: '8' },
    precision: { type: 'string', default: 'f32' },
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '6' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [clients, rounds, seconds, threads] = [flags.clients, flags.rounds, flags.seconds, flags.threads].map(
  Number,
);
const [GAP, REQUESTS, BLOCK] = [32, 4, 8];
const precision = z.enum(PRECISIONS).parse(flags.precision);

const { denoiser } = await loadDenoiser(flags.model, { threads, precision });
const { contextLength } = denoiser.config;
const prefix = Math.floor(contextLength / 4);
// Measured before the server starts: its threads would be in the way.
const curve = await measureCostCurve(denoiser, { precision, rounds: 15 });
await denoiser.close();
const costMs = (sequences: number): number => batchedMs(curve.batched!, sequences, BLOCK);

const dir = await mkdtemp(join(tmpdir(), 'tintype-clients-'));
const served = await serve(
  ['--model', flags.model, '--threads', flags.threads, '--data', dir].concat([
    '--precision',
    precision,
    '--block-length',
    String(BLOCK),
  ]),
  { TINTYPE_CACHE_DIR: join(dir, 'cache') },
);
const agent = new Agent({ keepAlive: true, maxSockets: clients });
const source = await readFile('src/decode/decode.ts', 'utf8');

/** The request number `index` of a client. */
const gap = (client: number, index: number): Asked => {
  const at = (client * REQUESTS + index) * 150;
  const prompt = source.slice(at, at + prefix);
  const suffix = source.slice(at + prefix, at + prefix + (prefix >> 1));
  const body = { prompt, suffix, max_tokens: GAP, stream: true, stream_options: { include_usage: true } };
  const read: Asked['read'] = (json) => ({
    text: json.choices[0]?.text ?? '',
    ...(json.usage ? { completionTokens: json.usage.completion_tokens } : {}),
  });
  return { name: '', path: '/v1/fim/completions', body, isStream: true, status: 200, read };
};

/** @returns useful tokens a second of all clients together, and the times to the first piece of each request */
async function run(
  count: number,
  forSeconds: number,
): Promise<{ tokensPerSecond: number; firstMs: number[] }> {
  const startedMs = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: count }, async (_, client) => {
      const own = [];
      for (let index = 0; performance.now() - startedMs < 1000 * forSeconds; index++)
        own.push(
          await ask(served.url, agent, { id: '', secret: 'none' }, gap(client, index % REQUESTS), null),
        );
      return own;
    }),
  );
  const all = outcomes.flat();
  const took = (performance.now() - startedMs) / 1000;
  const tokens = all.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return { tokensPerSecond: tokens / took, firstMs: all.map(({ firstMs }) => firstMs) };
}

const one: Awaited<ReturnType<typeof run>>[] = [];
const many: typeof one = [];
try {
  // Every prompt once.
  await run(clients, 2 * seconds);
  for (let round = 0; round < rounds; round++) {
    one.push(await run(1, seconds));
    many.push(await run(clients, seconds));
  }
} finally {
  agent.destroy();
  served.child.kill('SIGTERM');
  await served.end;
  await rm(dir, { recursive: true });
}
const median = (values: readonly number[]): number => percentile(values, 0.5);
const firsts = (all: typeof one): number =>
  percentile(
    all.flatMap(({ firstMs }) => firstMs),
    0.95,
  );
const ratios = one.map(({ tokensPerSecond }, round) => many[round].tokensPerSecond / tokensPerSecond);
const result = {
  tokensPerSecondOfOne: median(one.map(({ tokensPerSecond }) => tokensPerSecond)),
  tokensPerSecondOfAll: median(many.map(({ tokensPerSecond }) => tokensPerSecond)),
  ratio: median(ratios),
  ratioLeast: Math.min(...ratios),
  ratioMost: Math.max(...ratios),
  ratioByCosts: (clients * costMs(1)) / costMs(clients),
  firstTokenP95MsOfOne: firsts(one),
  firstTokenP95MsOfAll: firsts(many),
};
console.log(flags.json ? JSON.stringify(result) : result);
