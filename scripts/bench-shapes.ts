/**
 * A denoising step at the size of a published model against llama.cpp: random weights of one shape in one GGUF file, loaded by
 * both, 512 cached tokens, some rows at once with the distribution of each. Interleaved rounds; medians and the best.
 *
 *     npx tsx scripts/bench-shapes.ts [--size 0.6b] [--threads 2] [--rounds 12] [--layers 4] [--asked all|last] [--folder DIR]
 *
 * `--asked last`: the distribution of the last row alone, without most of the head and of what node-llama-cpp does with each row.
 * `--folder`: where node-llama-cpp is installed (a folder with a node_modules), by default here. `--layers` cuts the model, which
 * leaves the ratio of layers and head out of proportion but fits where memory is short; by default all of them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { SHAPES } from '../src/eval/bench-sizes.ts';
import { percentile } from '../src/eval/metrics.ts';
import { elementCount, parameterShapes, type ModelConfig } from '../src/model/config.ts';
import { positionsFrom } from '../src/model/denoiser.ts';
import { writeGguf, type GgufType } from '../src/model/gguf-write.ts';
import { describeCheckpoint, type Tensor } from '../src/model/hf.ts';
import { loadDenoiser } from '../src/model/load.ts';
import type { Precision } from '../src/model/quantize.ts';
import { createRng } from '../src/rng.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '0.6b' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '12' },
    rows: { type: 'string', default: '1,4,8,32' },
    asked: { type: 'string', default: 'all' },
    layers: { type: 'string' },
    folder: { type: 'string', default: '.' },
  },
});
const CACHED = 512;
const threads = Number(values.threads);
const isAsked = (row: number, rows: number): boolean => values.asked === 'all' || row === rows - 1;
const shape = SHAPES[values.size as keyof typeof SHAPES]?.shape;
if (!shape) throw new Error(`--size ${values.size}: one of ${Object.keys(SHAPES).join(', ')}`);
const config: ModelConfig = {
  ...shape,
  layers: Number(values.layers ?? shape.layers),
  modelType: 'qwen3',
  layout: 'causal',
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 1e6,
  contextLength: 1024,
  blockLength: 1,
  tokens: { mask: null, eos: [0], pad: 1, bos: null },
};
/** Numbers that differ from matrix to matrix, made a tensor at a time. */
const tensors = new Map<string, Tensor>(
  parameterShapes(config).map(({ name, shape: dims }) => [
    name,
    {
      shape: dims,
      get data() {
        const data = new Float32Array(elementCount(dims));
        if (dims.length === 1) return data.fill(1);
        const rng = createRng(1, name);
        const some = Float32Array.from({ length: 65_521 }, () => 0.02 * rng.normal());
        for (let at = 0; at < data.length; at += some.length)
          data.set(some.subarray(0, Math.min(some.length, data.length - at)), at);
        return data;
      },
    },
  ]),
);

interface Contender {
  name: string;
  step: (rows: number) => Promise<void>;
  after: () => Promise<void>;
}

const dir = await mkdtemp(join(tmpdir(), 'tintype-shapes-'));
const { tokenizerJson } = await describeCheckpoint('models/tintype-code');
const write = async (type: GgufType): Promise<string> => {
  const path = join(dir, `${type}.gguf`);
  await writeGguf(path, { config, tensors, tokenizerJson, name: 'random', type });
  return path;
};

async function ours(path: string, precision: Precision): Promise<Contender> {
  const { denoiser } = await loadDenoiser(path, { precision, threads });
  const cache = denoiser.createCache();
  const want = { topK: 1, entropy: false };
  const ids = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => 10 + (i % 50));
  const prefix = { ids: ids(CACHED), positions: positionsFrom(0, CACHED), cache, write: CACHED };
  await denoiser.forward([{ ...prefix, attention: { kind: 'causal' }, query: new Int32Array(0) }], want);
  return {
    name: `tintype ${precision}`,
    after: async () => {},
    step: async (rows) => {
      const query = positionsFrom(0, rows).filter((row) => isAsked(row, rows));
      const run = { ids: ids(rows), positions: positionsFrom(CACHED, rows), cache, write: 0 };
      await denoiser.forward([{ ...run, attention: { kind: 'full' }, query }], want);
    },
  };
}

/** The part of node-llama-cpp that is used. */
interface Sequence {
  nextTokenIndex: number;
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  controlledEvaluate(tokens: [number, { generateNext: { token: boolean } }][]): Promise<unknown>;
  eraseContextTokenRanges(ranges: { start: number; end: number }[]): Promise<void>;
}
const require = createRequire(join(resolve(values.folder), 'package.json'));
const { getLlama } = (await import(pathToFileURL(require.resolve('node-llama-cpp')).href)) as {
  getLlama: (options: object) => Promise<{
    loadModel: (options: object) => Promise<{
      createContext: (options: object) => Promise<{ getSequence: () => Sequence }>;
    }>;
  }>;
};
const llama = await getLlama({
  gpu: false,
  build: 'never',
  logLevel: 'error',
  progressLogs: false,
  maxThreads: threads,
});

async function theirs(path: string, type: GgufType): Promise<Contender> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: config.contextLength, threads, batchSize: 512 });
  const sequence = context.getSequence();
  await sequence.evaluateWithoutGeneratingNewTokens(Array.from({ length: CACHED }, (_, i) => 10 + (i % 50)));
  return {
    name: `llama.cpp ${type}`,
    step: async (rows) => {
      await sequence.controlledEvaluate(
        Array.from({ length: rows }, (_, i) => [
          20 + (i % 50),
          { generateNext: { token: isAsked(i, rows) } },
        ]),
      );
    },
    after: () => sequence.eraseContextTokenRanges([{ start: CACHED, end: sequence.nextTokenIndex }]),
  };
}

const paths = { q8_0: await write('q8_0'), q4_0: await write('q4_0') };
const contenders = [
  await ours(paths.q8_0, 'int8'),
  await theirs(paths.q8_0, 'q8_0'),
  await ours(paths.q4_0, 'int4'),
  await theirs(paths.q4_0, 'q4_0'),
];
const rowsList = values.rows.split(',').map(Number);
const times = contenders.map(() => new Map<number, number[]>(rowsList.map((rows) => [rows, []])));
for (let round = -1; round < Number(values.rounds); round++) {
  for (const rows of rowsList) {
    for (const [i, { step, after }] of contenders.entries()) {
      const startMs = performance.now();
      await step(rows);
      const elapsedMs = performance.now() - startMs;
      await after();
      if (round >= 0) times[i].get(rows)!.push(elapsedMs);
    }
  }
}
console.log(
  `${values.size}, ${config.layers} layers, ${CACHED} cached, ${threads} threads, ${values.rounds} rounds, ${values.asked} rows asked`,
);
for (const rows of rowsList) {
  const medians = times.map((byRows) => percentile(byRows.get(rows)!, 0.5));
  const cells = contenders.map(
    ({ name }, i) => `${name} ${medians[i].toFixed(1)} (best ${Math.min(...times[i].get(rows)!).toFixed(1)})`,
  );
  const [int8, q8, int4, q4] = medians;
  console.log(
    `${String(rows).padStart(3)} rows, ms: ${cells.join('  ')}   8 bits x${(q8 / int8).toFixed(2)}, 4 bits x${(q4 / int4).toFixed(2)}`,
  );
}
await rm(dir, { recursive: true });
process.exit(0);
