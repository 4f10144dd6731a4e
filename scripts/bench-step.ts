/**
 * What one forward costs: rows over a cached prefix, prefills, several sequences at once. Interleaved rounds: the median of
 * processor time, which says something on a busy machine too, and the best of elapsed time.
 *
 *     npx tsx scripts/bench-step.ts [--model models/tintype-code] [--threads 1] [--rounds 40] [--against DIR] [--profile]
 *
 * `--against` names another checkout of this repository: both are timed in turn, in one process, so that what else the
 * machine does hits both. `--profile` adds ONNX Runtime's own account: the share of time outside matrix products.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile } from '../src/eval/metrics.ts';
import type { Denoiser, ForwardRun } from '../src/model/denoiser.ts';
import { positionsFrom } from '../src/model/denoiser.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '40' },
    root: { type: 'string', default: '.' },
    only: { type: 'string' },
    against: { type: 'string' },
    precision: { type: 'string' },
    againstPrecision: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});

interface Case {
  name: string;
  /** Sequences. */
  runs: number;
  rows: number;
  cached: number;
  causal?: boolean;
  queried: number;
}
const CASES: Case[] = [
  { name: '1 row', runs: 1, rows: 1, cached: 512, queried: 1 },
  { name: '8 rows', runs: 1, rows: 8, cached: 512, queried: 8 },
  { name: '16 rows', runs: 1, rows: 16, cached: 512, queried: 16 },
  { name: '32 rows', runs: 1, rows: 32, cached: 512, queried: 32 },
  { name: 'prefill 600', runs: 1, rows: 600, cached: 0, causal: true, queried: 1 },
  { name: '2 x 8 rows', runs: 2, rows: 8, cached: 512, queried: 8 },
  { name: '4 x 8 rows', runs: 4, rows: 8, cached: 512, queried: 8 },
  { name: '8 x 8 rows', runs: 8, rows: 8, cached: 512, queried: 8 },
  { name: '8 x 9 rows', runs: 8, rows: 9, cached: 320, queried: 9 },
  { name: '72 rows', runs: 1, rows: 72, cached: 320, queried: 72 },
].filter(({ name }) => !flags.only || flags.only.split(',').includes(name));

const fill = (length: number, seed: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => 5 + ((i * 7919 + seed * 104729) % 4000));
const WANT = { topK: 1, entropy: false };

/** Writes the caches once; a forward then leaves them as they were. */
async function prepare(denoiser: Denoiser, { runs, rows, cached, causal, queried }: Case) {
  const all: ForwardRun[] = [];
  for (let run = 0; run < runs; run++) {
    const cache = denoiser.createCache();
    if (cached > 0) {
      const prefix = {
        ids: fill(cached, run),
        positions: positionsFrom(0, cached),
        attention: { kind: 'causal' } as const,
        cache,
        write: cached,
        query: new Int32Array(0),
      };
      await denoiser.forward([prefix], WANT);
    }
    all.push({
      ids: fill(rows, run + 100),
      positions: positionsFrom(cached, rows),
      attention: { kind: causal ? 'causal' : 'full' },
      cache,
      write: 0,
      query: Int32Array.from({ length: queried }, (_, i) => rows - queried + i),
    });
  }
  return () => denoiser.forward(all, WANT);
}

const load = async (root: string, extra: object = {}): Promise<Denoiser> => {
  const { loadDenoiser } = (await import(
    pathToFileURL(join(resolve(root), 'src/model/load.ts')).href
  )) as typeof import('../src/model/load.ts');
  const options = { threads: Number(flags.threads), ...extra };
  return (await loadDenoiser(flags.model, options)).denoiser;
};

const median = (times: number[]): number => percentile(times, 0.5);
const ours = flags.precision ? { precision: flags.precision } : {};

