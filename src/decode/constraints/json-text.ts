/**
 * The JSON that is written. Of the many ways to write one value only one is ever used, so that less is left to chance
 * and more is forced:
 * - no white space, or (`spaced`) one space after each `:` and `,`, as Python writes it;
 * - in strings `\" \\ \b \f \n \r \t`, `\u00xx` for other control characters, every other character as itself;
 * - members in the order of the schema, then those that it does not name.
 */
import { charactersOf, codePoints, EVERY, intersection, minus, union } from './code-points.ts';
import type { CodePoints } from './code-points.ts';
import { bytes, choice, EMPTY, literal, repeat, sequence } from './nodes.ts';
import type { Node } from './nodes.ts';
import { utf8 } from './utf8.ts';

export type Spacing = 'compact' | 'spaced';

export interface Punctuation {
  comma: Node;
  colon: Node;
}

export const PUNCTUATION: Record<Spacing, Punctuation> = {
  compact: { comma: literal(','), colon: literal(':') },
  spaced: { comma: literal(', '), colon: literal(': ') },
};

const CONTROL = codePoints([0, 0x1f]);
/** Characters with an escape of their own, and its letter. */
const SHORT: readonly (readonly [string, string])[] = [
  ['"', '"'],
  ['\\', '\\'],
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
];
const ESCAPED = union(CONTROL, charactersOf(SHORT.map(([char]) => char).join('')));

/** One character of a string out of a set, as JSON writes it. */
export function letter(set: CodePoints): Node {
  const has = (code: number): boolean => set.some(([low, high]) => code >= low && code <= high);
  const short = SHORT.filter(([char]) => has(char.codePointAt(0)!)).map(([, sign]) => literal(sign));
  const long = intersection(minus(set, charactersOf(SHORT.map(([char]) => char).join(''))), CONTROL);
  const hex = [0, 1].map((high) => {
    const low = long.flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((code) => code >> 4 === high),
    );
    return sequence(literal(`u00${high}`), choice(...low.map((code) => literal((code & 15).toString(16)))));
  });
  return choice(utf8(minus(set, ESCAPED)), sequence(literal('\\'), choice(...short, ...hex)));
}

export const ANY_LETTER = letter(EVERY);
export const QUOTE = literal('"');

export function quoted(content: Node): Node {
  return sequence(QUOTE, content, QUOTE);
}

/** A string that is none of `names`, as a trie of them: leave it anywhere, or go on past or stop short of its ends. */
export function quotedExcept(names: readonly string[]): Node {
  const after = (rest: readonly string[]): Node => {
    const byFirst = new Map<string, string[]>();
    for (const [first, ...others] of rest.map((name) => Array.from(name))) {
      if (first !== undefined) byFirst.set(first, [...(byFirst.get(first) ?? []), others.join('')]);
    }
    const firsts = charactersOf([...byFirst.keys()].join(''));
    return choice(
      sequence(letter(minus(EVERY, firsts)), repeat(ANY_LETTER, 0, Infinity)),
      ...[...byFirst].map(([first, others]) => sequence(letter(charactersOf(first)), after(others))),
      ...(rest.includes('') ? [] : [EMPTY]),
    );
  };
  return quoted(names.length === 0 ? repeat(ANY_LETTER, 0, Infinity) : after(names));
}

/** `first (comma item)*` and the like: `min` to `max` items. */
export function list(item: Node, min: number, max: number, comma: Node): Node {
  if (max === 0) return min === 0 ? EMPTY : choice();
  const some = sequence(item, repeat(sequence(comma, item), Math.max(0, min - 1), max - 1));
  return min === 0 ? choice(some, EMPTY) : some;
}

/** A value that is known, written as `JSON.stringify` would with this spacing. */
export function constant(value: unknown, spacing: Spacing): Node {
  return literal(write(value, spacing === 'spaced' ? ' ' : ''));
}

function write(value: unknown, space: string): string {
  if (Array.isArray(value)) return `[${value.map((each) => write(each, space)).join(`,${space}`)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, each]) => `${JSON.stringify(name)}:${space}${write(each, space)}`,
  );
  return `{${members.join(`,${space}`)}}`;
}

export const DIGIT = bytes([0x30, 0x39]);
