/** The text around a place, as a model is asked with it. */
import type { Text } from '@codemirror/state';

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
  without: readonly { from: number; to: number }[],
  tokens: number,
): Around {
  const characters = tokens * CHARACTERS_PER_TOKEN;
  const before = joined(doc, 0, from, without);
  const after = joined(doc, to, doc.length, without);
  return {
    prompt: before.slice(stableStart(before, Math.floor(characters * PREFIX_SHARE))),
    suffix: after.slice(0, lineEnd(after, Math.floor(characters * (1 - PREFIX_SHARE)))),
  };
}

function joined(
  doc: Text,
  from: number,
  to: number,
  without: readonly { from: number; to: number }[],
): string {
  let text = '';
  let at = from;
  for (const hole of without) {
    if (hole.from < at || hole.to > to) continue;
    text += doc.sliceString(at, hole.from);
    at = hole.to;
  }
  return text + doc.sliceString(at, to);
}

/** The start of a line such that at most `most` characters follow; moves on in leaps of a quarter of that. */
function stableStart(text: string, most: number): number {
  if (text.length <= most) return 0;
  const leap = Math.floor(most / 4);
  const start = Math.ceil((text.length - most) / leap) * leap;
  const line = text.indexOf('\n', start);
  return line === -1 ? start : line + 1;
}

function lineEnd(text: string, most: number): number {
  if (text.length <= most) return text.length;
  const line = text.lastIndexOf('\n', most);
  return line <= 0 ? most : line;
}
