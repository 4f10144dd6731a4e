/** `tintype eval bpb`: bits per byte of text under a model. */
import type { Command } from 'commander';
import pc from 'picocolors';
import { bitsPerByte, type BpbResult } from '../eval/bpb.ts';
import { sampleDocuments } from '../eval/documents.ts';
import { loadLikelihood } from '../eval/load-likelihood.ts';
import { interruptSignal } from './interrupt.ts';
import { addModelOptions, type ModelFlags, overridesOf } from './model-options.ts';
import { whole } from './options.ts';
import { formatFields, printJson, printLine } from './output.ts';
import { createProgress } from './progress.ts';

interface BpbFlags extends ModelFlags {
  model: string;
  data: string;
  blockLength?: number;
  samples: number;
  window?: number;
  limit?: number;
  bytes?: number;
  seed: number;
  threads?: number;
  json?: boolean;
}

const HELP = `
One rule for every model, so that figures compare: a document is cut into windows; the first token of a window is
context, all others are scored once.
  causal          exact
  diffusion       an upper bound (NELBO), estimated from --samples draws of masks for each block; what decoding takes
                  from causal logits (a block's first token over a causal context) is scored exactly
The standard error is over documents and includes the draws.

Documents come in a seeded random order, so that --limit and --bytes take a fair sample. For a given time more
documents with fewer samples give the smaller error.

Examples:
  tintype eval bpb --model models/tintype-code-ar --data data/ts/heldout.jsonl.gz
  tintype eval bpb --model models/tintype-code --data data/ts/heldout.jsonl.gz --block-length 8 --samples 2 --bytes 200000
  tintype eval bpb --model models/tintype-code --data ~/my-project/src --json`;

/** The result for people. `available`: documents in the data. */
export function formatBpb(
  result: BpbResult,
  { available, seed }: { available: number; seed: number },
): string {
  const { standardError, samples, documents } = result;
  const share = documents < available ? ` of ${available}, chosen at random (seed ${seed})` : '';
  return formatFields({
    'bits per byte': [
      samples > 0 ? '<= ' : '',
      result.bitsPerByte.toFixed(4),
      standardError === null ? '' : ` ± ${standardError.toFixed(4)}`,
      samples > 0 ? ` (bound, ${samples} draws a block)` : ' (exact)',
    ].join(''),
    'block length': result.blockLength,
    window: `${result.windowLength} tokens`,
    scored: `${result.bytes} bytes, ${result.tokens} tokens`,
    documents: `${documents}${share}`,
  });
}

/** Adds the command to `tintype eval`. */
export function addBpb(evalCommand: Command): void {
  const command = evalCommand
    .command('bpb')
    .description('bits per byte of text: exact for autoregressive models, a bound for diffusion models')
    .requiredOption('--model <dir>', 'a model folder')
    .requiredOption('--data <path>', 'JSONL (plain or gzip, field "text"), or a folder of source files');
  addModelOptions(command)
    .option(
      '--block-length <n>',
      "positions denoised together (default: the model's)",
      whole('--block-length', 1),
    )
    .option('--samples <n>', 'draws of masks for each block', whole('--samples', 1), 8)
    .option('--window <n>', 'tokens a window (default: 512, or the context if less)', whole('--window', 2))
    .option('--limit <n>', 'documents to read, chosen at random', whole('--limit', 1))
    .option('--bytes <n>', 'stop after about this much text', whole('--bytes', 1))
    .option('--seed <n>', 'of the order of documents and of the draws', whole('--seed', 0), 0)
    .option('--threads <n>', 'threads of the matrix products (default: one a core)', whole('--threads', 1))
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(runBpb);
}

async function runBpb(flags: BpbFlags): Promise<void> {
  const { model, data, blockLength, samples, limit, bytes, seed, threads, json } = flags;
  const signal = interruptSignal();
  const { texts, available, report } = await sampleDocuments(data, { limit, bytes, seed });
  if (report.skipped > 0) {
    process.stderr.write(
      `${pc.yellow('warning:')} ${report.skipped} left out, the first: ${report.problems[0]}\n`,
    );
  }
  const { likelihood, tokenizer } = await loadLikelihood(model, {
    windowLength: flags.window,
    threads,
    overrides: overridesOf(flags),
  });
  try {
    const total = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    const progress = createProgress({ label: 'bpb', total, unit: 'bytes' });
    const result = await bitsPerByte(likelihood, tokenizer, texts, {
      blockLength,
      samples,
      seed,
      signal,
      onProgress: (done) => progress.update(done),
    });
    progress.update(total);
    progress.finish();
    if (json) printJson({ ...result, available, skipped: report.skipped, seed, model, data });
    else printLine(formatBpb(result, { available, seed }));
  } finally {
    await likelihood.close();
  }
}
