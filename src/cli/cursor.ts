/** `FILE:LINE:COLUMN`, as editors and compilers print places. */
import { TintypeError } from '../errors.ts';

export interface Cursor {
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in UTF-16 units as editors count; one past the end of the line is a place too. */
  column: number;
}

/** Errors: `bad_cursor`. */
export function parseCursor(text: string): Cursor {
  const match = /^(.+):(\d+):(\d+)$/s.exec(text);
  if (match) return { file: match[1], line: Number(match[2]), column: Number(match[3]) };
  throw new TintypeError('bad_cursor', {
    what: 'this is not a place in a file',
    got: text,
    wanted: 'FILE:LINE:COLUMN, both counted from 1, such as src/app.ts:12:5',
  });
}

/** The text before and after a place. Errors: `bad_cursor`, which says what places there are. */
export function splitAtCursor(
  text: string,
  { file, line, column }: Cursor,
): { prefix: string; suffix: string } {
  const lines = text.split('\n');
  if (line < 1 || line > lines.length) {
    throw new TintypeError('bad_cursor', {
      what: `the cursor is outside ${file}`,
      got: `line ${line}`,
      wanted: lines.length === 1 ? 'line 1, the only one' : `a line from 1 to ${lines.length}`,
    });
  }
  // The carriage return of a Windows line belongs to its end.
  const { length } = lines[line - 1].replace(/\r$/, '');
  if (column < 1 || column > length + 1) {
    throw new TintypeError('bad_cursor', {
      what: `the cursor is outside line ${line} of ${file}`,
      got: `column ${column}`,
      wanted: length === 0 ? 'column 1, since the line is empty' : `a column from 1 to ${length + 1}`,
    });
  }
  const at = lines.slice(0, line - 1).reduce((sum, { length }) => sum + length + 1, column - 1);
  return { prefix: text.slice(0, at), suffix: text.slice(at) };
}
