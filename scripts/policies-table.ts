/**
 * What each policy makes of the bundled models: quality against forwards, as Markdown.
 *
 *     npx tsx scripts/policies-table.ts [--puzzles 200] [--data data/ts/fim.jsonl.gz --rows 100] [--threads 1]
 *
 * Sudoku: the share of grids that are valid, and forwards a grid (`full`, so every mask is active at once). Code: gaps
 * of one block after another; exact match, edit similarity, useful tokens a forward. Greedy; all policies see the same
 * puzzles and the same gaps. Differences smaller than the standard errors in the last line of a table mean nothing.
 */
import { parseArgs } from 'node:util';
import { decode } from '../src/decode/decode.ts';
import { collect } from '../src/decode/events.ts';
import { namedPolicy } from '../src/decode/policies/index.ts';
import type { PolicyName, PolicyValues } from '../src/decode/policies/index.ts';
import { readInfillRows } from '../src/eval/documents.ts';
import { evaluateFim } from '../src/eval/fim.ts';
import { createInfill } from '../src/eval/infill.ts';
import { mean } from '../src/eval/metrics.ts';
import { puzzleCanvas } from '../src/eval/sudoku-canvas.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { decodeGrid } from '../src/train/sudoku-rows.ts';
import { evaluationPuzzles } from '../src/train/sudoku-source.ts';
import { validGrid } from '../src/train/sudoku.ts';

type Row = [PolicyName, Partial<PolicyValues>];

const ADAPTIVE: Row[] = [
  ['confidenceThreshold', { threshold: 1.01 }],
  ['confidenceThreshold', { threshold: 0.9 }],
  ['confidenceThreshold', { threshold: 0.7 }],
  ['factor', { factor: 0.5 }],
  ['factor', { factor: 1 }],
  ['entropyBound', { gamma: 0.1 }],
  ['entropyBound', { gamma: 0.5 }],
  ['klass', { threshold: 0.9 }],
  ['klass', { threshold: 0.6, kl: 0.015 }],
  ['credit', { threshold: 0.9 }],
  ['edit', { threshold: 0.7, editThreshold: 0.5 }],
  ['edit', { threshold: 0.7, editThreshold: 0.9 }],
  ['prophet', { inner: 'confidenceThreshold', threshold: 0.9 }],
];
/** Policies that are given their number of forwards a block. */
const planned = (steps: number): Row[] => [
  ['fixedSteps', { steps }],
  ['random', { steps }],
  ['prophet', { inner: 'fixedSteps', steps }],
  ['remdm', { steps, eta: 0.1 }],
  ['remdm', { steps, remask: 'confidence' }],
];

const { values: flags } = parseArgs({
  options: {
    puzzles: { type: 'string', default: '200' },
    data: { type: 'string', default: 'data/ts/fim.jsonl.gz' },
    rows: { type: 'string', default: '100' },
    threads: { type: 'string', default: '1' },
  },
});
const threads = Number(flags.threads);
const percent = (share: number): string => (100 * share).toFixed(1);
const line = (cells: readonly (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);

function header(cells: readonly string[]): void {
  console.log('');
  line(cells);
  line(cells.map((_, i) => (i === 0 ? '---' : '---:')));
}

async function sudoku(count: number): Promise<void> {
  const { denoiser } = await loadDenoiser('models/tintype-sudoku', { threads });
  const puzzles = evaluationPuzzles(6, count, 0);
  header([`sudoku 6x6, ${count} puzzles`, 'valid %', 'forwards']);
  let error: number | null = null;
  for (const [name, values] of [...ADAPTIVE, ...planned(2), ...planned(4), ...planned(12)]) {
    const policy = namedPolicy(name, values, 36);
    const valid: number[] = [];
    let forwards = 0;
    for (const puzzle of puzzles) {
      const { done } = await collect(decode(denoiser, puzzleCanvas(puzzle, 'full'), { policy }));
      valid.push(Number(validGrid(decodeGrid(done.ids, 6), 6)));
      forwards += done.nfe;
    }
    const { value, standardError } = mean(valid);
    error = Math.max(error ?? 0, standardError ?? 0);
    line([`\`${policy.name}\``, percent(value), (forwards / count).toFixed(2)]);
  }
  line(['largest standard error', percent(error ?? 0), '']);
  await denoiser.close();
}

async function code(data: string, count: number): Promise<void> {
  const { denoiser, tokenizer } = await loadDenoiser('models/tintype-code', { threads });
  const rows = (await readInfillRows(data)).slice(0, count);
  const { blockLength } = denoiser.config;
  header([
    `code, ${rows.length} gaps, blocks of ${blockLength}`,
    'exact %',
    'parses %',
    'edit similarity',
    'tokens a forward',
  ]);
  let error = 0;
  for (const [name, values] of [
    ...ADAPTIVE,
    ...planned(blockLength / 2),
    ...planned(2 * blockLength).slice(3),
  ]) {
    const policy = namedPolicy(name, values, blockLength);
    const complete = createInfill({ denoiser, tokenizer: tokenizer! }, { policy });
    const result = await evaluateFim(rows, complete);
    error = Math.max(error, result.exactMatchStandardError ?? 0);
    line([
      `\`${policy.name}\``,
      percent(result.exactMatch),
      result.parseRate === null ? '' : percent(result.parseRate),
      result.editSimilarity.toFixed(3),
      result.tpf.toFixed(2),
    ]);
  }
  line(['largest standard error', percent(error), '', '', '']);
  await denoiser.close();
}

if (Number(flags.puzzles) > 0) await sudoku(Number(flags.puzzles));
if (Number(flags.rows) > 0) await code(flags.data, Number(flags.rows));
