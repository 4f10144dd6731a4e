/** `tintype tune`: the fastest decoding on this machine within a bound on quality, stored for the other commands. */
import { availableParallelism } from 'node:os';
import { basename, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import pc from 'picocolors';
import { completionOptionsSchema, parseOptions } from '../decode/options.ts';
import { TintypeError } from '../errors.ts';
import { bestTogether, gains } from '../eval/batched-costs.ts';
import { breakEvenTokens } from '../eval/cost-curve.ts';
import { readInfillRows, type InfillRow } from '../eval/documents.ts';
import { describeMachine } from '../eval/machine.ts';
import { PRECISIONS, type Precision } from '../model/quantize.ts';
import { checkTuning } from '../eval/tune-check.ts';
import { paretoFront, type Standing } from '../eval/tune-race.ts';
import { tune, type Finalist, type TuneOptions, type TuneResult } from '../eval/tune.ts';
import { tunedKey, writeTuned, type Tuned } from '../eval/tuned-store.ts';
import { describeCheckpoint } from '../model/hf.ts';
import { createRng, shuffle } from '../rng.ts';
import { formatMachine } from './bench-format.ts';
import { interruptSignal } from './interrupt.ts';
import { toNumber, whole } from './options.ts';
import { printJson, printLine } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { addModelOptions, type ModelFlags, overridesOf } from './model-options.ts';
import { bundledModel, openTextModel } from './text-model.ts';
import { formatCheck, formatTune } from './tune-format.ts';

/** Load a core from which the clock is not to be trusted. */
const BUSY_SHARE = 0.5;

interface TuneFlags extends ModelFlags {
  model?: string;
  data: string;
  limit: number;
  loss: number;
  precisions: Precision[];
  maxTokens: number;
  context?: number;
  threads: number;
  rounds: number;
  clock: 'wall' | 'cpu';
  seed: number;
  check?: boolean;
  json?: boolean;
}

const HELP = `
What a forward costs is measured once, as a table over rows and prefix. What a setting does with a gap does not depend on
the clock, so its speed is predicted from the table, and a busy machine disturbs the choice little. Block lengths,
thresholds, factor, entropy bound, verify and precisions are tried, coarse to fine; settings that lose too much are dropped
after a few rows. The best three are then timed side by side.

The bound: --loss points of exact match, and twice as many of edit similarity, against one token a step in f32 on the same
gaps. With few rows such a loss is hardly measurable: where 4 % of the answers differ, its standard error is about 2 points on
100 rows and 0.6 on 1000. The choice goes by the loss itself, not by its upper limit.

The choice is stored in TINTYPE_CACHE_DIR (default: tintype in XDG_CACHE_HOME or ~/.cache) for this model, processor, thread
count and version of ONNX Runtime. complete, infill and serve then use it where nothing else is said; --no-tuned stops that.
serve also takes as many requests into one forward as the measured costs of several sequences say, at most eight.

The gaps of --data are rows as tintype corpus tokenize writes them (fim.jsonl.gz).

Examples:
  tintype tune --model models/tintype-code --data data/ts/fim.jsonl.gz --limit 100
  tintype tune --data data/ts/fim.jsonl.gz --loss 0 --precisions f32
  tintype tune --data data/ts/fim.jsonl.gz --limit 20 --check --json`;

function toPrecisions(text: string): Precision[] {
  const names = text.split(',').map((word) => {
    const found = PRECISIONS.find((precision) => precision === word.trim());
    if (found !== undefined) return found;
    throw new TintypeError('bad_option', {
      what: '--precisions has no such precision',
      got: word,
      wanted: PRECISIONS.join(', '),
    });
  });
  // The reference of quality is the exact one, whatever else is tried.
  return PRECISIONS.filter((precision, i) => i === 0 || names.includes(precision));
}

export function register(program: Command): void {
  const command = program
    .command('tune')
    .description('find the fastest decoding on this machine that keeps the quality')
    .option('--model <dir>', 'a model folder (default: the bundled tintype-code)');
  addModelOptions(command)
    .requiredOption('--data <file>', 'rows {"id","prefix","suffix","middle"} as JSONL, plain or gzip')
    .option('--limit <n>', 'gaps, drawn at random', whole('--limit', 1), 100)
    .option(
      '--loss <points>',
      'most points of exact match that may be lost',
      (text) => toNumber('--loss', text, 0, 100),
      1,
    )
    .option('--precisions <list>', `of ${PRECISIONS.join(', ')} (default: all)`, toPrecisions, [
      ...PRECISIONS,
    ])
    .option('--max-tokens <n>', 'most tokens to write', whole('--max-tokens', 1), 64)
    .option(
      '--context <n>',
      'most prompt tokens (default: what the context has room for)',
      whole('--context', 1),
    )
    .option('--threads <n>', 'threads that compute', whole('--threads', 1), availableParallelism())
    .option('--rounds <n>', 'samples of each cost; more on a busy machine', whole('--rounds', 1), 9)
    .addOption(
      new Option('--clock <name>', 'cpu counts the work of one thread, which other programs disturb little')
        .choices(['wall', 'cpu'])
        .default('wall'),
    )
    .option('--seed <n>', 'of the draw of gaps', whole('--seed', 0), 0)
    .option('--check', 'time every setting on every gap too, and say how far the choice is from the best')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(run);
}

/** Milliseconds that the cores have worked for this process. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Rows in a random order, so that a limit takes a fair sample and a larger one adds to it. */
function sample(rows: readonly InfillRow[], limit: number, seed: number): InfillRow[] {
  return shuffle([...rows], createRng(seed, 'tune-rows')).slice(0, limit);
}

/** A progress line for each stage. */
function stageProgress() {
  let open: { stage: string; total: number; progress: Progress } | null = null;
  const finish = (): void => {
    open?.progress.finish();
    open = null;
  };
  return {
    update: (stage: string, done: number, total: number, note: string): void => {
      if (open && (open.stage !== stage || open.total !== total || done === 1)) finish();
      open ??= { stage, total, progress: createProgress({ label: stage, total, unit: 'steps' }) };
      open.progress.update(done, note);
    },
    finish,
  };
}

async function run(flags: TuneFlags): Promise<void> {
  const { data, limit, loss, threads, rounds, seed, maxTokens, context: contextTokens } = flags;
  const signal = interruptSignal();
  if (flags.clock === 'cpu' && threads !== 1) {
    throw new TintypeError('bad_option', {
      what: 'several threads spin while they wait, which is no work',
      got: `--clock cpu with ${threads} threads`,
      wanted: '--threads 1',
    });
  }
  const dir = flags.model ?? bundledModel();
  const overrides = overridesOf(flags);
  parseOptions(completionOptionsSchema, { maxTokens, contextTokens });
  // Quantised weights are what they are.
  const { precision: stored } = await describeCheckpoint(dir, { verify: false, overrides });
  const precisions = stored === 'f32' ? flags.precisions : [stored];
  const rows = sample(await readInfillRows(data), limit, seed);
  const [machine, key] = [await describeMachine(), await tunedKey(dir, threads)];
  if (flags.clock === 'wall' && machine.loadAtStart[0] > BUSY_SHARE * machine.cores) {
    process.stderr.write(
      `${pc.yellow('note:')} other programs are at work (load ${machine.loadAtStart[0]} on ${machine.cores} cores): costs are noisy; tune again when it is quiet, raise --rounds, or use --clock cpu --threads 1\n`,
    );
  }
  const progress = stageProgress();
  const options: TuneOptions = {
    open: (precision) => openTextModel(dir, { threads, precision, overrides }),
    precisions,
    lossPoints: loss,
    request: { maxTokens, contextTokens },
    rounds,
    nowMs: flags.clock === 'cpu' ? cpuMs : undefined,
    signal,
    onProgress: progress.update,
  };
  const name = basename(resolve(dir));
  const result = await tune(rows, options).finally(progress.finish);
  const path = await writeTuned(tunedOf(result, name, key, rows.length));
  const check = flags.check ? await checkTuning(rows, result, options).finally(progress.finish) : null;
  if (flags.json) {
    const settings = {
      model: name,
      threads,
      clock: flags.clock,
      gaps: rows.length,
      lossPoints: loss,
      maxTokens,
      seed,
    };
    printJson({ machine, ...settings, ...plain(result), stored: path, check });
  } else {
    printLine(`${formatMachine(machine)}, ${threads} threads\n\n${formatTune(result, loss)}`);
    printLine(pc.dim(`stored in ${path}; complete, infill and serve use it from now on`));
    if (check) printLine(`\n${formatCheck(check)}`);
  }
}

function tunedOf(
  { chosen, baseline, curves }: TuneResult,
  name: string,
  key: Tuned['key'],
  rows: number,
): Tuned {
  const { point } = chosen.standing.trial;
  return {
    version: 1,
    name,
    key,
    createdAt: new Date().toISOString(),
    precision: point.precision,
    options: point.options,
    tokensPerSecond: chosen.timed.tokensPerSecond,
    baselineTokensPerSecond: baseline.timed.tokensPerSecond,
    exactLossPoints: chosen.standing.exactLoss.points,
    rows,
    curves,
  };
}

/** The result without what each request gave. */
function plain(result: TuneResult): object {
  const { curves, reference, standings, finalists, baseline, chosen, why } = result;
  const point = ({ trial, ...standing }: Standing): object => ({ ...trial.point, ...standing });
  const timed = ({ standing, timed: { tokensPerSecond } }: Finalist): object => ({
    name: standing.trial.point.name,
    predictedTokensPerSecond: standing.tokensPerSecond,
    measuredTokensPerSecond: tokensPerSecond,
  });
  return {
    curves: curves.map((curve) => ({
      ...curve,
      breakEvenTokens: breakEvenTokens(curve),
      ...(curve.batched ? { batchedGains: gains(curve.batched), together: bestTogether(curve.batched) } : {}),
    })),
    reference: point(reference),
    points: standings.map(point),
    pareto: paretoFront([reference, ...standings]).map(({ trial }) => trial.point.name),
    finalists: finalists.map(timed),
    baseline: timed(baseline),
    chosen: point(chosen.standing),
    why,
  };
}
