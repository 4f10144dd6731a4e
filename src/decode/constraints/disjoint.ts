/**
 * Whether two alternatives of a `oneOf` can be told apart for certain, for every value that is written for either. What
 * proves it: other types, other constants, other ranges, or a required member (an item) that both have and that is
 * itself told apart. `false` means only that there is no proof.
 */
import { admits } from './admits.ts';
import type { Expand } from './expand.ts';
import { numberBounds, TYPE } from './facts.ts';
import type { Count, Facts } from './facts.ts';
import { itemSchemas, memberSchemas } from './parts.ts';
import type { SchemaAt } from './schema-source.ts';

/** Members inside members that are looked at. */
const MOST_DEPTH = 3;

export function disjoint(a: Facts, b: Facts, expand: Expand, depth = 0): boolean {
  if (a.values || b.values) {
    const [listed, other] = a.values ? [a, b] : [b, a];
    return listed.values!.every((value) => !admits(listed, value, expand) || !admits(other, value, expand));
  }
  const types = a.types & b.types;
  const told = Object.values(TYPE).filter((type) => (types & type) !== 0);
  return told.every((type) => {
    switch (type) {
      case TYPE.integer:
      case TYPE.fraction:
        return rangesApart(a, b);
      case TYPE.string:
        return apart(a.length, b.length);
      case TYPE.array:
        return apart(a.itemCount, b.itemCount) || itemsApart(a, b, expand, depth);
      case TYPE.object:
        return membersApart(a, b, expand, depth);
      default:
        return false;
    }
  });
}

function apart(a: Count, b: Count): boolean {
  return a.max < b.min || b.max < a.min;
}

function rangesApart(a: Facts, b: Facts): boolean {
  const [left, right] = [numberBounds(a), numberBounds(b)];
  const below = (one: typeof left, other: typeof left): boolean =>
    one.max !== null &&
    other.min !== null &&
    (one.max.value < other.min.value ||
      (one.max.value === other.min.value && (one.max.exclusive || other.min.exclusive)));
  return below(left, right) || below(right, left);
}

function schemasApart(
  a: readonly SchemaAt[],
  b: readonly SchemaAt[],
  expand: Expand,
  depth: number,
): boolean {
  if (depth >= MOST_DEPTH) return false;
  const others = expand(b);
  return expand(a).every((left) => others.every((right) => disjoint(left, right, expand, depth + 1)));
}

function itemsApart(a: Facts, b: Facts, expand: Expand, depth: number): boolean {
  const both = Math.min(a.itemCount.min, b.itemCount.min, 8);
  return Array.from({ length: both }, (_, i) => i).some((i) =>
    schemasApart(itemSchemas(a, i), itemSchemas(b, i), expand, depth),
  );
}

function membersApart(a: Facts, b: Facts, expand: Expand, depth: number): boolean {
  // A member that one requires and the other forbids is covered: what is forbidden has no alternatives.
  return [...a.required, ...b.required].some((name) => {
    if (!a.required.has(name) && expand(memberSchemas(a, name)).length > 0) return false;
    if (!b.required.has(name) && expand(memberSchemas(b, name)).length > 0) return false;
    return schemasApart(memberSchemas(a, name), memberSchemas(b, name), expand, depth);
  });
}
