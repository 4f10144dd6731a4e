/** The keywords of one schema object, read and checked. What is not understood is refused here, by name and place. */
import { z } from 'zod';
import { NO_FACTS, tighter, TYPE_NAMES } from './facts.ts';
import type { Facts, Items, Members } from './facts.ts';
import { unsupported } from './limits.ts';
import { badSchema, below } from './schema-source.ts';
import type { SchemaAt } from './schema-source.ts';

const count = z.int('a whole number').min(0, 'at least 0');
const subschema = z.union([z.boolean(), z.looseObject({})], 'an object, true or false');
const subschemas = z.array(subschema);
const TYPES = Object.keys(TYPE_NAMES);
const typeName = z.enum(TYPES);

const keywords = z.looseObject({
  $ref: z.string().optional(),
  allOf: subschemas.optional(),
  anyOf: subschemas.optional(),
  oneOf: subschemas.optional(),
  type: z.union([typeName, z.array(typeName)], `${TYPES.join(', ')}, or a list of these`).optional(),
  enum: z.array(z.json()).optional(),
  const: z.json().optional(),
  minLength: count.optional(),
  maxLength: count.optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  multipleOf: z.number().positive().optional(),
  prefixItems: subschemas.optional(),
  items: subschema.optional(),
  minItems: count.optional(),
  maxItems: count.optional(),
  uniqueItems: z.boolean().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  patternProperties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: subschema.optional(),
  propertyNames: subschema.optional(),
  required: z.array(z.string()).optional(),
  minProperties: count.optional(),
  maxProperties: count.optional(),
});

/** Keywords that mean something and cannot be held. Those that are in neither list are annotations. */
const REFUSED: readonly string[] = [
  'not',
  'if',
  'then',
  'else',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'contains',
  'minContains',
  'maxContains',
  'unevaluatedItems',
  'unevaluatedProperties',
  'additionalItems',
  '$dynamicRef',
  '$recursiveRef',
];

export interface Keywords {
  facts: Facts;
  ref: string | null;
  allOf: readonly SchemaAt[];
  anyOf: readonly SchemaAt[] | null;
  oneOf: readonly SchemaAt[] | null;
}

/** @throws bad_option or unsupported */
export function readKeywords({ schema, place }: SchemaAt): Keywords {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw badSchema('this', place, schema, 'an object, true or false');
  }
  const refused = REFUSED.find((name) => Object.hasOwn(schema, name));
  if (refused) throw unsupported(`the keyword ${refused}`, below(place, refused));
  if (Array.isArray((schema as { items?: unknown }).items)) {
    throw unsupported('a list of item schemas', below(place, 'items'), 'write it as prefixItems');
  }
  const parsed = keywords.safeParse(schema);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    const got = path.reduce((at: unknown, step) => (at as Record<PropertyKey, unknown>)?.[step], schema);
    throw badSchema(String(path[0] ?? 'this'), below(place, ...path.map(String)), got, message);
  }
  const { data } = parsed;
  const list = (name: 'allOf' | 'anyOf' | 'oneOf' | 'prefixItems'): SchemaAt[] =>
    (data[name] ?? []).map((_, i) => ({
      // The schema itself, not zod's copy of it: identity tells subschemas apart.
      schema: (schema as Record<string, unknown[]>)[name][i],
      place: below(place, name, i),
    }));
  const one = (name: string): SchemaAt | null =>
    Object.hasOwn(schema, name)
      ? { schema: (schema as Record<string, unknown>)[name], place: below(place, name) }
      : null;
  const map = (name: string): [string, SchemaAt][] =>
    Object.entries((schema as Record<string, object | undefined>)[name] ?? {}).map(([key, value]) => [
      key,
      { schema: value, place: below(place, name, key) },
    ]);

  const members: Members = {
    properties: new Map(map('properties')),
    patterns: map('patternProperties').map(([source, value]) => ({ source, place: value.place, value })),
    rest: one('additionalProperties'),
  };
  const items: Items = { prefix: list('prefixItems'), rest: one('items') };
  const says = (part: object): boolean => Object.values(part).some((value: unknown) => isSaid(value));
  const bound = (value: number | undefined, exclusive: boolean) =>
    value === undefined ? null : { value, exclusive };
  const facts: Facts = {
    types:
      data.type === undefined
        ? NO_FACTS.types
        : [data.type].flat().reduce((bits, name) => bits | TYPE_NAMES[name], 0),
    values: valuesOf(data.enum, Object.hasOwn(schema, 'const') ? [data.const] : undefined),
    length: { min: data.minLength ?? 0, max: data.maxLength ?? Infinity },
    patterns: data.pattern === undefined ? [] : [{ source: data.pattern, place: below(place, 'pattern') }],
    formats: data.format === undefined ? [] : [{ name: data.format, place: below(place, 'format') }],
    min: tighter(bound(data.minimum, false), bound(data.exclusiveMinimum, true), 1),
    max: tighter(bound(data.maximum, false), bound(data.exclusiveMaximum, true), -1),
    multiples: data.multipleOf === undefined ? [] : [data.multipleOf],
    items: says(items) ? [items] : [],
    itemCount: { min: data.minItems ?? 0, max: data.maxItems ?? Infinity },
    unique: data.uniqueItems ?? false,
    // Also empty `properties` say something: that nothing is named.
    members: says(members) || Object.hasOwn(schema, 'properties') ? [members] : [],
    required: new Set(data.required),
    names: [one('propertyNames') ?? []].flat(),
    memberCount: { min: data.minProperties ?? 0, max: data.maxProperties ?? Infinity },
    place,
  };
  const has = (name: string): boolean => Object.hasOwn(schema, name);
  return {
    facts,
    ref: data.$ref ?? null,
    allOf: list('allOf'),
    anyOf: has('anyOf') ? list('anyOf') : null,
    oneOf: has('oneOf') ? list('oneOf') : null,
  };
}

function isSaid(value: unknown): boolean {
  if (value === null) return false;
  return value instanceof Map ? value.size > 0 : !Array.isArray(value) || value.length > 0;
}

function valuesOf(listed: unknown[] | undefined, constant: unknown[] | undefined): readonly unknown[] | null {
  if (listed === undefined || constant === undefined) return listed ?? constant ?? null;
  return listed.filter((value) => JSON.stringify(value) === JSON.stringify(constant[0]));
}
