/** `tintype eval fim`: gaps in real code, filled and compared with what stood there. */
import { appendFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readInfillRows } from '../eval/documents.ts';
import { evaluateFim, type FimResult } from '../eval/fim.ts';
import { createInfill } from '../eval/infill.ts';
import { addDecodeOptions, decodeOptionsOf, type DecodeFlags } from './decode-options.ts';
import { interruptSignal } from './interrupt.ts';
import { whole } from './options.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress } from './progress.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { openTextModel } from './text-model.ts';

interface FimFlags extends DecodeFlags, LoadFlags {
  model: string;
  data: string;
  predictions?: string;
  limit?: number;
  threads?: number;
  json?: boolean;
}

const HELP = `
Rows are {"id","prefix","suffix","middle"}, as tintype corpus tokenize writes them (fim.jsonl.gz). White space at the end counts for nothing. Where the truth is a single line,
decoding ends at the prediction's first line break and what follows it is not scored. parseRate is over the files that
parse with the truth in place; an id such as pkg/file.tsx:12:5 says how. Times are whole requests,
one after the other, after a first one that is not counted.

--predictions writes one line a row: {"id","middle","ms","nfe","tokens"}, middle as it was scored.

Examples:
  tintype eval fim --model models/tintype-code --data data/ts/fim.jsonl.gz --limit 200
  tintype eval fim --model models/tintype-code --data data/ts/fim.jsonl.gz --block-length 8 --policy fixedSteps --steps 8
  tintype eval fim --model models/tintype-code-ar --data data/ts/fim.jsonl.gz --json --predictions ar.jsonl`;

const percent = (share: number | null): string => (share === null ? '-' : `${(100 * share).toFixed(1)} %`);

/** The result for people. */
export function formatFim(result: FimResult): string {
  const error = result.exactMatchStandardError;
  return formatFields({
    rows: result.n,
    'exact match': percent(result.exactMatch) + (error === null ? '' : ` ± ${(100 * error).toFixed(1)}`),
    'edit similarity': percent(result.editSimilarity),
    parses: percent(result.parseRate),
    'tokens a second': result.tokensPerSecond.toFixed(1),
    'tokens a forward': result.tpf.toFixed(2),
    forwards: result.nfe,
    'ms, median': result.p50Ms.toFixed(1),
    'ms, 95th percentile': result.p95Ms.toFixed(1),
  });
}

/** Adds the command to `tintype eval`. */
export function addFim(evalCommand: Command): void {
  const command = evalCommand
    .command('fim')
    .description('fill gaps in code: exact match, edit similarity, share that parses, speed')
    .requiredOption('--model <dir>', 'a model folder')
    .requiredOption('--data <file>', 'rows as JSONL, plain or gzip (tintype corpus tokenize makes some)')
    .option('--predictions <file>', 'write what the model said, as JSONL');
  addDecodeOptions(addLoadOptions(command))
    .option('--limit <n>', 'only the first rows', whole('--limit', 1))
    .option('--threads <n>', 'threads of the matrix products (default: one a core)', whole('--threads', 1))
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(runFim);
}

async function runFim(flags: FimFlags): Promise<void> {
  const { model, data, predictions: out, limit, threads, json } = flags;
  const signal = interruptSignal();
  const rows = (await readInfillRows(data)).slice(0, limit);
  // Defaults are filled in, so that the JSON names every setting.
  const settings = decodeOptionsOf(flags);
  const textModel = await openTextModel(model, {
    threads,
    draft: flags.draft,
    precision: flags.precision,
    ...loadOptionsOf(flags),
  });
  try {
    const complete = createInfill(textModel, settings);
    // Now, so that a path that cannot be written is known before the work is done.
    if (out) writeFileSync(out, '');
    await complete(rows[0], signal);
    let [done, exact] = [0, 0];
    const progress = createProgress({ label: 'fim', total: rows.length, unit: 'rows' });
    const result = await evaluateFim(rows, complete, {
      signal,
      onRow: (prediction, isExact) => {
        if (out) appendFileSync(out, `${JSON.stringify(prediction)}\n`);
        done++;
        exact += isExact ? 1 : 0;
        progress.update(done, `${percent(exact / done)} exact`);
      },
    });
    progress.finish();
    const blockLength = settings.blockLength ?? textModel.denoiser.config.blockLength;
    if (json) printJson({ ...result, model, data, ...settings, blockLength });
    else printLine(formatFim(result));
  } finally {
    await textModel.close();
  }
}
