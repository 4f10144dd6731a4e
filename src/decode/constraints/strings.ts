/** What stands between the quotes of a JSON string, from its length, patterns and formats. */
import type { Facts } from './facts.ts';
import { FORMATS, IGNORED_FORMATS, INTEGER_FORMATS } from './formats.ts';
import { intersect } from './intersect.ts';
import { ANY_LETTER, letter } from './json-text.ts';
import { unsupported } from './limits.ts';
import { NONE, repeat } from './nodes.ts';
import type { Node } from './nodes.ts';
import { compilePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';

/** @throws bad_option or unsupported */
export function stringContent({ length, patterns, formats }: Facts): Node {
  if (length.max < length.min) return NONE;
  const parts: Pattern[] = patterns.map(({ source, place }) =>
    compilePattern(source, { letter, match: 'search', place }),
  );
  for (const { name, place } of formats) {
    if (IGNORED_FORMATS.has(name) || INTEGER_FORMATS[name]) continue;
    const source = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
    if (source === undefined) {
      throw unsupported(
        `the format ${name}`,
        place,
        `use one of ${Object.keys(FORMATS).join(', ')}, or a pattern`,
      );
    }
    parts.push(compilePattern(source, { letter, match: 'whole', place }));
  }
  const lengthSaysMore = parts.every(
    ({ shortest, longest }) => shortest < length.min || longest > length.max,
  );
  const nodes = parts.map(({ node }) => node);
  if (parts.length === 0) return repeat(ANY_LETTER, length.min, length.max);
  if (lengthSaysMore && (length.min > 0 || length.max < Infinity)) {
    nodes.push(repeat(ANY_LETTER, length.min, length.max));
  }
  return nodes.length === 1 ? nodes[0] : intersect(nodes, (patterns[0] ?? formats[0]).place);
}
