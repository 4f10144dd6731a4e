/**
 * Training speed beside PyTorch, in one run: the same 6.6M model, batch, loss and optimizer (AdamW, clipping), turn by
 * turn, so that a machine whose speed drifts treats both alike.
 *
 *     npx tsx scripts/bench-train.ts [--rounds 3] [--seconds 15] [--threads 2] [--python python3] [--json]
 *
 * One step is 4 micro-batches of 4 x 256 tokens. FLOPs are counted as in scripts/reference/bench_train.py.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeRuntime } from '../src/graph/node.ts';
import { createParameters, initialise } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';
import { modelConfigOf, parseTrainConfig } from '../src/train/config.ts';
import { createGradientPass } from '../src/train/gradients.ts';
import { createOptimizer } from '../src/train/optimizer.ts';
import { autoregressiveInputs } from '../src/train/rows.ts';

const [MICRO, ROWS, LENGTH] = [4, 4, 256];

interface Round {
  tokensPerSecond: number;
  gflops: number;
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string', default: 'python3' },
    json: { type: 'boolean', default: false },
  },
});
const threads = Number(flags.threads);
const config = parseTrainConfig({
  name: 'bench',
  model: { layout: 'causal' },
  objective: { kind: 'autoregressive' },
  data: { kind: 'sudoku' },
  optimizer: { kind: 'adamw' },
  threads,
});
const model = modelConfigOf(config, { vocabSize: 4096, tokens: { mask: null, eos: [0], pad: 1, bos: null } });

const runtime = await nodeRuntime();
const parameters = createParameters(model);
initialise(parameters, model, createRng(1));
const shape = { rows: ROWS, length: LENGTH, streams: 1 } as const;
const pass = await createGradientPass(runtime, model, parameters, shape, { threads });
const optimizer = await createOptimizer(runtime, model, config.optimizer, { threads });
const weights = parameters.list.reduce((n, { shape: s, data }) => n + (s.length === 2 ? data.length : 0), 0);
const flopsPerToken = 6 * weights + 6 * model.layers * model.heads * model.headDim * LENGTH;
const rng = createRng(2);

async function step(): Promise<void> {
  pass.clear();
  for (let i = 0; i < MICRO; i++) {
    const ids = Int32Array.from({ length: ROWS * LENGTH }, () => rng.int(model.vocabSize));
    const segments = new Int32Array(ROWS * LENGTH);
    await pass.accumulate(autoregressiveInputs({ rows: ROWS, length: LENGTH, ids, segments, answer: null }));
  }
  await optimizer.update(parameters, pass.gradients, 1 / MICRO, 1e-3);
}

async function ours(): Promise<Round> {
  await step();
  const rates: number[] = [];
  const end = performance.now() + Number(flags.seconds) * 1000;
  while (performance.now() < end) {
    const started = performance.now();
    await step();
    rates.push((MICRO * ROWS * LENGTH * 1000) / (performance.now() - started));
  }
  const tokensPerSecond = median(rates);
  return { tokensPerSecond, gflops: (tokensPerSecond * flopsPerToken) / 1e9 };
}

function torch(): Round & { gemm?: Record<string, unknown> } {
  const script = fileURLToPath(new URL('reference/bench_train.py', import.meta.url));
  const args = [script, '--threads', flags.threads, '--seconds', flags.seconds, '--json'];
  return JSON.parse(execFileSync(flags.python, args, { encoding: 'utf8' }).trim().split('\n').at(-1)!);
}

const rounds: { tintype: Round; torch: Round; ratio: number }[] = [];
for (let i = 0; i < Number(flags.rounds); i++) {
  const [a, b] = [await ours(), torch()];
  rounds.push({ tintype: a, torch: b, ratio: a.tokensPerSecond / b.tokensPerSecond });
  if (!flags.json) {
    console.log(
      `round ${i + 1}: tintype ${a.tokensPerSecond.toFixed(0)} tokens/s (${a.gflops.toFixed(0)} GFLOPS), ` +
        `torch ${b.tokensPerSecond.toFixed(0)} (${b.gflops.toFixed(0)}), ratio ${rounds[i].ratio.toFixed(3)}`,
    );
  }
}
const ratio = median(rounds.map((round) => round.ratio));
console.log(
  flags.json
    ? JSON.stringify({ parameters: parameters.flat.length, threads, rounds, ratio })
    : `median ratio ${ratio.toFixed(3)}`,
);
process.exit(0);
