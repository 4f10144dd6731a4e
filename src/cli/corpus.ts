/** `tintype corpus tokenizer | tokenize | bigrams`: from source text to a vocabulary, shards, test sets and counts of pairs. */
import type { Command } from 'commander';
import { TintypeError } from '../errors.ts';
import type { Holdout } from '../train/corpus-split.ts';
import { writeCorpus, writeTokenizer } from '../train/corpus-write.ts';
import { writeBigrams } from '../train/bigrams.ts';
import type { CorpusSummary, Progress } from '../train/corpus-write.ts';
import { createProgress } from './progress.ts';
import type { Progress as LiveProgress } from './progress.ts';

interface SharedOptions {
  data: string[];
  out: string;
  holdout?: string;
  holdoutShare: string;
  packageCap: string;
  json?: boolean;
}

export function register(program: Command): void {
  const corpus = program
    .command('corpus')
    .description('make a vocabulary and tokenised shards from source text')
    .addHelpText(
      'after',
      `
Examples:
  tintype corpus tokenizer --data corpus.jsonl.gz --vocab 4096 --out data/tokenizer
  tintype corpus tokenize --data corpus.jsonl.gz --tokenizer data/tokenizer --out data/code
  tintype corpus tokenize --data ~/src/app ~/src/lib --tokenizer data/tokenizer --holdout lib --out data/mine
  tintype corpus bigrams --shards data/code/train --model runs/code/model`,
    );

  shared(corpus.command('tokenizer').description('train a byte-level BPE vocabulary'))
    .option('--vocab <n>', 'tokens, special ones included', '4096')
    .option('--model-max-length <n>', 'longest input to state in tokenizer_config.json, tokens', '2048')
    .action(async (options: SharedOptions & { vocab: string; modelMaxLength: string }) => {
      const summary = await writeTokenizer(
        options.data,
        {
          ...planOptions(options),
          vocabSize: toNumber('--vocab', options.vocab),
          modelMaxLength: toNumber('--model-max-length', options.modelMaxLength),
          out: options.out,
        },
        progressLine(options),
      );
      const words = `${summary.vocabSize} tokens from ${megabytes(summary.textBytes)} of text in ${options.out}`;
      process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `${words}\n`);
    });

  shared(corpus.command('tokenize').description('split, filter, deduplicate and tokenise a corpus'))
    .requiredOption('--tokenizer <dir>', 'folder with tokenizer.json')
    .option('--fim-rows <n>', 'fill-in-the-middle test rows to choose from held-out files', '2000')
    .option('--seed <n>', 'seed of that choice', '0')
    .action(async (options: SharedOptions & { tokenizer: string; fimRows: string; seed: string }) => {
      const summary = await writeCorpus(
        options.data,
        {
          ...planOptions(options),
          tokenizerDir: options.tokenizer,
          out: options.out,
          fimRows: toNumber('--fim-rows', options.fimRows),
          seed: toNumber('--seed', options.seed),
        },
        progressLine(options),
      );
      process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : describe(summary));
    });

  corpus
    .command('bigrams')
    .description('count which token follows which, for decoding to fit neighbouring masks together')
    .requiredOption('--shards <dir>', 'tokenised documents, such as data/code/train')
    .requiredOption('--model <dir>', 'model folder with the same tokenizer, which gets bigrams.safetensors')
    .option('--least <n>', 'leave out pairs that occur less often', '10')
    .option('--json', 'print the summary as JSON')
    .action(async (options: { shards: string; model: string; least: string; json?: boolean }) => {
      const least = toNumber('--least', options.least);
      let bar: LiveProgress | undefined;
      const summary = await writeBigrams({ ...options, least }, (done, total) => {
        bar ??= createProgress({ label: 'counting', total, unit: 'tokens' });
        bar.update(done);
      });
      bar?.finish();
      const words = `${summary.pairs} pairs of ${summary.tokens} tokens, ${megabytes(summary.sizeBytes)}, in ${summary.path}`;
      process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `${words}\n`);
    });
}

function shared(command: Command): Command {
  return command
    .requiredOption(
      '--data <path...>',
      'JSONL files (plain or gzip, field "text") or folders of source files',
    )
    .requiredOption('--out <dir>', 'where to write')
    .option('--holdout <packages>', 'packages to hold out, separated by commas; their families go with them')
    .option('--holdout-share <share>', 'without --holdout: share of package families to hold out', '0.05')
    .option('--package-cap <share>', 'most of the training bytes that one package may have', '0.08')
    .option('--json', 'print the summary as JSON');
}

function planOptions(options: SharedOptions): { holdout: Holdout; packageCap: number } {
  const names = options.holdout
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    holdout:
      names === undefined
        ? { kind: 'share', share: toNumber('--holdout-share', options.holdoutShare) }
        : { kind: 'packages', names },
    packageCap: toNumber('--package-cap', options.packageCap),
  };
}

function toNumber(flag: string, value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new TintypeError('bad_option', {
    what: `${flag} is not a number`,
    got: value,
    wanted: 'a number from 0 up',
  });
}

/** One line on the terminal that rewrites itself; silent where nobody looks. */
function progressLine({ json }: SharedOptions): Progress {
  if (json || !process.stderr.isTTY) return () => {};
  return (stage, bytes) => process.stderr.write(`\r\u001b[K${stage} ${megabytes(bytes)}`);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function describe({ train, heldout, fimRows, read, dropped }: CorpusSummary): string {
  const side = (name: string, meta: CorpusSummary['train']): string =>
    `${name}: ${meta.documents} documents, ${megabytes(meta.textBytes)}, ${meta.tokens} tokens ` +
    `(${(meta.textBytes / Math.max(1, meta.tokens)).toFixed(2)} bytes a token)\n`;
  const reasons = Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`);
  const problems = read.problems.map((problem) => `  ${problem}\n`).join('');
  return (
    `read: ${read.documents} documents, ${read.skipped} unreadable\n${problems}` +
    `left out: ${reasons.join(', ')}\n` +
    side('train', train) +
    side('held out', heldout) +
    `fill-in-the-middle rows: ${fimRows}\n`
  );
}
