/** `tintype bench`: speed beside quality, as ratios within one run; sudoku; published sizes. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, resolve } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import { TintypeError } from '../errors.ts';
import { bench } from '../eval/bench.ts';
import { loadBenchModel, openBench } from '../eval/bench-models.ts';
import { askedPlans, BENCH_MODES, DEFAULT_THRESHOLDS, planBench } from '../eval/bench-plan.ts';
import { benchSizes, SIZES, type SizeName } from '../eval/bench-sizes.ts';
import { benchSudoku } from '../eval/bench-sudoku.ts';
import { readInfillRows } from '../eval/documents.ts';
import { hasLlama, LLAMA_INSTALL } from '../eval/llama.ts';
import { describeMachine } from '../eval/machine.ts';
import { nodeRuntime } from '../graph/node.ts';
import { loadDenoiser } from '../model/load.ts';
import { PRECISIONS, type Precision } from '../model/quantize.ts';
import { formatBench, formatMachine, formatSizes, formatSudokuBench } from './bench-format.ts';
import { addDecodeOptions, decodeOptionsOf, saysHow } from './decode-options.ts';
import { interruptSignal } from './interrupt.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { toNumber, whole } from './options.ts';
import { printJson, printLine } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

/** Of how to decode, what means something else here, or nothing. */
const OWN_OPTIONS = ['--max-tokens', '--context', '--block-length', '--precision', '--seed', '--draft'];

interface BenchFlags extends LoadFlags {
  [option: string]: unknown;
  model?: string;
  twin?: string;
  data?: string;
  sudoku?: boolean;
  sizes?: SizeName[] | true;
  limit: number;
  modes?: string[];
  thresholds?: number[];
  fullLength?: boolean;
  precision: Precision[];
  maxTokens: number;
  context?: number;
  blockLength?: number;
  repeat?: number;
  threads: number;
  seed: number;
  nfe: number[];
  layers: number;
  llamaServer?: string;
  profile: boolean;
  plot?: string;
  json?: boolean;
}

const HELP = `
Everything is measured in one run of one process: each prompt is answered by all configurations in a random order before
the next, and again for each --repeat. Times are whole requests (prompt, prefill, forwards, text), the median of the
repeats; only tokens before the end of the text or the line break count; intervals are 95 % over prompts. Compare ratios
within a run, not speeds of two runs. "outside products" is the share of a request's time that is no matrix product, from
ONNX Runtime's profiler over two requests apart from the measurement. MB are weights and keys/values of the longest
request, computed and not measured. --precision adds our decoder with 8 or 4 bit weights (the first of the list with
--sudoku). "per CPU s" counts the work of the cores in place of the clock: other programs disturb
it less, but with more than one thread it counts cores that spin.

Useful tokens a second favour the model that writes longer answers, since the prompt costs the same for all. Look at
--full-length too, where all write as many, for the speed of decoding alone.

Configurations: diffusion and verify at each of --thresholds (above 1: one token a forward), verify@0.3+2 (with two
redrafts), ar (the same file, one token at a time), ar-guessed (the same, and what bigrams guess is verified), asked
(what --mode, --policy, --cache and the like say, where they are given), the twin, twin-guessed, and the twin in llama.cpp as f32, f16, q8_0 and q4_0 where llama.cpp can be had:
  ${LLAMA_INSTALL}
or --llama-server PATH, a binary of llama.cpp. It gets the same token ids, threads and stop, greedy, f16 keys and values.

The gaps of --data are rows as tintype corpus tokenize writes them (fim.jsonl.gz).

Examples:
  tintype bench --model models/tintype-code --twin models/tintype-code-ar --data data/ts/fim.jsonl.gz --limit 100 --repeat 3
  tintype bench --model models/tintype-code --data data/ts/fim.jsonl.gz --modes diffusion@0.5,diffusion@0.9 --json
  tintype bench --model models/tintype-code --data data/ts/fim.jsonl.gz --modes diffusion@0.9 --policy factor --factor 2
  tintype bench --sudoku --model models/tintype-sudoku --twin models/tintype-sudoku-ar --thresholds 0.3,0.5
  tintype bench --sizes 0.6b,1.7b --threads 2`;

const words = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

function toSizes(text: string): SizeName[] {
  return words(text).map((word) => {
    const size = SIZES.find((each) => each === word.toLowerCase());
    if (size !== undefined) return size;
    throw new TintypeError('bad_option', {
      what: '--sizes has no such size',
      got: word,
      wanted: SIZES.join(', '),
    });
  });
}

