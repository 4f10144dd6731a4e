/**
 * Mercury's edit and apply prompts: sections between `<|name|>` and `<|/name|>` in one user message. A model that fills
 * gaps edits where the cursor stands; an update with `// ... existing code ...` is merged by its own lines.
 */
import { HttpError } from './errors.ts';

const bad = (message: string): HttpError =>
  new HttpError(400, `messages: ${message}`, { param: 'messages', code: 'invalid_value' });

/** Text between the marks of a section; null when the message has no such section. */
function section(text: string, name: string): string | null {
  const [open, close] = [`<|${name}|>`, `<|/${name}|>`];
  const start = text.indexOf(open);
  const end = start < 0 ? -1 : text.indexOf(close, start);
  return end < 0 ? null : text.slice(start + open.length, end);
}

const CURSOR = '<|cursor|>';
/** Marks stand on lines of their own. */
const trimLine = (text: string): string => text.replace(/^\r?\n/, '').replace(/\r?\n[ \t]*$/, '');

export interface EditTask {
  /** Text in front of the region: what was looked at lately, and the file up to it. */
  before: string;
  /** Of the region, left and right of the cursor. */
  left: string;
  right: string;
  /** The file behind the region. */
  after: string;
}

/** @throws 400 without a region that may be edited */
export function readEditPrompt(message: string): EditTask {
  const region = section(message, 'code_to_edit');
  if (region === null) throw bad('expected a section <|code_to_edit|> … <|/code_to_edit|>');
  const code = trimLine(region);
  const cursor = code.indexOf(CURSOR);
  const left = cursor < 0 ? code : code.slice(0, cursor);
  const right = cursor < 0 ? '' : code.slice(cursor + CURSOR.length);
  const file = section(message, 'current_file_content') ?? '';
  const snippets = trimLine(section(message, 'recently_viewed_code_snippets') ?? '').replace(
    /<\|\/?recently_viewed_code_snippet\|>\n?/g,
    '',
  );
  const [before, after] = around(file, region, left + right);
  return { before: snippets === '' ? before : `${snippets}\n${before}`, left, right, after };
}

/** The file before and behind the region, which stands in it with its marks or beside it. */
function around(file: string, region: string, code: string): [string, string] {
  const marked = `<|code_to_edit|>${region}<|/code_to_edit|>`;
  const inside = file.indexOf(marked);
  const clean = (text: string): string => text.replace(/^\s*current_file_path:[^\n]*\n/, '');
  if (inside >= 0) return [clean(file.slice(0, inside)), file.slice(inside + marked.length)];
  const at = code === '' ? -1 : file.indexOf(code);
  return at < 0 ? [clean(file), ''] : [clean(file.slice(0, at)), file.slice(at + code.length)];
}

export interface ApplyTask {
  original: string;
  update: string;
}

/** @throws 400 without both sections */
export function readApplyPrompt(message: string): ApplyTask {
  const original = section(message, 'original_code');
  const update = section(message, 'update_snippet');
  if (original === null || update === null) {
    throw bad('expected the sections <|original_code|> and <|update_snippet|>');
  }
  return { original: trimLine(original), update: trimLine(update) };
}

const EXISTING =
  /^(?:\/\/|#|--|;|<!--|\/\*|\{\/\*)?\s*\.\.\.\s*existing code\s*\.\.\.\s*(?:-->|\*\/|\*\/\})?$/i;
/** The pattern would look through megabytes of spaces again from each of them. */
const MOST_MARK = 120;

function isMark(line: string): boolean {
  const mark = line.trim();
  return mark.length <= MOST_MARK && EXISTING.test(mark);
}

/**
 * The update put into the original: each run of lines between `... existing code ...` replaces the lines from where its
 * first line stands to where its last one does; the marks stand for what is between. Null when the line beside a mark
 * does not stand in the original: whether it is new or replaces another could only be guessed.
 */
export function mergeUpdate({ original, update }: ApplyTask): string | null {
  const old = original.split('\n');
  const isText = (line: string): boolean => line.trim() !== '';
  const out: string[][] = [];
  let at = 0;
  for (const { lines, afterMark, beforeMark } of splitRuns(update.split('\n'))) {
    const start = afterMark ? old.indexOf(lines.find(isText)!, at) : at;
    const end = beforeMark ? old.indexOf(lines.findLast(isText)!, start) + 1 : old.length;
    if (start < 0 || end === 0) return null;
    out.push(old.slice(at, start), lines);
    at = end;
    if (!beforeMark) return out.flat().join('\n');
  }
  return [...out, old.slice(at)].flat().join('\n');
}

interface Run {
  lines: string[];
  afterMark: boolean;
  beforeMark: boolean;
}

function splitRuns(lines: readonly string[]): Run[] {
  const runs: Run[] = [];
  let run: Run = { lines: [], afterMark: false, beforeMark: false };
  const close = (): void => {
    if (run.lines.some((line) => line.trim() !== '')) runs.push(run);
  };
  for (const line of lines) {
    if (!isMark(line)) {
      run.lines.push(line);
      continue;
    }
    run.beforeMark = true;
    close();
    run = { lines: [], afterMark: true, beforeMark: false };
  }
  close();
  return runs;
}

/** A text in a fence that is longer than any inside it. */
export function fenced(text: string): string {
  let longest = 2;
  for (const [ticks] of text.matchAll(/`{3,}/g)) longest = Math.max(longest, ticks.length);
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text.endsWith('\n') ? text : `${text}\n`}${fence}`;
}
