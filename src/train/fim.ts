/**
 * The fill-in-the-middle transform (Bavarian et al. 2022, 2207.14255): a piece of a document is cut at
 * characters into prefix, middle and suffix, and the middle moves to the end. The three parts are encoded
 * anew, so that the tokens at the borders are those that a cursor between characters gives at inference.
 */
import type { Rng } from '../rng.ts';
import { joinFim } from '../text/fim.ts';
import type { FimFormat, FimIds } from '../text/fim.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** Where the middle of a piece lies, in UTF-16 units. */
export interface Span {
  start: number;
  end: number;
}

/** How often each kind of middle is chosen; the rest are uniform spans. */
const LINE_RATE = 0.4;
const SHORT_RATE = 0.3;
/** Short spans reach at most into the fourth line. */
const SHORT_LINES = 4;

/** Of lines: a fifth whole, with what indents them, since a cursor may stand before that. */
const WHOLE_LINE_RATE = 0.2;

/**
 * Chooses a middle: 40 % are one line or its rest from a random place (what a completion at the cursor is
 * asked for most; never a blank one, or a model learns that nothing belongs on an empty line), 30 % run over up to four lines and end at a line's end as often as inside one, and 30 %
 * lie between two places drawn uniformly, as in the paper. Never cuts a surrogate pair.
 */
export function chooseMiddle(text: string, rng: Rng): Span {
  const kind = rng.next();
  const span =
    kind < LINE_RATE
      ? lineSpan(text, rng)
      : kind < LINE_RATE + SHORT_RATE
        ? shortSpan(text, rng)
        : uniformSpan(text, rng);
  return { start: wholeCharacter(text, span.start), end: wholeCharacter(text, span.end) };
}

function lineSpan(text: string, rng: Rng): Span {
  let { start, end } = lineAt(text, rng.int(text.length + 1));
  // The next line with something on it; there may be none.
  while (end < text.length && text.slice(start, end).trim() === '') ({ start, end } = lineAt(text, end + 1));
  const visible = start + (text.slice(start, end).match(/^[ \t]*/)?.[0].length ?? 0);
  const kind = rng.next();
  if (kind < WHOLE_LINE_RATE) return { start, end };
  return { start: kind < 0.6 ? visible : visible + rng.int(end - visible + 1), end };
}

function shortSpan(text: string, rng: Rng): Span {
  const start = rng.int(text.length + 1);
  let end = lineAt(text, start).end;
  for (let lines = rng.int(SHORT_LINES); lines > 0 && end < text.length; lines--)
    end = lineAt(text, end + 1).end;
  return { start, end: rng.next() < 0.5 ? end : start + rng.int(end - start + 1) };
}

function uniformSpan(text: string, rng: Rng): Span {
  const [a, b] = [rng.int(text.length + 1), rng.int(text.length + 1)];
  return { start: Math.min(a, b), end: Math.max(a, b) };
}

/** The line around a place, without its line break. */
function lineAt(text: string, at: number): Span {
  const end = text.indexOf('\n', at);
  return { start: at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1, end: end === -1 ? text.length : end };
}

/** Moves a cut out of the middle of a surrogate pair, forward. */
function wholeCharacter(text: string, at: number): number {
  const low = text.charCodeAt(at);
  const high = text.charCodeAt(at - 1);
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff ? at + 1 : at;
}

/**
 * Tokens of a piece in `format`, ending with eos, at most `room` of them. Encoding the parts anew can take a
 * few tokens more than the piece had; then the text farthest from the gap goes, as it does in a prompt.
 * Null if the middle alone is too long.
 */
export function fimTransform(
  text: string,
  tokenizer: Tokenizer,
  ids: FimIds,
  { rng, format, room }: { rng: Rng; format: FimFormat; room: number },
): number[] | null {
  const { start, end } = chooseMiddle(text, rng);
  const prefix = tokenizer.encode(text.slice(0, start));
  const middle = tokenizer.encode(text.slice(start, end));
  const suffix = tokenizer.encode(text.slice(end));
  const over = Math.max(0, prefix.length + middle.length + suffix.length + FIM_EXTRA_TOKENS - room);
  const fromSuffix = Math.min(suffix.length, over);
  const fromPrefix = over - fromSuffix;
  if (fromPrefix > prefix.length) return null;
  const kept = joinFim(ids, format, prefix.slice(fromPrefix), suffix.slice(0, suffix.length - fromSuffix));
  return [...kept, ...middle, ids.eos];
}

/** Sentinels and eos. */
export const FIM_EXTRA_TOKENS = 4;
