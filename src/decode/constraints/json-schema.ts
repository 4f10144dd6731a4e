/**
 * JSON Schema (draft 2020-12) as a language: every text of it is JSON that the schema accepts. Not every accepted JSON
 * is a text of it, see `json-text.ts`; beyond that:
 * - an object that names `properties` and says nothing of `additionalProperties` has no others;
 * - with `uniqueItems` the items stand in the order of their `enum`, so that none comes twice;
 * - `oneOf` must have branches that exclude each other (see `expand.ts`);
 * - a name outside `properties` may come twice, as JSON allows; then the last counts, as everywhere.
 * What cannot be held is refused before anything is written.
 */
import { assert } from '../../errors.ts';
import { arrayNode } from './arrays.ts';
import { createAutomaton } from './automaton.ts';
import { admits } from './admits.ts';
import { createExpand } from './expand.ts';
import type { Expand } from './expand.ts';
import { NUMBER, numberBounds, TYPE } from './facts.ts';
import type { Facts } from './facts.ts';
import { constant, quoted } from './json-text.ts';
import type { Spacing } from './json-text.ts';
import type { Language } from './language.ts';
import { matchesNothing, MOST_SUBSCHEMAS, tooLarge } from './limits.ts';
import { choice, literal, NONE, rule } from './nodes.ts';
import type { Node, Rule } from './nodes.ts';
import { numberNode } from './numbers.ts';
import { objectNode } from './objects.ts';
import { readSource } from './schema-source.ts';
import type { SchemaAt } from './schema-source.ts';
import { minBytes, settle } from './settle.ts';
import { stringContent } from './strings.ts';

export interface SchemaOptions {
  /** White space between tokens of JSON. */
  spacing?: Spacing;
}

/** What arrays and objects need to compile their parts. */
export interface Compiler {
  spacing: Spacing;
  /** A value for which all of these schemas hold. */
  value: (schemas: readonly SchemaAt[]) => Node;
  /** Alternatives of merged facts. */
  expand: Expand;
  /** A rule that is settled with the others. */
  rule: (body: Node) => Node;
}

/** @throws bad_option if it is not a schema or allows nothing; unsupported, with the place, if it cannot be held */
export const compileJsonSchema = (schema: unknown, options: SchemaOptions = {}): Language =>
  createAutomaton(jsonSchemaGrammar(schema, options))!;

/** The same as a grammar; it matches something. */
export function jsonSchemaGrammar(schema: unknown, { spacing = 'compact' }: SchemaOptions = {}): Node {
  const source = readSource(schema);
  const expand = createExpand(source);
  const rules: Rule[] = [];
  const values = new Map<string, Node>();
  const waiting: { rule: Rule; schemas: readonly SchemaAt[] }[] = [];

  const compiler: Compiler = {
    spacing,
    expand,
    rule(body) {
      const made = rule();
      made.rule.body = body;
      rules.push(made.rule);
      return made.node;
    },
    value(schemas) {
      const key = source.keyOf(schemas);
      const known = values.get(key);
      if (known) return known;
      if (values.size >= MOST_SUBSCHEMAS) {
        throw tooLarge('a schema', schemas[0]?.place ?? '#', 'too many subschemas', MOST_SUBSCHEMAS);
      }
      const made = rule();
      rules.push(made.rule);
      values.set(key, made.node);
      waiting.push({ rule: made.rule, schemas });
      return made.node;
    },
  };

  const root = compiler.value([source.root]);
  // One after the other rather than inside each other: no schema is too deep.
  for (const { rule, schemas } of waiting) {
    rule.body = choice(...expand(schemas).map((facts) => valueNode(facts, compiler)));
  }
  settle(rules);
  if (minBytes(root) === Infinity) throw matchesNothing('the JSON schema', '#');
  return root;
}

function valueNode(facts: Facts, compiler: Compiler): Node {
  if (facts.values) {
    const others: Facts = { ...facts, values: null };
    const allowed = facts.values.filter((value) => admits(others, value, compiler.expand));
    return choice(...allowed.map((value) => constant(value, compiler.spacing)));
  }
  const types = typesOf(facts);
  const options: Node[] = [];
  if (types & TYPE.object) options.push(objectNode(facts, compiler));
  if (types & TYPE.array) options.push(arrayNode(facts, compiler));
  if (types & TYPE.string) options.push(quoted(stringContent(facts)));
  if (types & NUMBER) {
    const bounds = numberBounds(facts);
    const integer = (types & TYPE.fraction) === 0;
    assert((types & TYPE.integer) !== 0, 'no schema allows fractions without integers');
    options.push(numberNode({ ...facts, ...bounds }, integer, facts.place));
  }
  if (types & TYPE.boolean) options.push(literal('true'), literal('false'));
  if (types & TYPE.null) options.push(literal('null'));
  return options.length === 0 ? NONE : choice(...options);
}

/** A schema that names no type but speaks of one kind of value only means that kind. */
function typesOf(facts: Facts): number {
  if (facts.types !== 127) return facts.types;
  const spoken =
    (facts.members.length > 0 || facts.required.size > 0 ? TYPE.object : 0) |
    (facts.items.length > 0 ? TYPE.array : 0) |
    (facts.patterns.length > 0 || facts.formats.length > 0 ? TYPE.string : 0) |
    (facts.min || facts.max || facts.multiples.length > 0 ? NUMBER : 0);
  return [TYPE.object, TYPE.array, TYPE.string, NUMBER].includes(spoken) ? spoken : facts.types;
}
