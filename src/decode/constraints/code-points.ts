/**
 * Sets of code points, as sorted, disjoint, inclusive ranges. Surrogates belong to no set: they have no UTF-8, so no
 * token can write one.
 */

export type Range = readonly [low: number, high: number];
export type CodePoints = readonly Range[];

export const LAST_CODE_POINT = 0x10ffff;
const SURROGATES: Range = [0xd800, 0xdfff];

/** Any ranges in any order -> a set. */
export function codePoints(...ranges: Range[]): CodePoints {
  const sorted = ranges.filter(([low, high]) => low <= high).sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = joined.at(-1);
    if (last && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  return joined.flatMap(([low, high]) => withoutSurrogates(low, high));
}

function withoutSurrogates(low: number, high: number): Range[] {
  if (high < SURROGATES[0] || low > SURROGATES[1]) return [[low, high]];
  const parts: Range[] = [
    [low, SURROGATES[0] - 1],
    [SURROGATES[1] + 1, high],
  ];
  return parts.filter(([from, to]) => from <= to);
}

export const EVERY: CodePoints = codePoints([0, LAST_CODE_POINT]);

export function union(...sets: CodePoints[]): CodePoints {
  return codePoints(...sets.flat());
}

export function complement(set: CodePoints): CodePoints {
  const gaps: Range[] = [];
  let from = 0;
  for (const [low, high] of set) {
    gaps.push([from, low - 1]);
    from = high + 1;
  }
  gaps.push([from, LAST_CODE_POINT]);
  return codePoints(...gaps);
}

export function minus(set: CodePoints, other: CodePoints): CodePoints {
  return complement(union(complement(set), other));
}

export function intersection(set: CodePoints, other: CodePoints): CodePoints {
  return minus(set, complement(other));
}

/** The characters of a string, as a set. */
export function charactersOf(text: string): CodePoints {
  return codePoints(...Array.from(text, (char): Range => [char.codePointAt(0)!, char.codePointAt(0)!]));
}

/** Code points that a one-character pattern matches, by asking the regular expressions of the machine. */
export function matchedBy(pattern: RegExp): CodePoints {
  const ranges: Range[] = [];
  let start = -1;
  for (let code = 0; code <= LAST_CODE_POINT + 1; code++) {
    const inside = code <= LAST_CODE_POINT && pattern.test(String.fromCodePoint(code));
    if (inside && start < 0) start = code;
    if (inside || start < 0) continue;
    ranges.push([start, code - 1]);
    start = -1;
  }
  return codePoints(...ranges);
}
