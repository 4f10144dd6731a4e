/** `tintype train`: runs a recipe in a worker thread and shows how it goes. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { TintypeError, type ErrorCode, type ErrorParts } from '../errors.ts';
import { parseTrainConfig, type TrainConfig } from '../train/config.ts';
import { PRESETS } from '../train/presets.ts';
import { readRunConfig } from '../train/run.ts';
import type { TrainWorkerData } from '../train/run-worker.ts';
import type { StepEvent, TrainEvent } from '../train/trainer.ts';
import { spawnWorker } from '../worker.ts';
import { toNumber, whole } from './options.ts';
import { clip, formatCount, formatDuration } from './progress.ts';

interface TrainFlags {
  preset?: string;
  config?: string;
  data?: string;
  tokenizer?: string;
  init?: string;
  out?: string;
  resume?: boolean;
  threads?: number;
  minutes?: number;
  tokens?: number;
  decay?: number;
  seed?: number;
  printConfig?: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('train a model: masked diffusion, block diffusion or autoregressive')
    .option('--preset <name>', `a recipe: ${Object.keys(PRESETS).join(', ')}`)
    .option('--config <file>', 'a configuration in JSON (--print-config shows a complete one)')
    .option('--data <dir>', 'tokenised shards (tintype corpus tokenize)')
    .option('--tokenizer <dir>', 'folder with tokenizer.json')
    .option('--init <dir>', 'checkpoint to start from')
    .option('--tokens <n>', 'tokens to train on in all', whole('--tokens', 1))
    .option('--decay <n>', 'the last tokens, over which the rate falls to 0', whole('--decay', 0));
  addRunOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  tintype train --preset sudoku --minutes 5
  tintype train --preset code-base --out runs/code-base --minutes 60
  tintype train --out runs/code-base --resume
  tintype train --preset code --print-config > my.json && tintype train --config my.json

Ctrl-C saves a checkpoint and stops; a second one stops at once. --resume then goes on bit for bit.`,
    )
    .action(async (flags: TrainFlags) => {
      const config = readConfig(flags);
      if (flags.printConfig) {
        process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
        return;
      }
      await runInWorker(config, flags);
    });
}

/** What every run takes, whatever its recipe. */
export function addRunOptions(command: Command): Command {
  return command
    .option('--out <dir>', 'run folder (default: runs/NAME)')
    .option('--resume', 'go on with the run in --out, exactly where its last checkpoint left it')
    .option('--threads <n>', 'threads of the matrix products (default: one a core)', whole('--threads', 1))
    .option('--minutes <n>', 'stop after this long, with a checkpoint', (text: string) =>
      toNumber('--minutes', text, 0, 1e6),
    )
    .option('--seed <n>', 'seed of every random choice', whole('--seed', 0))
    .option('--print-config', 'print the complete configuration and stop')
    .option('--json', 'events as JSON, one a line, on stdout');
}

/** The configuration that a run was started with; threads may differ, results do not. */
export function resumedConfig(dir: string, threads: number | undefined): TrainConfig {
  const config = parseTrainConfig(readRunConfig(dir));
  return threads === undefined ? config : { ...config, threads };
}

function readConfig(flags: TrainFlags): TrainConfig {
  const out = flags.out;
  if (flags.resume && out && !flags.preset && !flags.config) return resumedConfig(out, flags.threads);
  let input: Record<string, unknown>;
  if (flags.config) {
    try {
      input = JSON.parse(readFileSync(flags.config, 'utf8'));
    } catch (cause) {
      throw new TintypeError('bad_config', {
        what: `cannot read ${flags.config}`,
        got: (cause as Error).message,
        cause,
      });
    }
  } else if (flags.preset && Object.hasOwn(PRESETS, flags.preset)) {
    input = { ...PRESETS[flags.preset as keyof typeof PRESETS] };
  } else {
    throw new TintypeError('bad_option', {
      what: flags.preset ? 'there is no such preset' : 'nothing to train',
      got: flags.preset,
      wanted: `--preset ${Object.keys(PRESETS).join('|')}, --config FILE or --resume --out DIR`,
    });
  }
  const data = input.data as Record<string, unknown>;
  if (flags.data || flags.tokenizer) {
    input.data = {
      ...data,
      ...(flags.data ? { shards: flags.data } : {}),
      ...(flags.tokenizer ? { tokenizer: flags.tokenizer } : {}),
    };
  }
  if (flags.tokens) input.schedule = { ...(input.schedule as object), totalTokens: flags.tokens };
  if (flags.decay !== undefined) {
    input.schedule = { ...(input.schedule as object), decayTokens: flags.decay };
  }
  if (flags.init) input.init = flags.init;
  if (flags.seed !== undefined) input.seed = flags.seed;
  if (flags.threads !== undefined) input.threads = flags.threads;
  return parseTrainConfig(input);
}