function toPrecisions(text: string): Precision[] {
  return words(text).map((word) => {
    const precision = PRECISIONS.find((each) => each === word);
    if (precision !== undefined) return precision;
    const wanted = PRECISIONS.join(', ');
    throw new TintypeError('bad_option', { what: '--precision has no such word', got: word, wanted });
  });
}

export function register(program: Command): void {
  const command = program
    .command('bench')
    .description('measure speed beside quality, against an autoregressive twin and llama.cpp')
    .option('--model <dir>', 'a model folder');
  addLoadOptions(command)
    .option('--twin <dir>', 'its autoregressive twin')
    .option('--data <file>', 'rows {"id","prefix","suffix","middle"} as JSONL, plain or gzip')
    .option('--limit <n>', 'only the first rows or puzzles', whole('--limit', 1), 50)
    .option(
      '--modes <list>',
      `${BENCH_MODES.join(', ')}, or one configuration (default: all there are)`,
      words,
    )
    .option(
      '--thresholds <list>',
      `of diffusion and verify (default: ${DEFAULT_THRESHOLDS.join(',')}); --sudoku: rows after those of --nfe (default there: none)`,
      (text) => words(text).map((word) => toNumber('--thresholds', word, 0, 2)),
    )
    .option(
      '--precision <list>',
      `of our decoder, each is measured: ${PRECISIONS.join(', ')}`,
      toPrecisions,
      ['f32'] satisfies Precision[],
    )
    .option('--max-tokens <n>', 'most tokens to write', whole('--max-tokens', 1), 32)
    .option(
      '--full-length',
      'answers do not end before --max-tokens: speed at equal length, quality means nothing',
    )
    .option(
      '--context <n>',
      'most prompt tokens (default: what the context has room for)',
      whole('--context', 1),
    )
    .option(
      '--block-length <n>',
      "positions denoised together (default: the model's)",
      whole('--block-length', 1),
    )
    .option('--repeat <n>', 'requests for each prompt (default: 3)', whole('--repeat', 1))
    .option('--threads <n>', 'threads that compute', whole('--threads', 1), availableParallelism())
    .option('--seed <n>', 'of the order and the resampling', whole('--seed', 0), 0)
    .option('--llama-server <path>', 'a llama-server binary in place of node-llama-cpp')
    .option('--no-profile', 'do not profile')
    .option('--plot <file>', 'draw exact match against speed into an .svg')
    .option('--sudoku', 'sudoku models: valid grids against milliseconds a puzzle')
    .option(
      '--nfe <list>',
      '--sudoku: budgets of forwards',
      (text) => words(text).map(whole('--nfe', 1)),
      [12, 4, 2, 1],
    )
    .option(
      '--sizes [list]',
      `cost of a step of published shapes with random weights: ${SIZES.join(', ')}`,
      toSizes,
    )
    .option('--layers <n>', '--sizes: layers that are measured and scaled', whole('--layers', 1), 2)
    .option('--json', 'print one JSON document');
  addDecodeOptions(command, OWN_OPTIONS).addHelpText('after', HELP).action(run);
}

async function run(flags: BenchFlags): Promise<void> {
  if (flags.plot !== undefined && extname(flags.plot).toLowerCase() !== '.svg') {
    throw new TintypeError('bad_option', { what: 'the picture is an .svg', got: `--plot ${flags.plot}` });
  }
  const isAsked = saysHow(flags, OWN_OPTIONS);
  if (isAsked && (flags.sizes !== undefined || flags.sudoku)) {
    throw new TintypeError('bad_option', {
      what: 'options of decoding, such as --policy, are for infilling',
      next: 'leave them out; --sudoku takes --nfe and --thresholds',
    });
  }
  if (flags.sizes !== undefined) await runSizes(flags);
  else if (flags.sudoku) await runSudoku(flags);
  else await runInfill(flags, isAsked);
}

function required(option: string, value: string | undefined): string {
  if (value !== undefined) return value;
  throw new TintypeError('bad_option', {
    what: `bench needs ${option}`,
    next: 'add --help to see examples; --sizes needs neither model nor data',
  });
}

/** A progress line that begins with the first item, since how many there are is known then. */
function lazyProgress(label: string, unit: string) {
  let progress: Progress | null = null;
  return {
    update: (done: number, total: number, note?: string): void => {
      progress ??= createProgress({ label, total, unit });
      progress.update(done, note);
    },
    finish: (): void => progress?.finish(''),
  };
}

const nameOf = (dir: string): string => basename(resolve(dir));
const namesOf = (model: string, twin: string | undefined) => ({
  model: nameOf(model),
  twin: twin === undefined ? null : nameOf(twin),
});

