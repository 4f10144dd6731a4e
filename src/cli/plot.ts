/** `tintype plot`: the curves of training runs in one picture. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { TintypeError } from '../errors.ts';
import { curvesOf, parseRunLog, type RunLog, X_AXES, type XAxis } from '../train/curves.ts';
import { printLine } from './output.ts';
import { renderPng } from './png.ts';

interface PlotFlags {
  out: string;
  x: XAxis;
  y: string;
  smooth?: string;
}

/** A run is its folder or its log file. */
async function readRun(path: string): Promise<RunLog> {
  try {
    const file = (await stat(path)).isDirectory() ? join(path, 'log.jsonl') : path;
    return parseRunLog(await readFile(file, 'utf8'), basename(dirname(resolve(file))));
  } catch (cause) {
    throw new TintypeError('not_found', {
      what: `there is no run log in ${path}`,
      got: (cause as Error).message,
      wanted: 'a run folder, as tintype train writes it, with log.jsonl',
      cause,
    });
  }
}

/** Two runs of one recipe are told apart by where they are. */
function tellApart(runs: readonly RunLog[], paths: readonly string[]): RunLog[] {
  return runs.map((run, i) => {
    const isShared = runs.some((other) => other !== run && other.name === run.name);
    return isShared ? { ...run, name: paths[i] } : run;
  });
}

/** Errors: `bad_option`. */
function parseSmooth(text: string | undefined): number | null {
  if (text === undefined) return null;
  const lines = Number(text);
  if (Number.isInteger(lines) && lines >= 1) return lines;
  throw new TintypeError('bad_option', {
    what: '--smooth is a number of log lines',
    got: text,
    wanted: '1 or more; 1 is none',
  });
}

export function register(program: Command): void {
  program
    .command('plot')
    .description('draw the curves of one or more runs in one picture')
    .argument('<run...>', 'run folders, each with log.jsonl')
    .option('--out <file>', 'picture to write: .svg or .png', 'curve.svg')
    .addOption(new Option('--x <axis>', 'what runs to the right').choices(X_AXES).default('tokens'))
    .option(
      '--y <field>',
      'lossNats, bitsPerByte, gradNorm, tokensPerSecond or any other field of the log',
      'lossNats',
    )
    .option('--smooth <n>', 'log lines averaged for a point of the line (default: a fortieth of the run)')
    .addHelpText(
      'after',
      `
Examples:
  tintype plot runs/code
  tintype plot runs/code runs/code-ar --x flops --out curve.png
  tintype plot runs/* --y bitsPerByte --x minutes`,
    )
    .action(async (paths: string[], { out, x, y, smooth }: PlotFlags) => {
      const format = extname(out).toLowerCase();
      if (format !== '.svg' && format !== '.png') {
        throw new TintypeError('bad_option', {
          what: 'the picture is an .svg or a .png',
          got: `--out ${out}`,
        });
      }
      const window = parseSmooth(smooth);
      // Loaded here: the plotting library takes longer to load than all the rest of the program.
      const { plotCurves } = await import('../train/plot.ts');
      const runs = tellApart(await Promise.all(paths.map(readRun)), paths);
      const svg = plotCurves(curvesOf(runs, x, y, window), x, y, window);
      if (format === '.png') {
        const { png, warning } = renderPng(svg);
        if (warning) process.stderr.write(`${pc.yellow('warning:')} ${warning}\n`);
        await writeFile(out, png);
      } else {
        await writeFile(out, svg);
      }
      printLine(out);
    });
}
