/**
 * How do memory and the time of a step grow with the prefix? A model of the shape of a folder's, with random weights and room for
 * 32,768 positions, is filled piece by piece; at each power of two a step of eight rows is timed and the process's memory
 * read. Draws both.
 *
 *     npx tsx scripts/bench-context.ts [--model models/tintype-code] [--longest 32768] [--threads 2] [--plot docs/context.svg]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { percentile } from '../src/eval/metrics.ts';
import { nodeRuntime } from '../src/graph/node.ts';
import { placeBytes } from '../src/model/cache.ts';
import { positionsFrom } from '../src/model/denoiser.ts';
import { describeCheckpoint } from '../src/model/hf.ts';
import { createDenoiser } from '../src/model/native.ts';
import { createParameters, initialise, toTensors } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    longest: { type: 'string', default: '32768' },
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '15' },
    plot: { type: 'string' },
  },
});
const longest = Number(values.longest);
const ROWS = 8;
const { config: shape } = await describeCheckpoint(values.model);
const config = { ...shape, contextLength: longest + ROWS };
const parameters = createParameters(config);
initialise(parameters, config, createRng(0));
const denoiser = createDenoiser(await nodeRuntime(), config, toTensors(parameters), {
  threads: Number(values.threads),
});
const rng = createRng(1);
const tokens = (count: number): Int32Array =>
  Int32Array.from({ length: count }, () => rng.int(config.vocabSize));
const want = { topK: 1, entropy: false };
const NONE = new Int32Array(0);
const mb = (bytes: number): number => bytes / 2 ** 20;

interface Point {
  prefix: number;
  stepMs: number;
  prefillMs: number;
  /** Resident memory of the process beyond that of an empty cache. */
  residentMb: number;
  /** Keys and values. */
  cacheMb: number;
}
const points: Point[] = [];
const cache = denoiser.createCache();
const step = async (): Promise<number> => {
  const startMs = performance.now();
  await denoiser.forward(
    [
      {
        ids: tokens(ROWS),
        positions: positionsFrom(cache.length, ROWS),
        attention: { kind: 'full' },
        cache,
        write: 0,
        query: Int32Array.from({ length: ROWS }, (_, row) => row),
      },
    ],
    want,
  );
  return performance.now() - startMs;
};
await step();
const emptyMb = mb(process.memoryUsage.rss());
let prefillMs = 0;
for (let prefix = 1024; prefix <= longest; prefix *= 2) {
  const startMs = performance.now();
  const count = prefix - cache.length;
  await denoiser.forward(
    [
      {
        ids: tokens(count),
        positions: positionsFrom(cache.length, count),
        attention: { kind: 'causal' },
        cache,
        write: count,
        query: NONE,
      },
    ],
    want,
  );
  prefillMs += performance.now() - startMs;
  const samples: number[] = [];
  for (let i = 0; i < Number(values.repeat); i++) samples.push(await step());
  points.push({
    prefix,
    stepMs: percentile(samples, 0.5),
    prefillMs,
    residentMb: mb(process.memoryUsage.rss()) - emptyMb,
    cacheMb: mb(prefix * placeBytes(config)),
  });
  const { stepMs, residentMb, cacheMb } = points.at(-1)!;
  process.stdout.write(
    `${String(prefix).padStart(6)} places: ${stepMs.toFixed(1).padStart(6)} ms a step of ${ROWS} rows, ` +
      `${(prefillMs / 1000).toFixed(1).padStart(6)} s for the prompt, ${residentMb.toFixed(0).padStart(5)} MB more than empty ` +
      `(keys and values ${cacheMb.toFixed(0)})\n`,
  );
}
await denoiser.close();

if (values.plot !== undefined) {
  const { document } = parseHTML('<html><body></body></html>');
  const panel = (y: 'stepMs' | 'residentMb', label: string, extra: Plot.Markish[] = []) =>
    Plot.plot({
      document: document as never,
      width: 400,
      height: 280,
      marginLeft: 54,
      marginTop: 34,
      marginBottom: 44,
      style: { background: 'none', fontSize: '12px' },
      x: { label: 'places in the cache', domain: [0, longest], ticks: 4 },
      y: { label, domain: [0, 1.15 * Math.max(...points.map((point) => point[y]))], grid: true },
      marks: [
        Plot.line(points, { x: 'prefix', y, stroke: '#0b6e4f' }),
        Plot.dot(points, { x: 'prefix', y, fill: '#0b6e4f' }),
        ...extra,
      ],
    });
  const panels = [
    panel('stepMs', `ms a step of ${ROWS} rows`),
    panel('residentMb', 'MB beyond an empty cache (dashed: keys and values)', [
      Plot.line(points, { x: 'prefix', y: 'cacheMb', stroke: '#59636e', strokeDasharray: '4 3' }),
    ]),
  ];
  const placed = panels.map((each, i) => {
    each.setAttribute('x', String(i * 410));
    return each.outerHTML;
  });
  await writeFile(
    values.plot,
    `<svg xmlns="http://www.w3.org/2000/svg" width="820" height="290" viewBox="0 0 820 290" role="img" fill="currentColor"><title>Time and memory grow linearly with the context</title>${placed.join('')}</svg>\n`,
  );
}
