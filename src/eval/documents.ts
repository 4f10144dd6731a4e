/** Test data of the evaluations, from files. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { createRng, shuffle } from '../rng.ts';
import { emptyReport, readCorpus, type ReadReport } from '../train/corpus.ts';

export interface DocumentSample {
  texts: string[];
  /** How many the data holds. */
  available: number;
  report: ReadReport;
}

/**
 * Documents in a seeded random order, the first ones of it where a limit is given, so that a limit takes a fair sample
 * of the data and a larger limit adds to a smaller one. `bytes` stops at the document that reaches it.
 * Errors: `not_found`, `bad_data`.
 */
export async function sampleDocuments(
  path: string,
  {
    limit = Infinity,
    bytes = Infinity,
    seed,
  }: { limit?: number | undefined; bytes?: number | undefined; seed: number },
): Promise<DocumentSample> {
  const report = emptyReport();
  const all: string[] = [];
  for await (const { text } of readCorpus([path], report)) all.push(text);
  shuffle(all, createRng(seed, 'documents'));
  const texts: string[] = [];
  let taken = 0;
  for (const text of all) {
    if (texts.length >= limit || taken >= bytes) break;
    texts.push(text);
    taken += Buffer.byteLength(text);
  }
  return { texts, available: all.length, report };
}

/** A gap and what belongs in it. */
export interface InfillRow {
  id: string;
  prefix: string;
  suffix: string;
  middle: string;
}

const infillRow = z.object({
  id: z.union([z.string(), z.number().transform(String)]),
  prefix: z.string(),
  suffix: z.string(),
  middle: z.string().min(1, 'a text that is not empty'),
});

/**
 * Rows of a JSONL file, plain or gzip. A test set with a broken row is another test set, so that the first one is an
 * error. Errors: `not_found`, `bad_data`.
 */
export async function readInfillRows(path: string): Promise<InfillRow[]> {
  const rows: InfillRow[] = [];
  for (const [index, line] of (await readText(path)).split('\n').entries()) {
    if (line.trim() === '') continue;
    rows.push(parseRow(line, `${path}:${index + 1}`));
  }
  if (rows.length > 0) return rows;
  throw new TintypeError('bad_data', { what: 'there is no row in this file', got: path, wanted: ROW });
}

const ROW = 'JSON lines {"id", "prefix", "suffix", "middle"}, plain or gzip';

function parseRow(line: string, where: string): InfillRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new TintypeError('bad_data', { what: `${where} is not JSON`, wanted: ROW, cause });
  }
  const result = infillRow.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const got = `${issue.path.join('.') || 'the row'}: ${issue.message}`;
  throw new TintypeError('bad_data', { what: `${where} is not a fill-in-the-middle row`, got, wanted: ROW });
}

async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new TintypeError('not_found', {
      what: 'the data cannot be read',
      got: `${path}: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`,
      wanted: `a file of ${ROW}`,
      next: 'tintype corpus tokenize writes fim.jsonl.gz and heldout.jsonl.gz ("Data" in README.md)',
      cause,
    });
  }
  try {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TintypeError('bad_data', {
      what: 'the data is neither UTF-8 text nor whole gzip',
      got: `${path}: ${(cause as Error).message}`,
      wanted: `a file of ${ROW}`,
      cause,
    });
  }
}
