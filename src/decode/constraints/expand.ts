/**
 * Subschemas that must all hold, as alternatives of merged facts: `$ref` and `allOf` are merged in, `anyOf` multiplies.
 *
 * `oneOf` allows what exactly one branch allows. An automaton can only be the union of the branches, so that is the
 * same if no value is in two of them; where that cannot be proved the schema is refused (see `disjoint.ts`).
 */
import { disjoint } from './disjoint.ts';
import { merge, NO_FACTS } from './facts.ts';
import type { Facts } from './facts.ts';
import { readKeywords } from './keywords.ts';
import type { Keywords } from './keywords.ts';
import { MOST_ALTERNATIVES, MOST_NESTING, tooLarge, unsupported } from './limits.ts';
import { below } from './schema-source.ts';
import type { SchemaAt, SchemaSource } from './schema-source.ts';

/** No alternatives: nothing is allowed. */
export type Expand = (schemas: readonly SchemaAt[]) => readonly Facts[];

export function createExpand(source: SchemaSource): Expand {
  const known = new Map<string, readonly Facts[] | 'open'>();
  const read = new Map<unknown, Keywords>();

  const expandAll = (schemas: readonly SchemaAt[], within: readonly unknown[]): readonly Facts[] =>
    schemas.reduce<readonly Facts[]>(
      (alternatives, each) =>
        alternatives.length === 0 ? [] : cross(alternatives, expandOne(each, within), each),
      [NO_FACTS],
    );

  const expandOne = (at: SchemaAt, within: readonly unknown[]): readonly Facts[] => {
    const { schema, place } = at;
    if (schema === true) return [NO_FACTS];
    if (schema === false) return [];
    if (within.includes(schema)) {
      throw unsupported('a $ref that leads back to itself', place, 'put a property or an item between');
    }
    if (within.length >= MOST_NESTING)
      throw tooLarge('nested allOf, anyOf and $ref', place, within.length, MOST_NESTING);
    let keywords = read.get(schema);
    if (!keywords) read.set(schema, (keywords = readKeywords(at)));
    const { facts, ref, allOf, anyOf, oneOf } = keywords;
    const inside = [...within, schema];

    let alternatives = facts.types === 0 || facts.values?.length === 0 ? [] : merged([facts], [NO_FACTS]);
    if (ref !== null) {
      const target = source.resolve(ref, below(place, '$ref'));
      alternatives = cross(alternatives, expandOne(target, inside), at);
    }
    alternatives = cross(alternatives, expandAll(allOf, inside), at);
    for (const branches of [anyOf, oneOf]) {
      if (branches === null) continue;
      const expanded = branches.map((branch) => expandOne(branch, inside));
      if (branches === oneOf) checkDisjoint(alternatives, expanded, at);
      alternatives = cross(alternatives, expanded.flat(), at);
    }
    return alternatives;
  };

  const checkDisjoint = (
    outer: readonly Facts[],
    branches: readonly (readonly Facts[])[],
    { place }: SchemaAt,
  ): void => {
    const full = branches.map((branch) => merged(outer, branch));
    full.forEach((branch, i) => {
      const other = full
        .slice(0, i)
        .findIndex((each) => branch.some((a) => each.some((b) => !disjoint(a, b, expand))));
      if (other < 0) return;
      throw unsupported(
        `a oneOf whose branches ${other} and ${i} may both hold`,
        below(place, 'oneOf'),
        'write anyOf, or give the branches a required property whose values differ (const)',
      );
    });
  };

  const expand: Expand = (schemas) => {
    const key = source.keyOf(schemas);
    const alternatives = known.get(key);
    // Asked for by the proof of a `oneOf` within itself: nothing is known, which proves nothing.
    if (alternatives === 'open') return [NO_FACTS];
    if (alternatives) return alternatives;
    known.set(key, 'open');
    const found = expandAll(schemas, []);
    known.set(key, found);
    return found;
  };
  return expand;
}

function merged(a: readonly Facts[], b: readonly Facts[]): readonly Facts[] {
  return a.flatMap((left) => b.flatMap((right) => merge(left, right) ?? []));
}

function cross(a: readonly Facts[], b: readonly Facts[], { place }: SchemaAt): readonly Facts[] {
  if (a.length * b.length > MOST_ALTERNATIVES) {
    throw tooLarge('a combination of anyOf', place, a.length * b.length, MOST_ALTERNATIVES);
  }
  return merged(a, b);
}