async function runInfill(flags: BenchFlags, isAsked: boolean): Promise<void> {
  const {
    limit,
    thresholds = DEFAULT_THRESHOLDS,
    repeat = 3,
    threads,
    seed,
    llamaServer: server,
    maxTokens,
    blockLength,
  } = flags;
  const [modelDir, data] = [required('--model', flags.model), required('--data', flags.data)];
  const signal = interruptSignal();
  // The seed is that of the order; each request has the seed that it has elsewhere.
  const asked = decodeOptionsOf({ ...flags, precision: undefined, seed: undefined });
  const rows = (await readInfillRows(data)).slice(0, limit);
  const machine = await describeMachine();
  const { overrides, packed } = loadOptionsOf(flags);
  const model = await loadBenchModel(modelDir, { threads, overrides, packed });
  const twin = flags.twin === undefined ? null : await loadBenchModel(flags.twin, { threads, packed });
  const { layout } = model.checkpoint.config;
  const precisions = flags.precision;
  const { plans, skipped } = planBench({
    words: flags.modes ?? null,
    thresholds,
    precisions,
    hasTwin: twin !== null,
    layout,
    hasLlama: server !== undefined || (await hasLlama()),
  });
  if (isAsked) plans.push(...askedPlans(asked, { precisions, layout }));
  for (const reason of skipped) process.stderr.write(`${pc.yellow('note:')} not measured: ${reason}\n`);

  const options = { maxTokens, contextTokens: flags.context, blockLength };
  const opened = await openBench({
    plans,
    model,
    twin,
    options,
    isFull: flags.fullLength,
    threads,
    server,
    rows: flags.profile ? rows : [],
    signal,
  });
  const progress = lazyProgress('bench', 'requests');
  try {
    const result = await bench(rows, opened.configurations, {
      repeat,
      seed,
      signal,
      onProgress: progress.update,
    });
    progress.finish();
    const names = namesOf(modelDir, flags.twin);
    if (flags.plot !== undefined) {
      // Loaded here: the plotting library takes longer to load than all the rest of the program.
      const { plotBench } = await import('../eval/bench-plot.ts');
      await writeFile(flags.plot, plotBench(result, `${names.model}: quality against speed`));
    }
    const settings = {
      ...names,
      threads,
      seed,
      maxTokens,
      context: flags.context ?? null,
      fullLength: flags.fullLength ?? false,
    };
    if (flags.json) {
      const memory = 'weights and keys/values of the longest request, computed';
      printJson({ machine, ...settings, ...result, notMeasured: skipped, memory });
    } else {
      printLine(`${formatMachine(machine)}, ${threads} threads\n${formatBench(result)}`);
    }
    if (result.isInterrupted) signal.throwIfAborted();
  } finally {
    await opened.close();
  }
}

async function runSudoku({
  limit,
  nfe,
  repeat = 1,
  seed,
  threads,
  precision: [precision],
  json,
  ...flags
}: BenchFlags): Promise<void> {
  const signal = interruptSignal();
  const modelDir = required('--model', flags.model);
  const machine = await describeMachine();
  const session = { threads, precision, packed: loadOptionsOf(flags).packed };
  const { denoiser } = await loadDenoiser(modelDir, session);
  try {
    const twin = flags.twin === undefined ? null : (await loadDenoiser(flags.twin, session)).denoiser;
    try {
      const progress = lazyProgress('sudoku', 'grids');
      const result = await benchSudoku(denoiser, twin, {
        puzzles: limit,
        budgets: nfe,
        thresholds: flags.thresholds,
        repeat,
        seed,
        signal,
        onProgress: progress.update,
      });
      progress.finish();
      const names = namesOf(modelDir, flags.twin);
      if (json) printJson({ machine, ...names, threads, seed, precision, ...result });
      else printLine(`${formatMachine(machine)}, ${threads} threads\n${formatSudokuBench(result)}`);
    } finally {
      await twin?.close();
    }
  } finally {
    await denoiser.close();
  }
}

async function runSizes({
  sizes,
  layers,
  repeat,
  threads,
  precision: precisions,
  json,
}: BenchFlags): Promise<void> {
  const signal = interruptSignal();
  const machine = await describeMachine();
  const progress = lazyProgress('sizes', 'parts');
  const names = sizes === true || sizes === undefined ? SIZES : sizes;
  const result = await benchSizes(await nodeRuntime(), names, {
    layers,
    threads,
    precisions,
    repeat: repeat ?? 5,
    signal,
    onProgress: progress.update,
  });
  progress.finish();
  if (json) printJson({ machine, threads, ...result });
  else printLine(`${formatMachine(machine)}, ${threads} threads\n${formatSizes(result)}`);
}
