/** Logs of training runs below one folder: found, and read from where one stopped. Nothing outside it is ever read. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

export interface RunListing {
  /** Folder of the run below the root, with forward slashes. */
  id: string;
  sizeBytes: number;
  /** Last line of the log. */
  changedMs: number;
}

export interface LogPiece {
  /** Where `text` starts in the log, bytes; 0 when the log is shorter than where one wanted to go on. */
  from: number;
  /** Where the next piece starts. */
  next: number;
  /** Of the log now, bytes. */
  size: number;
  /** Whole lines. */
  text: string;
}

const LOG = 'log.jsonl';
const MOST_DEPTH = 3;
const MOST_RUNS = 200;
const MOST_PIECE_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

/** Folders with a log, the one written last first; links are not followed. A root that is not there has none. */
export async function listRuns(root: string): Promise<RunListing[]> {
  const found: RunListing[] = [];
  async function walk(folder: string, id: string, depth: number): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (entry.name === LOG && entry.isFile() && id !== '') {
        const info = await stat(join(folder, LOG)).catch(() => null);
        if (info) found.push({ id, sizeBytes: info.size, changedMs: info.mtimeMs });
      }
      const isHidden = entry.name.startsWith('.') || entry.name === 'node_modules';
      if (entry.isDirectory() && !isHidden && depth < MOST_DEPTH) {
        await walk(join(folder, entry.name), id === '' ? entry.name : `${id}/${entry.name}`, depth + 1);
      }
    }
  }
  await walk(root, '', 0);
  return found.sort((a, b) => b.changedMs - a.changedMs).slice(0, MOST_RUNS);
}

/** Whether a name can be that of a folder below the root: plain steps, none of them up or hidden. */
export const isRunId = (id: string): boolean =>
  id.length <= 500 &&
  id.split('/').length <= MOST_DEPTH &&
  id.split('/').every((step) => /^[^.\\/\p{Cc}][^\\/\p{Cc}]*$/u.test(step));

/** Whole lines of a run's log from a byte on; null when there is no such run. */
export async function readLog(root: string, id: string, offset: number): Promise<LogPiece | null> {
  if (!isRunId(id)) return null;
  // A link may lead out of the root, so what counts is where the file really is.
  const [base, path] = await Promise.all([
    realpath(root).catch(() => null),
    realpath(join(root, ...id.split('/'), LOG)).catch(() => null),
  ]);
  if (base === null || path === null || !path.startsWith(base + sep) || !path.endsWith(sep + LOG))
    return null;
  const file = await open(path).catch(() => null);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    const from = offset > size ? 0 : offset;
    const bytes = Buffer.alloc(Math.min(size - from, MOST_PIECE_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    const whole = bytes.subarray(0, bytes.subarray(0, bytesRead).lastIndexOf(LINE_FEED) + 1);
    return { from, next: from + whole.length, size, text: whole.toString('utf8') };
  } finally {
    await file.close();
  }
}
