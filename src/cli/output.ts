/** What commands print: text and tables for people, one JSON document for programs. Errors go to stderr. */
import { CommanderError } from 'commander';
import pc from 'picocolors';
import { TintypeError } from '../errors.ts';

/** A cell; numbers are aligned to the right. */
export type Cell = string | number | null;

/** Rows under a header, columns as wide as their widest cell. `null` prints as a dash. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => row.map((cell) => (cell === null ? '-' : String(cell))));
  const widths = header.map((name, i) => Math.max(name.length, ...text.map((row) => row[i].length)));
  const toRight = header.map((_, i) => rows.every((row) => typeof row[i] !== 'string'));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (toRight[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd();
  return [pc.dim(line(header)), ...text.map(line)].join('\n');
}

/** `name  value` lines; values that are undefined are left out. */
export function formatFields(fields: Readonly<Record<string, Cell | undefined>>): string {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  const width = Math.max(...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${pc.dim(name.padEnd(width))}  ${value ?? '-'}`).join('\n');
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON document on stdout, and nothing else there. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, null, 2));
}

/** What the user sees of an error, and the status that the program ends with. */
export function describeError(
  error: unknown,
  { json = false, debug = false } = {},
): { text: string; status: number } {
  const known = toKnownError(error);
  if (known) {
    const text = json ? JSON.stringify(known) : `${pc.red('error:')} ${known.message}`;
    return { text: debug ? `${text}\n${known.stack}` : text, status: known.exitStatus };
  }
  const what = error instanceof Error ? error.message : String(error);
  if (debug) return { text: error instanceof Error ? (error.stack ?? what) : what, status: 1 };
  if (json) return { text: JSON.stringify({ error: { code: 'internal', what } }), status: 1 };
  return { text: `${pc.red('error:')} ${what} (TINTYPE_DEBUG=1 shows where)`, status: 1 };
}

function toKnownError(error: unknown): TintypeError | null {
  if (error instanceof TintypeError) return error;
  if (error instanceof CommanderError) {
    const what = error.message.replace(/^error: /, '');
    return new TintypeError('bad_option', { what, next: 'add --help to see what this command takes' });
  }
  // What AbortSignal.throwIfAborted and fetch throw after Ctrl-C.
  if (error instanceof Error && error.name === 'AbortError') {
    return new TintypeError('aborted', { what: 'interrupted', cause: error });
  }
  return null;
}
