/** A regular expression as a language: every text of it is one whole match. */
import { createAutomaton } from './automaton.ts';
import type { Language } from './language.ts';
import { matchesNothing } from './limits.ts';
import type { Node } from './nodes.ts';
import { compilePattern } from './pattern.ts';
import { minBytes } from './settle.ts';
import { utf8 } from './utf8.ts';

/**
 * JavaScript syntax; full match over code points, as `^(?:pattern)$` with the flag `u` would.
 * @throws bad_option if the pattern is none or matches nothing; unsupported if it needs what no automaton can do
 */
export const compileRegex = (pattern: string): Language => createAutomaton(regexGrammar(pattern))!;

/** The same as a grammar; it matches something. */
export function regexGrammar(pattern: string): Node {
  const place = `/${pattern.length > 60 ? `${pattern.slice(0, 60)}…` : pattern}/`;
  const { node } = compilePattern(pattern, { letter: utf8, match: 'whole', place });
  if (minBytes(node) === Infinity) throw matchesNothing('the regular expression', place);
  return node;
}
