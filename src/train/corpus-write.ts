/** The two jobs of `tintype corpus`: learn a vocabulary, and tokenise a corpus into shards and test sets. */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { countPretokens, tokenizerConfig, trainBpe } from '../text/bpe.ts';
import type { PretokenCounts } from '../text/bpe.ts';
import { createTokenizer } from '../text/json.ts';
import { readTokenizerJson, tokenizerHash } from '../text/load.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { CorpusDocument } from './corpus.ts';
import { documentsOf, planCorpus } from './corpus-plan.ts';
import type { CorpusPlan, PlanOptions } from './corpus-plan.ts';
import { chooseFimRows } from './fim-rows.ts';
import { createShardWriter } from './shards.ts';
import type { ShardMeta } from './shards.ts';

/** Called now and then with the number of bytes of text done. */
export type Progress = (stage: string, doneBytes: number) => void;

const PROGRESS_EVERY_BYTES = 4 << 20;

export interface TokenizerSummary {
  vocabSize: number;
  textBytes: number;
  distinctPretokens: number;
  hash: string;
}

/** Trains a vocabulary on the training side of a corpus and writes tokenizer.json and tokenizer_config.json. */
export async function writeTokenizer(
  paths: readonly string[],
  options: PlanOptions & { vocabSize: number; modelMaxLength: number; out: string },
  progress: Progress,
): Promise<TokenizerSummary> {
  progress('planning', 0);
  const plan = await planCorpus(paths, options);
  const counts: PretokenCounts = new Map();
  const textBytes = await eachDocument(documentsOf(paths, plan, 'train'), 'counting', progress, ({ text }) =>
    countPretokens(counts, text),
  );
  progress('merging', textBytes);
  const json = trainBpe(counts, options.vocabSize);
  mkdirSync(options.out, { recursive: true });
  writeFileAtomic(
    join(options.out, 'tokenizer_config.json'),
    toJson(tokenizerConfig(options.modelMaxLength)),
  );
  writeFileAtomic(join(options.out, 'tokenizer.json'), toJson(json));
  return {
    vocabSize: options.vocabSize,
    textBytes,
    distinctPretokens: counts.size,
    hash: tokenizerHash(json),
  };
}

export interface CorpusSummary {
  train: ShardMeta;
  heldout: ShardMeta;
  fimRows: number;
  read: CorpusPlan['read'];
  dropped: CorpusPlan['dropped'];
  packages: CorpusPlan['packages'];
}

/**
 * Writes `train/` and `heldout/` (shards), `heldout.jsonl.gz` (`{text, pkg, path}`) and `fim.jsonl.gz`
 * (`{id, prefix, suffix, middle}`).
 */
export async function writeCorpus(
  paths: readonly string[],
  options: PlanOptions & { tokenizerDir: string; out: string; fimRows: number; seed: number },
  progress: Progress,
): Promise<CorpusSummary> {
  const json = await readTokenizerJson(options.tokenizerDir);
  const tokenizer = createTokenizer(json);
  const hash = tokenizerHash(json);
  progress('planning', 0);
  const plan = await planCorpus(paths, options);
  mkdirSync(options.out, { recursive: true });

  const train = await writeShards(
    documentsOf(paths, plan, 'train'),
    join(options.out, 'train'),
    { tokenizer, hash, split: 'train' },
    progress,
  );
  const heldoutDocuments: CorpusDocument[] = [];
  for await (const document of documentsOf(paths, plan, 'heldout')) heldoutDocuments.push(document);
  const heldout = await writeShards(
    heldoutDocuments,
    join(options.out, 'heldout'),
    { tokenizer, hash, split: 'heldout' },
    progress,
  );
  const rows = chooseFimRows(heldoutDocuments, tokenizer, { count: options.fimRows, seed: options.seed });
  await writeJsonlGz(
    join(options.out, 'heldout.jsonl.gz'),
    heldoutDocuments.map(({ text, pkg, path }) => ({ text, pkg, path })),
  );
  await writeJsonlGz(join(options.out, 'fim.jsonl.gz'), rows);
  const { read, dropped, packages } = plan;
  return { train, heldout, fimRows: rows.length, read, dropped, packages };
}

async function writeShards(
  documents: AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>,
  dir: string,
  { tokenizer, hash, split }: { tokenizer: Tokenizer; hash: string; split: string },
  progress: Progress,
): Promise<ShardMeta> {
  const writer = createShardWriter(dir, { tokenizerHash: hash, vocabSize: tokenizer.vocabSize, split });
  const source = createHash('sha256');
  try {
    const textBytes = await eachDocument(documents, `tokenizing ${split}`, progress, ({ text }) => {
      source.update(text).update('\0');
      writer.add(tokenizer.encode(text));
    });
    return writer.finish({ sourceHash: source.digest('hex'), textBytes });
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** Runs over documents and returns their UTF-8 bytes. */
async function eachDocument(
  documents: AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>,
  stage: string,
  progress: Progress,
  visit: (document: CorpusDocument) => void,
): Promise<number> {
  let bytes = 0;
  let reported = 0;
  for await (const document of documents) {
    visit(document);
    bytes += Buffer.byteLength(document.text);
    if (bytes - reported < PROGRESS_EVERY_BYTES) continue;
    progress(stage, bytes);
    reported = bytes;
  }
  progress(stage, bytes);
  return bytes;
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

function writeFileAtomic(path: string, text: string): void {
  writeFileSync(`${path}.partial`, text);
  renameSync(`${path}.partial`, path);
}

async function writeJsonlGz(path: string, rows: readonly object[]): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const lines = Readable.from(
    (function* () {
      for (const row of rows) yield `${JSON.stringify(row)}\n`;
    })(),
  );
  await pipeline(lines, createGzip(), createWriteStream(`${path}.partial`));
  renameSync(`${path}.partial`, path);
}
