/**
 * Regular expressions as grammars. The syntax is JavaScript's (parsed by @eslint-community/regexpp); a pattern
 * describes code points, as with the flag `u`. What no automaton can do is refused by name: look-around,
 * back-references, word boundaries, anchors in the middle, changes of flags.
 */
import { RegExpParser } from '@eslint-community/regexpp';
import type { AST } from '@eslint-community/regexpp';
import { TintypeError } from '../../errors.ts';
import { charactersOf, codePoints, complement, EVERY, matchedBy, union } from './code-points.ts';
import type { CodePoints } from './code-points.ts';
import { MOST_PATTERN_CHARACTERS, MOST_PATTERN_POSITIONS, tooLarge, unsupported } from './limits.ts';
import type { Place } from './limits.ts';
import { choice, repeat, sequence } from './nodes.ts';
import type { Node } from './nodes.ts';

export interface PatternOptions {
  /** How one character out of a set is written. */
  letter: (set: CodePoints) => Node;
  /** `whole`: the text is a match (anchors at its ends say nothing). `search`: the text contains a match. */
  match: 'whole' | 'search';
  place: Place;
}

export interface Pattern {
  node: Node;
  /** Fewest and most characters of a match. */
  shortest: number;
  longest: number;
}

/** Part of a pattern, with the number of character positions that it has when written out. */
interface Part extends Pattern {
  positions: number;
}

/** @throws bad_option if it is not a regular expression; unsupported if no automaton can do it */
export function compilePattern(source: string, options: PatternOptions): Pattern {
  const { letter, match, place } = options;
  if (source.length > MOST_PATTERN_CHARACTERS) {
    throw tooLarge('a regular expression', place, `${source.length} characters`, MOST_PATTERN_CHARACTERS);
  }
  // One letter node for each set, so that equal ends are recognised as equal.
  const letters = new Map<string, Node>();
  const letterOf = (set: CodePoints): Part => {
    const key = set.join(';');
    let node = letters.get(key);
    if (!node) letters.set(key, (node = letter(set)));
    return { node, shortest: 1, longest: 1, positions: 1 };
  };

  const compile = (element: AST.Element): Part => {
    switch (element.type) {
      case 'Character':
      case 'CharacterSet':
      case 'CharacterClass':
      case 'ExpressionCharacterClass':
        return letterOf(setOf(element, place));
      case 'CapturingGroup':
      case 'Group':
        if (element.type === 'Group' && element.modifiers) {
          throw unsupported(`a change of flags (${element.raw})`, place);
        }
        return anyOf(element.alternatives.map((each) => allOf(each.elements.map(compile))));
      case 'Quantifier':
        return times(compile(element.element), element.min, element.max);
      case 'Assertion':
      case 'Backreference':
        throw unsupported(nameOf(element), place);
    }
  };
  const times = (part: Part, min: number, max: number): Part => {
    const positions = part.positions * (max === Infinity ? Math.max(1, min) : Math.max(1, max));
    if (positions > MOST_PATTERN_POSITIONS) {
      throw tooLarge('a regular expression', place, `${positions} positions`, MOST_PATTERN_POSITIONS);
    }
    return {
      node: repeat(part.node, min, max),
      shortest: min === 0 ? 0 : part.shortest * min,
      longest: part.longest === 0 || max === 0 ? 0 : part.longest * max,
      positions,
    };
  };

  try {
    const filler: Part = times(letterOf(EVERY), 0, Infinity);
    const branches = unanchored(parse(source, place), place).map(({ start, end, elements }) => {
      const body = allOf(elements.map(compile));
      if (match === 'whole') return body;
      return allOf([...(start ? [] : [filler]), body, ...(end ? [] : [filler])]);
    });
    return anyOf(branches);
  } catch (error) {
    // Groups nested by the ten thousand exhaust the stack, here or in the parser.
    if (error instanceof RangeError) throw tooLarge('a regular expression', place, 'nesting', 1_000);
    throw error;
  }
}

function allOf(parts: Part[]): Part {
  const sum = (of: (part: Part) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    node: sequence(...parts.map(({ node }) => node)),
    shortest: sum(({ shortest }) => shortest),
    longest: sum(({ longest }) => longest),
    positions: sum(({ positions }) => positions),
  };
}

function anyOf(parts: Part[]): Part {
  if (parts.length === 1) return parts[0];
  return {
    node: choice(...parts.map(({ node }) => node)),
    shortest: parts.reduce((least, { shortest }) => Math.min(least, shortest), Infinity),
    longest: parts.reduce((most, { longest }) => Math.max(most, longest), 0),
    positions: parts.reduce((total, { positions }) => total + positions, 0),
  };
}

