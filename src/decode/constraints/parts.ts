/** Which subschemas hold for a member or an item of merged facts. */
import type { Facts } from './facts.ts';
import type { SchemaAt } from './schema-source.ts';

/** Schemas for the member `name`; those that say nothing are left out. */
export function memberSchemas({ members }: Facts, name: string): SchemaAt[] {
  return members.flatMap(({ properties, patterns, rest }) => {
    const named = properties.get(name);
    const matching = patterns
      .filter(({ source }) => new RegExp(source, 'u').test(name))
      .map(({ value }) => value);
    const found = [...(named ? [named] : []), ...matching];
    return found.length > 0 ? found : rest ? [rest] : [];
  });
}

/** Schemas for the item at an index. */
export function itemSchemas({ items }: Facts, index: number): SchemaAt[] {
  return items.flatMap(({ prefix, rest }) => prefix[index] ?? rest ?? []);
}

/** Names that a schema gives, in its order, those that it only requires last. */
export function namesOf({ members, required }: Facts): string[] {
  return [...new Set([...members.flatMap(({ properties }) => [...properties.keys()]), ...required])];
}