/** How a run is driven, whatever its recipe. */
export interface RunFlags {
  out?: string | undefined;
  resume?: boolean | undefined;
  minutes?: number | undefined;
  json?: boolean | undefined;
}

/** Runs in a worker thread, shows the events, and turns Ctrl-C into a checkpoint. */
export async function runInWorker(config: TrainConfig, flags: RunFlags): Promise<void> {
  const dir = flags.out ?? `runs/${config.name}`;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const workerData: TrainWorkerData = {
    config,
    dir,
    resume: flags.resume ?? false,
    minutes: flags.minutes,
    stop,
  };
  const worker = spawnWorker(import.meta.url, '../train/run-worker', { workerData });
  let firstMs = 0;
  const onSignal = (): void => {
    // A terminal and a wrapper may both deliver one Ctrl-C: repeats within a second are the same wish.
    if (firstMs > 0 && performance.now() - firstMs > 1000) process.exit(130);
    if (firstMs > 0) return;
    firstMs = performance.now();
    Atomics.store(stop, 0, 1);
    process.stderr.write('\nsaving a checkpoint (again to stop at once) …\n');
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const show = flags.json
    ? (event: TrainEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`)
    : createLine(config, dir, flags.minutes);
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on(
        'message',
        (message: { event?: TrainEvent; error?: { code: ErrorCode; parts: ErrorParts } }) => {
          if (message.event) show(message.event);
          if (message.error) reject(new TintypeError(message.error.code, message.error.parts));
        },
      );
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

const ENDS = { finished: 'finished', stopped: 'stopped', minutes: 'the minutes are over' } as const;

/** One live line on a terminal, the most important first, else a line every ten seconds. */
function createLine(config: TrainConfig, dir: string, minutes = Infinity): (event: TrainEvent) => void {
  const tty = process.stderr.isTTY;
  let shownMs = -Infinity;
  let loss: number | null = null;
  let rate: number | null = null;
  const started = performance.now();
  const text = (event: StepEvent): string => {
    loss = loss === null ? event.lossNats : 0.9 * loss + 0.1 * event.lossNats;
    rate = rate === null ? event.tokensPerSecond : 0.9 * rate + 0.1 * event.tokensPerSecond;
    const total = config.schedule.totalTokens;
    const seconds = (performance.now() - started) / 1000;
    const secondsLeft = Math.min((total - event.tokens) / rate, minutes * 60 - seconds);
    return [
      `step ${event.step}`,
      `loss ${loss.toFixed(3)}`,
      `${formatCount(event.tokens)}/${formatCount(total)} tokens`,
      `${formatCount(rate)}/s`,
      `${formatDuration(secondsLeft)} left`,
      ...(event.diffusionNats === null ? [] : [`diffusion ${event.diffusionNats.toFixed(3)}`]),
      ...(event.autoregressiveNats === null || event.diffusionNats === null
        ? []
        : [`next ${event.autoregressiveNats.toFixed(3)}`]),
      ...(event.certaintyNats === null ? [] : [`unsure ${event.certaintyNats.toFixed(3)}`]),
      `norm ${event.gradNorm.toFixed(2)}`,
      `lr ${event.learningRate.toFixed(2)}`,
      formatDuration(seconds),
    ].join('  ');
  };
  return (event) => {
    if (event.type === 'start') {
      process.stderr.write(
        `${config.name}: ${(event.parameters / 1e6).toFixed(2)}M parameters, ${event.source}` +
          `${event.resumedAtStep > 0 ? `, resumed at step ${event.resumedAtStep}` : ''}, run in ${dir}\n`,
      );
    } else if (event.type === 'step') {
      const line = text(event);
      // A line longer than the terminal would wrap and leave its first half behind.
      if (tty) process.stderr.write(`\r\x1b[2K${clip(line, (process.stderr.columns || 80) - 1)}`);
      else if (performance.now() - shownMs > 10_000) {
        process.stderr.write(`${line}\n`);
        shownMs = performance.now();
      }
    } else if (event.type === 'end') {
      process.stderr.write(
        `${tty ? '\n' : ''}${ENDS[event.reason]} at step ${event.step}; model in ${dir}/model\n`,
      );
      if (event.reason !== 'finished') {
        process.stderr.write(`go on: tintype train --out ${dir} --resume\n`);
      }
    }
  };
}
