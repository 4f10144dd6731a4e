/** The text around a place, as a model is asked with it. */
import type { Text } from '@codemirror/state';

export interface Span {
  from: number;
  to: number;
}

export interface Around {
  prompt: string;
  suffix: string;
}

/** About so many characters are a token of code; fewer than in most code, so that the server seldom has to cut. */
const CHARACTERS_PER_TOKEN = 2.5;
const PREFIX_SHARE = 0.75;

/**
 * What stands before `from` and after `to`, without the given stretches (holes, whose old text nobody should see), as
 * much of it as fits so many tokens. Both ends are cut at lines that stay the same while somebody types in between:
 * the server then finds all but the newest tokens in its cache.
 */
export function around(
  doc: Text,
  from: number,
  to: number,
  without: readonly Span[],
  tokens: number,
): Around {
  const characters = tokens * CHARACTERS_PER_TOKEN;
  const start = stableStart(doc, from, Math.floor(characters * PREFIX_SHARE));
  const end = lineEnd(doc, to, Math.floor(characters * (1 - PREFIX_SHARE)));
  return { prompt: joined(doc, start, from, without), suffix: joined(doc, to, end, without) };
}

function joined(doc: Text, from: number, to: number, without: readonly Span[]): string {
  let text = '';
  let at = from;
  for (const hole of without) {
    if (hole.to <= at || hole.from >= to) continue;
    text += doc.sliceString(at, Math.max(at, hole.from));
    at = Math.min(hole.to, to);
  }
  return text + doc.sliceString(at, to);
}

/** The start of a line such that at most `most` characters stand before `at`; moves on in leaps of a quarter of that. */
function stableStart(doc: Text, at: number, most: number): number {
  if (at <= most) return 0;
  const leap = Math.ceil(most / 4);
  const start = Math.min(Math.ceil((at - most) / leap) * leap, at);
  const line = doc.lineAt(start);
  return line.from === start ? start : line.to < at ? line.to + 1 : start;
}

function lineEnd(doc: Text, at: number, most: number): number {
  if (doc.length - at <= most) return doc.length;
  const end = at + most;
  const line = doc.lineAt(end);
  return line.from > at ? line.from : end;
}
