/** Random JSON schemas out of everything that constraints support. */
import type { Rng } from '../../src/rng.ts';

type Schema = Record<string, unknown> | boolean;

const NAMES = [
  'id',
  'name',
  'x',
  'y',
  'kind',
  'tags',
  'Straße',
  'first name',
  'a"b',
  'é',
  '__proto',
  'value',
  'items',
];
const PATTERNS = [
  '^[a-z]+$',
  '^[A-Z][a-z0-9]*$',
  '\\d{2,4}',
  '^(foo|bar)-?',
  '[éü]$',
  '^\\w+@\\w+$',
  '^[^\\s"]*$',
  '^.{1,3}$',
];
const FORMATS = [
  'date',
  'time',
  'date-time',
  'uuid',
  'email',
  'ipv4',
  'ipv6',
  'uri',
  'hostname',
  'json-pointer',
  'duration',
  'uri-reference',
];
const VALUES = [
  null,
  true,
  0,
  -1,
  3.5,
  1e21,
  '',
  'a',
  'new\nline',
  'quote"',
  '\u0001',
  'ü',
  [],
  [1, 'b'],
  {},
  { z: 1, a: [null] },
];

/** Always satisfiable, unless parts of an `allOf` contradict each other. */
export function randomSchema(rng: Rng): Schema {
  const definitions: Record<string, Schema> = {
    tree: {
      type: 'object',
      properties: { value: leaf(rng), next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/tree' }] } },
      required: ['value'],
    },
    list: {
      type: 'array',
      items: { anyOf: [leaf(rng), { $ref: '#/$defs/list' }] },
      maxItems: 1 + rng.int(4),
    },
  };
  const root = node(rng, 3);
  return root === true || root === false ? root : { ...root, $defs: definitions };
}

function node(rng: Rng, depth: number): Schema {
  if (depth <= 0) return leaf(rng);
  switch (rng.int(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return object(rng, depth);
    case 4:
    case 5:
      return array(rng, depth);
    case 6:
      return { [choose(rng, ['anyOf', 'anyOf'])]: times(1 + rng.int(3), () => node(rng, depth - 1)) };
    case 7:
      return oneOf(rng, depth);
    case 8:
      return rng.next() < 0.5 ? { $ref: `#/$defs/${choose(rng, ['tree', 'list'])}` } : allOf(rng, depth);
    default:
      return leaf(rng);
  }
}

function leaf(rng: Rng): Schema {
  switch (rng.int(9)) {
    case 0:
      return { type: choose(rng, ['null', 'boolean']) };
    case 1:
      return { enum: times(1 + rng.int(4), () => choose(rng, VALUES)) };
    case 2:
      return { const: choose(rng, VALUES) };
    case 3:
      return integer(rng);
    case 4:
      return number(rng);
    case 5:
      return { type: 'string', format: choose(rng, FORMATS) };
    case 6: {
      const min = rng.int(3);
      return {
        type: 'string',
        pattern: choose(rng, PATTERNS),
        ...(rng.next() < 0.3 ? { maxLength: 8 + min } : {}),
      };
    }
    case 7: {
      const minLength = rng.int(4);
      return {
        type: 'string',
        minLength,
        ...(rng.next() < 0.5 ? { maxLength: minLength + rng.int(12) } : {}),
      };
    }
    default:
      return { type: ['string', 'integer', 'null'].slice(rng.int(3)) };
  }
}

function integer(rng: Rng): Schema {
  const minimum = rng.int(2000) - 1000;
  const schema: Record<string, unknown> = { type: 'integer' };
  if (rng.next() < 0.5) schema[choose(rng, ['minimum', 'exclusiveMinimum'])] = minimum;
  if (rng.next() < 0.5)
    schema[choose(rng, ['maximum', 'exclusiveMaximum'])] = minimum + 30 + rng.int(100_000);
  if (rng.next() < 0.3) schema.multipleOf = 1 + rng.int(12);
  return schema;
}

function number(rng: Rng): Schema {
  const minimum = Math.round(rng.normal() * 1e6) / 10 ** rng.int(7);
  const schema: Record<string, unknown> = { type: 'number' };
  if (rng.next() < 0.5) schema[choose(rng, ['minimum', 'exclusiveMinimum'])] = minimum;
  if (rng.next() < 0.5)
    schema[choose(rng, ['maximum', 'exclusiveMaximum'])] = minimum + Math.round(rng.next() * 1000 + 20) / 8;
  if (rng.next() < 0.2) schema.multipleOf = choose(rng, [0.5, 0.25, 0.01, 0.1, 3, 2]);
  return schema;
}

function object(rng: Rng, depth: number): Schema {
  const names = NAMES.filter(() => rng.next() < 0.3);
  const properties = Object.fromEntries(names.map((name) => [name, node(rng, depth - 1)]));
  const required = names.filter(() => rng.next() < 0.5);
  const schema: Record<string, unknown> = { type: 'object', properties, required };
  if (rng.next() < 0.2) delete schema.properties;
  const others = rng.int(5);
  if (others === 0) schema.additionalProperties = false;
  if (others === 1) schema.additionalProperties = node(rng, depth - 1);
  if (others === 2) schema.additionalProperties = true;
  if (others === 3 && rng.next() < 0.5) schema.patternProperties = { '^x-': leaf(rng) };
  if (rng.next() < 0.15) schema.propertyNames = { maxLength: 12 };
  if (rng.next() < 0.1) schema.maxProperties = 14;
  return schema;
}

function array(rng: Rng, depth: number): Schema {
  const schema: Record<string, unknown> = { type: 'array' };
  if (rng.next() < 0.8) schema.items = node(rng, depth - 1);
  if (rng.next() < 0.3) schema.prefixItems = times(1 + rng.int(3), () => node(rng, depth - 1));
  if (rng.next() < 0.5) schema.minItems = rng.int(3);
  if (rng.next() < 0.5) schema.maxItems = 2 + rng.int(4);
  if (rng.next() < 0.15) {
    return {
      type: 'array',
      uniqueItems: true,
      items: { enum: ['a', 'b', 1, null, { c: 1 }] },
      maxItems: 1 + rng.int(5),
    };
  }
  return schema;
}

/** Told apart by a constant, or by type. */
function oneOf(rng: Rng, depth: number): Schema {
  if (rng.next() < 0.3) return { oneOf: [{ type: 'integer' }, { type: 'string' }, object(rng, depth - 1)] };
  const kinds = ['circle', 'square', 'line'].slice(rng.int(2));
  return {
    oneOf: kinds.map((kind) => ({
      type: 'object',
      properties: { kind: { const: kind }, size: node(rng, depth - 1) },
      required: rng.next() < 0.5 ? ['kind'] : ['kind', 'size'],
    })),
  };
}

function allOf(rng: Rng, depth: number): Schema {
  return {
    allOf: [
      object(rng, depth - 1),
      { type: 'object', properties: { extra: leaf(rng) }, required: ['extra'] },
    ],
  };
}

export function choose<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.int(list.length)];
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
