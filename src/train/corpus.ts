/**
 * Reads corpora: JSONL (plain or gzip), one document a line, or folders of source files. Everything
 * streams. What cannot be read is named, counted and left out; a source that gives nothing is an error.
 */
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { createGunzip } from 'node:zlib';
import { TintypeError } from '../errors.ts';

export interface CorpusDocument {
  text: string;
  /** Package that the file belongs to; the split never divides one. */
  pkg: string | null;
  path: string | null;
  /** True for test files. */
  test: boolean;
}

/** What was read and what was left out. */
export interface ReadReport {
  documents: number;
  skipped: number;
  /** Where and why, the first few. */
  problems: string[];
}

export const emptyReport = (): ReadReport => ({ documents: 0, skipped: 0, problems: [] });

const PROBLEMS_SHOWN = 10;
const LINE_LIMIT_BYTES = 256 * 1024 * 1024;
const SOURCE_FILE = /\.(?:ts|tsx|mts|cts)$/;
const DECLARATION_FILE = /\.d\.[mc]?ts$/;

/**
 * All documents of the given files and folders, in a fixed order (folders sorted by name).
 * @throws not_found for a missing path, bad_data for a source without one readable document
 */
export async function* readCorpus(
  paths: readonly string[],
  report = emptyReport(),
): AsyncGenerator<CorpusDocument> {
  for (const path of paths) {
    const own = emptyReport();
    const documents = (await kindOf(path)) === 'folder' ? readFolder(path, own) : readJsonl(path, own);
    for await (const document of documents) {
      own.documents++;
      yield document;
    }
    report.documents += own.documents;
    report.skipped += own.skipped;
    report.problems.push(...own.problems.slice(0, PROBLEMS_SHOWN - report.problems.length));
    if (own.documents === 0) {
      throw new TintypeError('bad_data', {
        what: `No document could be read from ${path}`,
        got: own.problems[0] ?? 'nothing',
        wanted: 'JSON lines with a field "text" (plain or gzip), or a folder of TypeScript files',
      });
    }
  }
}

async function kindOf(path: string): Promise<'folder' | 'file'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    throw new TintypeError('not_found', { what: 'This corpus does not exist', got: path, cause });
  }
}

function skip(report: ReadReport, where: string, why: string): void {
  report.skipped++;
  if (report.problems.length < PROBLEMS_SHOWN) report.problems.push(`${where}: ${why}`);
}

async function* readJsonl(path: string, report: ReadReport): AsyncGenerator<CorpusDocument> {
  let number = 0;
  for await (const line of readLines(path)) {
    number++;
    const result = parseLine(line);
    if (typeof result === 'string') skip(report, `${path}:${number}`, result);
    else if (result !== null) yield result;
  }
}

/** The document in a line, null for a blank line, or what is wrong with it. */
function parseLine(line: Uint8Array): CorpusDocument | string | null {
  const source = decodeUtf8(line);
  if (source === null) return 'not UTF-8';
  if (source.trim() === '') return null;
  let row: unknown;
  try {
    row = JSON.parse(source);
  } catch {
    return 'not JSON';
  }
  const { text, pkg, path, test } = (row ?? {}) as Record<string, unknown>;
  if (typeof text !== 'string') return 'no field "text" that holds a string';
  if (text === '') return 'the text is empty';
  return {
    text,
    pkg: typeof pkg === 'string' ? pkg : null,
    path: typeof path === 'string' ? path : null,
    test: test === true,
  };
}

/** Lines of a file as bytes, without their line breaks. Gzip is recognised by its first bytes. */
async function* readLines(path: string): AsyncGenerator<Uint8Array> {
  const head = await readHead(path);
  const gzip = head[0] === 0x1f && head[1] === 0x8b;
  if (head.length === 0) throw new TintypeError('bad_data', { what: 'This corpus file is empty', got: path });
  if (!gzip && head.includes(0)) {
    throw new TintypeError('bad_data', {
      what: 'This corpus file is binary',
      got: path,
      wanted: 'JSON lines, plain or gzip',
    });
  }
  const raw = createReadStream(path, { highWaterMark: 1 << 20 });
  const stream = gzip ? raw.pipe(createGunzip()) : raw;
  raw.once('error', (error) => stream.destroy(error));
  let parts: Buffer[] = [];
  let partBytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        yield Buffer.concat([...parts, chunk.subarray(start, end)]);
        [parts, partBytes, start] = [[], 0, end + 1];
      }
      parts.push(chunk.subarray(start));
      partBytes += chunk.length - start;
      if (partBytes > LINE_LIMIT_BYTES) {
        throw new TintypeError('bad_data', {
          what: `A line in ${path} is too long for a document`,
          got: `more than ${LINE_LIMIT_BYTES} bytes without a line break`,
        });
      }
    }
  } catch (cause) {
    if (cause instanceof TintypeError) throw cause;
    throw new TintypeError('bad_data', {
      what: `Reading ${path} failed`,
      got: (cause as Error).message,
      next: gzip ? 'check the file with gzip -t; it may be cut short' : 'check that the file is readable',
      cause,
    });
  } finally {
    raw.destroy();
  }
  if (partBytes > 0) yield Buffer.concat(parts);
}

async function readHead(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8192), 0, 8192, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Source files below a folder; the first folder level is the package. */
async function* readFolder(root: string, report: ReadReport): AsyncGenerator<CorpusDocument> {
  for await (const file of walk(root)) {
    const bytes = await readFile(file);
    const text = decodeUtf8(bytes);
    if (bytes.length === 0) skip(report, file, 'the file is empty');
    else if (bytes.includes(0)) skip(report, file, 'the file is binary');
    else if (text === null) skip(report, file, 'not UTF-8');
    else {
      const path = relative(root, file).split(sep).join('/');
      const slash = path.indexOf('/');
      yield { text, pkg: slash === -1 ? null : path.slice(0, slash), path, test: isTestPath(path) };
    }
  }
}

async function* walk(dir: string): AsyncGenerator<string> {
  const entries = await readdir(dir, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile() && isSourcePath(entry.name)) yield path;
  }
}

/** True for TypeScript that is no mere declaration. */
export const isSourcePath = (path: string): boolean => SOURCE_FILE.test(path) && !DECLARATION_FILE.test(path);

/** True for the usual names of test files and folders. */
export function isTestPath(path: string): boolean {
  return /(?:^|\/)(?:tests?|__tests__|specs?|e2e|fixtures)\/|\.(?:test|spec|bench)\.[a-z]+$/i.test(path);
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
