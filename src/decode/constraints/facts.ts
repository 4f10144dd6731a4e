/**
 * What a schema says about one value, with everything that `allOf`, `$ref` and `anyOf` put together merged into one
 * record. A schema comes to a list of such alternatives; two schemas that both hold come to the merged pairs.
 */
import { INTEGER_FORMATS } from './formats.ts';
import type { Place } from './limits.ts';
import type { Bound } from './numbers.ts';
import type { SchemaAt } from './schema-source.ts';

/** Kinds of values, as bits; `number` is integers and the others together. */
export const TYPE = {
  null: 1,
  boolean: 2,
  integer: 4,
  fraction: 8,
  string: 16,
  object: 32,
  array: 64,
} as const;
export const ANY_TYPE = 127;
export const NUMBER = TYPE.integer | TYPE.fraction;

export const TYPE_NAMES: Readonly<Record<string, number>> = {
  null: TYPE.null,
  boolean: TYPE.boolean,
  integer: TYPE.integer,
  number: NUMBER,
  string: TYPE.string,
  object: TYPE.object,
  array: TYPE.array,
};

export interface Count {
  min: number;
  max: number;
}

export interface PatternAt {
  source: string;
  place: Place;
}

/** What one schema says about the members of an object. */
export interface Members {
  properties: ReadonlyMap<string, SchemaAt>;
  /** `patternProperties`. */
  patterns: readonly (PatternAt & { value: SchemaAt })[];
  /** `additionalProperties`, if it is there. */
  rest: SchemaAt | null;
}

/** What one schema says about the items of an array. */
export interface Items {
  prefix: readonly SchemaAt[];
  rest: SchemaAt | null;
}

export interface Facts {
  /** Bits of `TYPE`. */
  types: number;
  /** `enum` and `const`; null: anything. */
  values: readonly unknown[] | null;
  length: Count;
  patterns: readonly PatternAt[];
  formats: readonly { name: string; place: Place }[];
  min: Bound | null;
  max: Bound | null;
  multiples: readonly number[];
  items: readonly Items[];
  itemCount: Count;
  unique: boolean;
  members: readonly Members[];
  required: ReadonlySet<string>;
  /** `propertyNames`. */
  names: readonly SchemaAt[];
  memberCount: Count;
  /** Where the schema stands that said the most. */
  place: Place;
}

const ANY_COUNT: Count = { min: 0, max: Infinity };

/** Nothing said. */
export const NO_FACTS: Facts = {
  types: ANY_TYPE,
  values: null,
  length: ANY_COUNT,
  patterns: [],
  formats: [],
  min: null,
  max: null,
  multiples: [],
  items: [],
  itemCount: ANY_COUNT,
  unique: false,
  members: [],
  required: new Set(),
  names: [],
  memberCount: ANY_COUNT,
  place: '#',
};

/** Both at once; null if no value can be both. */
export function merge(a: Facts, b: Facts): Facts | null {
  if (a === NO_FACTS) return b;
  if (b === NO_FACTS) return a;
  const values = a.values && b.values ? common(a.values, b.values) : (a.values ?? b.values);
  const types = a.types & b.types;
  if (types === 0 || values?.length === 0) return null;
  return {
    types,
    values,
    length: overlap(a.length, b.length),
    patterns: [...a.patterns, ...b.patterns],
    formats: [...a.formats, ...b.formats.filter(({ name }) => a.formats.every((each) => each.name !== name))],
    min: tighter(a.min, b.min, 1),
    max: tighter(a.max, b.max, -1),
    multiples: [...new Set([...a.multiples, ...b.multiples])],
    items: [...a.items, ...b.items],
    itemCount: overlap(a.itemCount, b.itemCount),
    unique: a.unique || b.unique,
    members: [...a.members, ...b.members],
    required: new Set([...a.required, ...b.required]),
    names: [...a.names, ...b.names],
    memberCount: overlap(a.memberCount, b.memberCount),
    place: a.place,
  };
}

function common(a: readonly unknown[], b: readonly unknown[]): readonly unknown[] {
  const others = new Set(b.map(canonical));
  return a.filter((value) => others.has(canonical(value)));
}

function overlap(a: Count, b: Count): Count {
  return { min: Math.max(a.min, b.min), max: Math.min(a.max, b.max) };
}

/** The bound that leaves less: `sign` is 1 for lower bounds, -1 for upper ones. */
export function tighter(a: Bound | null, b: Bound | null, sign: 1 | -1): Bound | null {
  if (!a || !b) return a ?? b;
  if (a.value === b.value) return a.exclusive ? a : b;
  return sign * a.value > sign * b.value ? a : b;
}

/** Equality of JSON values: the order of members says nothing. */
export function sameJson(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

export function includes(values: readonly unknown[], value: unknown): boolean {
  return values.some((each) => sameJson(each, value));
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const members = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`);
  return `{${members.sort().join()}}`;
}

/** Bit of a value's type. */
export function typeOf(value: unknown): number {
  if (value === null) return TYPE.null;
  if (Array.isArray(value)) return TYPE.array;
  if (typeof value === 'number') return Number.isInteger(value) ? TYPE.integer : TYPE.fraction;
  return TYPE_NAMES[typeof value] ?? 0;
}

/** Bounds on numbers, with those of OpenAPI's integer formats. */
export function numberBounds(facts: Facts): { min: Bound | null; max: Bound | null } {
  let { min, max } = facts;
  for (const { name } of facts.formats) {
    const range = INTEGER_FORMATS[name];
    if (!range) continue;
    min = tighter(min, { value: range[0], exclusive: false }, 1);
    max = tighter(max, { value: range[1], exclusive: false }, -1);
  }
  return { min, max };
}
