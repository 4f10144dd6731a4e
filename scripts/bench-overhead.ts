/**
 * What HTTP adds to decoding: the same request for a 32-token gap, decoded in this thread, by the engine in its worker,
 * and by `tintype serve` over a kept connection on loopback, whole and streamed, with a key and without. Rounds are
 * interleaved in changing order; differences are taken within a round, and their medians stand with 95 % intervals.
 *
 *     npm run build && npx tsx scripts/bench-overhead.ts [--model models/tintype-code] [--rounds 100] [--threads 1] [--json]
 *
 * The client is Node's own `http` in this process; its work is part of the times.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { completeText } from '../src/decode/complete.ts';
import { createEngine } from '../src/decode/engine.ts';
import { createPrefixCache } from '../src/decode/prefix-cache.ts';
import { percentile } from '../src/eval/metrics.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { createRng } from '../src/rng.ts';
import { tintype } from '../tests/e2e/run.ts';
import { serve } from '../tests/e2e/served.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    rounds: { type: 'string', default: '100' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const [GAP, WARM_UP] = [32, 5];
const [rounds, threads] = [Number(flags.rounds), Number(flags.threads)];
const dir = await mkdtemp(join(tmpdir(), 'tintype-overhead-'));
// What this machine was tuned to would be one more difference.
const env = { TINTYPE_CACHE_DIR: join(dir, 'cache') };

/** One request; resolves to the text. */
type Way = () => Promise<string>;

const { denoiser, tokenizer } = await loadDenoiser(flags.model, { threads });
// Characters: no more tokens than fit into the context, whatever the tokenizer.
const room = denoiser.config.contextLength - GAP - 8;
const [before, after] = [Math.floor(room * 0.6), Math.floor(room * 0.3)];
const source = (await readFile('src/decode/decode.ts', 'utf8')).slice(4000);
const [prompt, suffix] = [source.slice(0, before), source.slice(before, before + after)];
const prefixCache = createPrefixCache({ maxBytes: 2 ** 28 });
const engine = await createEngine({ modelDirs: [flags.model], threads });
const serveArgs = ['--model', flags.model, '--threads', flags.threads, '--data'];
const open = await serve([...serveArgs, join(dir, 'open')], env);
const created = await tintype('keys', 'create', 'bench', '--json', '--data', join(dir, 'keys'));
const { secret } = JSON.parse(created.stdout) as { secret: string };
const withKeys = await serve([...serveArgs, join(dir, 'keys')], env);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const http =
  (url: string, stream: boolean, key = 'none'): Way =>
  () =>
    new Promise((done, fail) => {
      const asked = request(
        `${url}/v1/fim/completions`,
        {
          method: 'POST',
          agent,
          headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => (text += piece));
          response.on('error', fail);
          response.on('end', () => done(stream ? joined(text) : textOf(JSON.parse(text) as Wire)));
        },
      );
      asked.on('error', fail);
      asked.end(JSON.stringify({ prompt, suffix, max_tokens: GAP, stream }));
    });

interface Wire {
  choices: { text: string }[];
}
const textOf = ({ choices }: Wire): string => choices[0]?.text ?? '';
const joined = (events: string): string =>
  events
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => textOf(JSON.parse(event.slice(6)) as Wire))
    .join('');

const ways: Record<string, Way> = {
  'this thread': async () =>
    (
      await completeText(
        { denoiser, tokenizer: tokenizer! },
        { prefix: prompt, suffix },
        { maxTokens: GAP, prefixCache },
      )
    ).text,
  engine: async () =>
    (
      await engine.complete({
        model: basename(resolve(flags.model)),
        prompt,
        suffix,
        maxTokens: GAP,
        temperature: 0,
        topP: 1,
        seed: 1,
        stop: [],
      })
    ).text,
  'HTTP, whole': http(open.url, false),
  'HTTP, streamed': http(open.url, true),
  'HTTP, whole, with a key': http(withKeys.url, false, secret),
  'HTTP, streamed, with a key': http(withKeys.url, true, secret),
};

const times: Record<string, number[]> = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
try {
  const rng = createRng(1);
  const wanted = await ways['this thread']();
  for (let round = -WARM_UP; round < rounds; round++) {
    const order = Object.keys(ways).sort();
    for (let i = order.length - 1; i > 0; i--) {
      const j = rng.int(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (const name of order) {
      const started = performance.now();
      const text = await ways[name]();
      if (round >= 0) times[name].push(performance.now() - started);
      if (text !== wanted)
        throw new Error(`${name} wrote ${JSON.stringify(text)}, not ${JSON.stringify(wanted)}`);
    }
  }
} finally {
  agent.destroy();
  for (const { child, end } of [open, withKeys]) {
    child.kill('SIGTERM');
    await end;
  }
  await engine.close();
  await denoiser.close();
  await rm(dir, { recursive: true });
}

/** Median and its 95 % interval by ranks (binomial, normal approximation). */
function median(values: readonly number[]): [number, number, number] {
  const half = 0.98 / Math.sqrt(values.length);
  return [
    percentile(values, 0.5),
    percentile(values, Math.max(0, 0.5 - half)),
    percentile(values, Math.min(1, 0.5 + half)),
  ];
}

const over = (name: string, base: string): [number, number, number] =>
  median(times[name].map((ms, round) => ms - times[base][round]));
const table = Object.keys(ways).map((name) => ({
  way: name,
  p50: median(times[name]),
  p95: percentile(times[name], 0.95),
  overEngine: over(name, 'engine'),
  overThisThread: over(name, 'this thread'),
}));
if (flags.json) console.log(JSON.stringify(table));
else {
  const shown = ([value, low, high]: [number, number, number]): string =>
    `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  console.table(
    Object.fromEntries(
      table.map(({ way, p50, p95, overEngine, overThisThread }) => [
        way,
        {
          'p50 ms': shown(p50),
          'p95 ms': p95.toFixed(2),
          'over the engine': shown(overEngine),
          'over this thread': shown(overThisThread),
        },
      ]),
    ),
  );
}
