/** `tintype eval fim`: gaps in real code, filled and compared with what stood there. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { decodeOptionsSchema, parseOptions, POLICY_NAMES } from '../decode/options.ts';
import { TintypeError } from '../errors.ts';
import { readInfillRows } from '../eval/documents.ts';
import { evaluateFim, type FimResult } from '../eval/fim.ts';
import { createInfill } from '../eval/infill.ts';
import { loadDenoiser } from '../model/load.ts';
import { interruptSignal } from './interrupt.ts';
import { toInteger, toNumber } from './options.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress } from './progress.ts';

interface FimFlags {
  model: string;
  data: string;
  predictions?: string;
  blockLength?: number;
  policy?: (typeof POLICY_NAMES)[number];
  threshold?: number;
  steps?: number;
  maxTokens: number;
  contextTokens?: number;
  limit?: number;
  threads?: number;
  json?: boolean;
}

const whole =
  (option: string, least: number) =>
  (text: string): number =>
    toInteger(option, text, least, Number.MAX_SAFE_INTEGER);

const HELP = `
Rows are {"id","prefix","suffix","middle"}. White space at the end counts for nothing. Where the truth is a single line,
decoding ends at the prediction's first line break and what follows it is not scored. parseRate is over the files that
parse with the truth in place; an id such as pkg/file.tsx:12:5 says how. Decoding is greedy. Times are whole requests,
one after the other, after a first one that is not counted.

--predictions writes one line a row: {"id","middle","ms","nfe","tokens"}, middle as it was scored.

Examples:
  tintype eval fim --model models/tintype-code --data fim.jsonl.gz --limit 200
  tintype eval fim --model models/tintype-code --data fim.jsonl.gz --block-length 8 --policy fixedSteps --steps 8
  tintype eval fim --model models/tintype-code-ar --data fim.jsonl.gz --json --predictions ar.jsonl`;

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
  evalCommand
    .command('fim')
    .description('fill gaps in code: exact match, edit similarity, share that parses, speed')
    .requiredOption('--model <dir>', 'a model folder')
    .requiredOption('--data <file>', 'rows as JSONL, plain or gzip (tintype corpus tokenize makes some)')
    .option('--predictions <file>', 'write what the model said, as JSONL')
    .option(
      '--block-length <n>',
      "positions denoised together (default: the model's)",
      whole('--block-length', 1),
    )
    .addOption(
      new Option('--policy <name>', 'what to commit (default: confidenceThreshold)').choices(POLICY_NAMES),
    )
    .option(
      '--threshold <p>',
      'confidence to commit on; above 1 is one token a forward (default: 0.9)',
      (text: string) => toNumber('--threshold', text, 0, 2),
    )
    .option('--steps <n>', 'forwards a block, for fixedSteps and random', whole('--steps', 1))
    .option('--max-tokens <n>', 'longest answer', whole('--max-tokens', 1), 64)
    .option(
      '--context-tokens <n>',
      'most tokens around the gap (default: what the context leaves)',
      whole('--context-tokens', 8),
    )
    .option('--limit <n>', 'only the first rows', whole('--limit', 1))
    .option('--threads <n>', 'threads of the matrix products (default: one a core)', whole('--threads', 1))
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(runFim);
}

async function runFim(flags: FimFlags): Promise<void> {
  const { model, data, predictions: out, maxTokens, limit, threads, json } = flags;
  const { blockLength, policy, threshold, steps, contextTokens } = flags;
  const signal = interruptSignal();
  const rows = (await readInfillRows(data)).slice(0, limit);
  // What was not said takes its default here, so that the JSON names every setting.
  const settings = parseOptions(decodeOptionsSchema, { blockLength, policy, threshold, steps });
  const { denoiser, tokenizer } = await loadDenoiser(model, { threads });
  try {
    if (!tokenizer) {
      throw new TintypeError('bad_tokenizer', {
        what: `the model in ${model} has no tokenizer`,
        wanted: 'tokenizer.json in its folder',
      });
    }
    const complete = createInfill({ denoiser, tokenizer }, { maxTokens, contextTokens, ...settings });
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
    const used = { ...settings, blockLength: blockLength ?? denoiser.config.blockLength };
    if (json) printJson({ ...result, model, data, maxTokens, contextTokens, ...used });
    else printLine(formatFim(result));
  } finally {
    await denoiser.close();
  }
}