function parse(source: string, place: Place): AST.Pattern {
  const parser = new RegExpParser({ ecmaVersion: 2025 });
  try {
    return parser.parsePattern(source, 0, source.length, { unicode: true });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    try {
      // Patterns written for other engines escape more than `u` allows, such as `\-`.
      return parser.parsePattern(source, 0, source.length, { unicode: false });
    } catch {
      throw new TintypeError('bad_option', {
        what: 'this is not a regular expression',
        got: `${JSON.stringify(source)} at ${place}`,
        wanted: 'the syntax of JavaScript with the flag u',
        next: error instanceof Error ? `mend this: ${error.message}` : undefined,
        cause: error,
      });
    }
  }
}

interface Branch {
  /** Whether it is bound to the start and the end of the text. */
  start: boolean;
  end: boolean;
  elements: readonly AST.Element[];
}

/** The alternatives of a pattern without the anchors at their ends, which may also stand inside groups there. */
function unanchored({ alternatives }: { alternatives: AST.Alternative[] }, place: Place): Branch[] {
  return alternatives.flatMap(({ elements }) => {
    const isAnchor = (element: AST.Element | undefined, kind: 'start' | 'end'): boolean =>
      element?.type === 'Assertion' && element.kind === kind;
    const first = elements.findIndex((element) => !isAnchor(element, 'start'));
    if (first < 0) return [{ start: elements.length > 0, end: false, elements: [] }];
    let last = elements.length;
    while (last > first && isAnchor(elements[last - 1], 'end')) last--;
    const inner = elements.slice(first, last);
    const outer = { start: first > 0, end: last < elements.length };

    const [head, tail] = [inner[0], inner.at(-1)];
    if (isOpenGroup(head)) {
      return unanchored(head, place).map((branch) => {
        if (branch.end && inner.length > 1) throw unsupported('an anchor in the middle', place);
        return {
          start: outer.start || branch.start,
          end: outer.end || branch.end,
          elements: [...branch.elements, ...inner.slice(1)],
        };
      });
    }
    if (isOpenGroup(tail)) {
      return unanchored(tail, place).map((branch) => {
        if (branch.start) throw unsupported('an anchor in the middle', place);
        return {
          start: outer.start,
          end: outer.end || branch.end,
          elements: [...inner.slice(0, -1), ...branch.elements],
        };
      });
    }
    return [{ ...outer, elements: inner }];
  });
}

/** A group in which an anchor stands at an end. */
function isOpenGroup(element: AST.Element | undefined): element is AST.Group | AST.CapturingGroup {
  if (element?.type !== 'Group' && element?.type !== 'CapturingGroup') return false;
  return element.alternatives.some(({ elements }) =>
    // A set: the first may be the last, and asking twice at every level would double with each.
    [...new Set([elements[0], elements.at(-1)])].some(
      (each) => isOpenGroup(each) || (each?.type === 'Assertion' && each.kind !== 'word'),
    ),
  );
}

function nameOf(element: AST.Assertion | AST.Backreference): string {
  if (element.type === 'Backreference') return `a back-reference (${element.raw})`;
  switch (element.kind) {
    case 'lookahead':
    case 'lookbehind':
      return `look-around (${element.raw})`;
    case 'word':
      return `a word boundary (${element.raw})`;
    case 'start':
    case 'end':
      return `an anchor in the middle (${element.raw})`;
  }
}

const DIGIT = codePoints([0x30, 0x39]);
const WORD = union(DIGIT, codePoints([0x41, 0x5a], [0x61, 0x7a]), charactersOf('_'));
const LINE_ENDS = charactersOf('\n\r\u2028\u2029');
const SPACE = union(
  codePoints([0x09, 0x0d], [0x2000, 0x200a]),
  charactersOf(' \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'),
);
/** Asking a million code points takes tens of milliseconds, and there are few properties. */
const properties = new Map<string, CodePoints>();

type CharacterElement =
  | AST.Character
  | AST.CharacterSet
  | AST.CharacterClass
  | AST.CharacterClassRange
  | AST.ExpressionCharacterClass;

function setOf(element: CharacterElement, place: Place): CodePoints {
  switch (element.type) {
    case 'Character':
      return codePoints([element.value, element.value]);
    case 'CharacterClassRange':
      return codePoints([element.min.value, element.max.value]);
    case 'CharacterClass': {
      const set = union(...element.elements.map((each) => setOf(each as CharacterElement, place)));
      return element.negate ? complement(set) : set;
    }
    case 'CharacterSet': {
      const set = namedSet(element);
      return element.kind !== 'any' && element.negate ? complement(set) : set;
    }
    case 'ExpressionCharacterClass':
      throw unsupported(`set notation (${element.raw})`, place);
  }
}

function namedSet(element: AST.CharacterSet): CodePoints {
  switch (element.kind) {
    case 'any':
      return complement(LINE_ENDS);
    case 'digit':
      return DIGIT;
    case 'space':
      return SPACE;
    case 'word':
      return WORD;
    case 'property': {
      const name = element.value === null ? element.key : `${element.key}=${element.value}`;
      let set = properties.get(name);
      if (!set) properties.set(name, (set = matchedBy(new RegExp(`^\\p{${name}}$`, 'u'))));
      return set;
    }
  }
}
