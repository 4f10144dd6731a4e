/** Test rows for single-line infilling: whole lines, or their rest from a cursor, out of held-out files. */
import { createRng, shuffle } from '../rng.ts';
import type { Rng } from '../rng.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { CorpusDocument } from './corpus.ts';

export interface FimRow {
  /** Package, path and line:column of the gap, both from 1. */
  id: string;
  prefix: string;
  suffix: string;
  middle: string;
}

const FEWEST_TOKENS = 3;
const MOST_TOKENS = 64;
/** Gaps per file at most, so that long files do not dominate. */
const PER_DOCUMENT = 8;
/** Half of a surrogate pair: a cut inside a character. */
const HALF_PAIR = /\p{Surrogate}/u;

/**
 * `count` rows (or as many as there are), spread over files at random. A row's line is neither blank nor a
 * comment, its middle has 3 to 64 tokens and ends with the line; half of the middles start at the line's
 * first visible character, half at a random place in it. Test files are left out.
 */
export function chooseFimRows(
  documents: readonly CorpusDocument[],
  tokenizer: Tokenizer,
  { count, seed }: { count: number; seed: number },
): FimRow[] {
  const rng = createRng(seed, 'fim-rows');
  const rows = documents.filter(({ test }) => !test).flatMap((document) => rowsOf(document, tokenizer, rng));
  return shuffle(rows, rng).slice(0, count);
}

function rowsOf(document: CorpusDocument, tokenizer: Tokenizer, rng: Rng): FimRow[] {
  const { text } = document;
  const lines = codeLines(text);
  const rows: FimRow[] = [];
  const used = new Set<number>();
  for (let tries = 0; tries < 4 * PER_DOCUMENT && rows.length < PER_DOCUMENT && lines.length > 0; tries++) {
    const line = lines[rng.int(lines.length)];
    const visible = line.end - line.start;
    const from = line.start + (rng.next() < 0.5 ? 0 : rng.int(visible));
    const middle = text.slice(from, line.end);
    if (used.has(line.number) || middle.trimStart() !== middle || HALF_PAIR.test(middle)) continue;
    const tokens = tokenizer.encode(middle).length;
    if (tokens < FEWEST_TOKENS || tokens > MOST_TOKENS) continue;
    used.add(line.number);
    const column = from - (text.lastIndexOf('\n', from - 1) + 1) + 1;
    rows.push({
      id: `${document.pkg ?? ''}/${document.path ?? ''}:${line.number}:${column}`,
      prefix: text.slice(0, from),
      suffix: text.slice(line.end),
      middle,
    });
  }
  return rows;
}

interface CodeLine {
  /** From 1. */
  number: number;
  /** First visible character. */
  start: number;
  /** After the last visible character. */
  end: number;
}

/** Lines that hold code: not blank, not in a comment. */
function codeLines(text: string): CodeLine[] {
  const lines: CodeLine[] = [];
  let offset = 0;
  let inComment = false;
  text.split('\n').forEach((line, index) => {
    const code = line.trim();
    const start = offset + line.length - line.trimStart().length;
    offset += line.length + 1;
    if (code.startsWith('/*')) inComment = true;
    const comment = inComment || code.startsWith('//');
    if (code.includes('*/')) inComment = false;
    if (code !== '' && !comment) lines.push({ number: index + 1, start, end: start + code.length });
  });
  return lines;
}
