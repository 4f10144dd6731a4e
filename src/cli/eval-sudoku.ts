/** `tintype eval sudoku`: right grids for each number of forwards. */
import type { Command } from 'commander';
import { TintypeError } from '../errors.ts';
import { evaluateSudoku, type SudokuResult } from '../eval/sudoku.ts';
import { loadDenoiser } from '../model/load.ts';
import { SUDOKU_SIZES, type SudokuSize } from '../train/sudoku.ts';
import { addDecodeOptions, decodeOptionsOf, saysHow } from './decode-options.ts';
import { interruptSignal } from './interrupt.ts';
import { toNumber, whole } from './options.ts';
import { formatTable, printJson, printLine } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

/** Of how to decode, what means something else here, or nothing. */
const OWN_OPTIONS = [
  '--max-tokens',
  '--context',
  '--draft',
  '--precision',
  '--seed',
  '--sampler',
  '--stop',
  '--schema',
  '--regex',
];

interface SudokuFlags {
  [option: string]: unknown;
  model: string;
  size?: SudokuSize;
  puzzles: number;
  nfe: number[];
  thresholds: number[];
  seed: number;
  threads?: number;
  json?: boolean;
}

function toSize(text: string): SudokuSize {
  const size = SUDOKU_SIZES.find((each) => String(each) === text);
  if (size !== undefined) return size;
  throw new TintypeError('bad_option', {
    what: 'there is no sudoku of this size',
    got: text,
    wanted: SUDOKU_SIZES.join(', '),
  });
}

/** Percent with one decimal, `99.9 ± 0.1`. */
const percent = (share: number, error: number | null = null): string =>
  `${(100 * share).toFixed(1)}${error === null ? '' : ` ± ${(100 * error).toFixed(1)}`}`;

/** The result for people. */
export function formatSudoku({ size, puzzles, layout, rows }: SudokuResult): string {
  const kind = layout === 'full' ? 'masked diffusion' : 'autoregressive';
  const table = formatTable(
    ['decoding', 'forwards', 'valid %', 'solved %', 'ms a puzzle'],
    rows.map((row) => [
      row.way,
      Number(row.forwards.toFixed(2)),
      percent(row.validRate, row.standardError),
      percent(row.solvedRate),
      Number(row.millisecondsPerPuzzle.toPrecision(3)),
    ]),
  );
  return `${puzzles} puzzles of ${size}x${size}, ${kind}\n\n${table}`;
}

const HELP = `
The row "asked" is what --policy, --cache, --temperature and the like say, where any of them is given.

Examples:
  tintype eval sudoku --model models/tintype-sudoku --nfe 12,4 --thresholds 0.5,0.9
  tintype eval sudoku --model models/tintype-sudoku --nfe 4 --policy klass --threshold 0.7`;

/** Adds the command to `tintype eval`. */
export function addSudoku(evalCommand: Command): void {
  const command = evalCommand
    .command('sudoku')
    .description('share of right grids for each number of forwards')
    .requiredOption('--model <dir>', 'a sudoku model (tintype train --preset sudoku | sudoku-ar)')
    .option(
      '--size <n>',
      `${SUDOKU_SIZES.join(', ')} (default: the largest that the model has room for)`,
      toSize,
    )
    .option('--puzzles <n>', 'how many, each with one solution', whole('--puzzles', 1), 1000)
    .option(
      '--nfe <list>',
      'budgets of forwards; a causal model always takes one a cell',
      (text) => text.split(',').map(whole('--nfe', 1)),
      [12, 4, 2, 1],
    )
    .option(
      '--thresholds <list>',
      'confidences that are enough to commit, each a row after the budgets',
      (text) => text.split(',').map((word) => toNumber('--thresholds', word, 0, 2)),
      [] as number[],
    )
    .option('--seed <n>', 'which puzzles', whole('--seed', 0), 0)
    .option('--threads <n>', 'threads of the matrix products (default: one a core)', whole('--threads', 1))
    .option('--json', 'print one JSON document');
  addDecodeOptions(command, OWN_OPTIONS)
    .addHelpText('after', HELP)
    .action(async (flags: SudokuFlags) => {
      const { model, size, puzzles, nfe, thresholds, seed, threads, json } = flags;
      const { maxTokens: _, contextTokens: __, ...how } = decodeOptionsOf({ ...flags, seed: undefined });
      const { denoiser } = await loadDenoiser(model, threads === undefined ? {} : { threads });
      let progress: Progress | null = null;
      try {
        const result = await evaluateSudoku(denoiser, {
          size,
          puzzles,
          budgets: nfe,
          thresholds,
          asked: saysHow(flags, OWN_OPTIONS) ? { ...how, stop: undefined } : undefined,
          seed,
          signal: interruptSignal(),
          onProgress: (done, total) => {
            progress ??= createProgress({ label: 'sudoku', total, unit: 'grids' });
            progress.update(done);
          },
        });
        progress!.finish();
        if (json) printJson(result);
        else printLine(formatSudoku(result));
      } finally {
        await denoiser.close();
      }
    });
}