const names = ['this', ...(flags.against ? ['against'] : [])];
const denoisers = [
  await load(flags.root, ours),
  ...(flags.against
    ? [
        await load(
          resolve(flags.against),
          flags.againstPrecision ? { precision: flags.againstPrecision } : {},
        ),
      ]
    : []),
];
for (const each of CASES) {
  const steps = await Promise.all(denoisers.map((denoiser) => prepare(denoiser, each)));
  const times: number[][] = steps.map(() => []);
  const work: number[][] = steps.map(() => []);
  const rounds = each.rows > 100 ? Math.ceil(Number(flags.rounds) / 8) : Number(flags.rounds);
  // In bursts, the first of which fills the processor's cache: two models in turn would evict each other every time.
  const burst = each.rows > 100 ? 2 : 8;
  for (let round = 0; round < rounds / (burst - 1); round++) {
    for (const [i, step] of steps.entries()) {
      for (let n = 0; n < burst; n++) {
        const [started, before] = [performance.now(), process.cpuUsage()];
        await step();
        const { user, system } = process.cpuUsage(before);
        if (n === 0) continue;
        times[i].push(performance.now() - started);
        work[i].push((user + system) / 1000);
      }
    }
  }
  const shown = times.map(
    (t, i) => `${names[i]} ${median(work[i]).toFixed(2)} ms of work, best ${Math.min(...t).toFixed(2)} ms`,
  );
  const ratio = work[1] ? `  x${(median(work[1]) / median(work[0])).toFixed(2)}` : '';
  console.log(`${each.name.padEnd(12)} ${shown.join('   ')}${ratio}`);
}
for (const denoiser of denoisers) await denoiser.close();

if (flags.profile) {
  const folder = await mkdtemp(join(tmpdir(), 'tintype-profile-'));
  for (const each of CASES) {
    const denoiser = await load(flags.root, {
      ...ours,
      profile: join(folder, each.name.replaceAll(' ', '-')),
    });
    const step = await prepare(denoiser, each);
    const rounds = each.rows > 100 ? 5 : 60;
    for (let i = 0; i < rounds; i++) await step();
    await denoiser.close();
  }
  for (const { name } of CASES) await account(folder, name);
  await rm(folder, { recursive: true });
}

interface Event {
  cat: string;
  name: string;
  dur: number;
  ts: number;
  args: { op_name?: string; thread_scheduling_stats?: object };
}

/** Time by operator, medians over the quickest runs of the last session of a case. */
async function account(folder: string, name: string): Promise<void> {
  const prefix = name.replaceAll(' ', '-');
  const files = (await readdir(folder)).filter((file) => file.startsWith(`${prefix}_`)).toSorted();
  for (const file of files.slice(-1)) {
    const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as Event[];
    const runs = events.filter((event) => event.name === 'model_run');
    const perRun = runs.map((run) => {
      const spent = new Map<string, number>();
      for (const event of events) {
        const op = event.args?.op_name;
        if (!op || !event.name.endsWith('_kernel_time')) continue;
        if (event.ts < run.ts || event.ts > run.ts + run.dur) continue;
        spent.set(op, (spent.get(op) ?? 0) + event.dur);
      }
      return { total: run.dur, spent };
    });
    // The quickest tenth: what else the machine does falls into the others.
    const quick = perRun.toSorted((a, b) => a.total - b.total).slice(0, Math.ceil(perRun.length / 10));
    const ops = [...new Set(quick.flatMap(({ spent }) => [...spent.keys()]))];
    const medians = ops.map((op) => [op, median(quick.map(({ spent }) => spent.get(op) ?? 0))] as const);
    const total = median(quick.map((run) => run.total));
    const isProduct = (op: string): boolean => /MatMul|Gemm|^Attention$/.test(op);
    const products = medians.reduce((sum, [op, us]) => sum + (isProduct(op) ? us : 0), 0);
    const nodes = events.filter(
      ({ name, ts }) => name.endsWith('_kernel_time') && ts > runs.at(-1)!.ts,
    ).length;
    const outside = ((1 - products / total) * 100).toFixed(0);
    console.log(`\n${name}: ${total} µs a run, ${nodes} nodes, ${outside} % outside products`);
    for (const [op, us] of medians.toSorted(([, a], [, b]) => b - a)) {
      console.log(
        `  ${op.padEnd(36)} ${us.toFixed(0).padStart(6)} µs ${((us / total) * 100).toFixed(0).padStart(4)} %`,
      );
    }
  }
}
