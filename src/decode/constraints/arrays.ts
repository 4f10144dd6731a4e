/** Arrays as nodes: a tuple of `prefixItems`, then `items`, with counts. */
import { admits } from './admits.ts';
import type { Facts } from './facts.ts';
import type { Compiler } from './json-schema.ts';
import { constant, list, PUNCTUATION } from './json-text.ts';
import { MOST_SUBSCHEMAS, tooLarge, unsupported } from './limits.ts';
import { choice, EMPTY, literal, NONE, sequence } from './nodes.ts';
import type { Node } from './nodes.ts';
import { itemSchemas } from './parts.ts';
import { below } from './schema-source.ts';

export function arrayNode(facts: Facts, compiler: Compiler): Node {
  const { min, max } = facts.itemCount;
  if (max < min) return NONE;
  const body = facts.unique && max > 1 ? uniqueItems(facts, compiler) : plainItems(facts, compiler);
  return sequence(literal('['), body, literal(']'));
}

function plainItems(facts: Facts, compiler: Compiler): Node {
  const { min, max } = facts.itemCount;
  const { comma } = PUNCTUATION[compiler.spacing];
  const fixed = facts.items.reduce((most, { prefix }) => Math.max(most, prefix.length), 0);
  // Items without a schema after a tuple are allowed, but nobody has asked for them.
  const closed = fixed > 0 && facts.items.every(({ rest }) => rest === null);
  const rest = max > fixed && !(closed && min <= fixed) ? compiler.value(itemSchemas(facts, fixed)) : NONE;
  if (fixed === 0) return rest === NONE ? EMPTY : withEmpty(list(rest, min, max, comma), min);

  // From the last item of the tuple to the first: what may follow it.
  const restMin = Math.max(0, min - fixed);
  let after: Node = rest === NONE ? EMPTY : repeated(rest, restMin, max - fixed, comma);
  for (let i = fixed - 1; i >= 0; i--) {
    const item = i < max ? compiler.value(itemSchemas(facts, i)) : NONE;
    const some = sequence(i === 0 ? EMPTY : comma, item, compiler.rule(after));
    after = i >= min ? choice(some, EMPTY) : some;
  }
  return after;
}

/** An item schema that allows nothing still allows the empty list. */
const withEmpty = (node: Node, min: number): Node => (min === 0 ? choice(node, EMPTY) : node);

function repeated(item: Node, min: number, max: number, comma: Node): Node {
  return max === 0 ? EMPTY : withEmpty(sequence(comma, list(item, Math.max(1, min), max, comma)), min);
}

/** Items from a list of constants, each at most once and in its order. */
function uniqueItems(facts: Facts, compiler: Compiler): Node {
  const { min, max } = facts.itemCount;
  const alternatives = compiler.expand(itemSchemas(facts, 0));
  if (
    facts.items.some(({ prefix }) => prefix.length > 0) ||
    alternatives.some(({ values }) => values === null)
  ) {
    throw unsupported(
      'uniqueItems',
      below(facts.place, 'uniqueItems'),
      'give the items an enum, or leave it out',
    );
  }
  const values = alternatives.flatMap((each) =>
    each.values!.filter((value) => admits({ ...each, values: null }, value, compiler.expand)),
  );
  const texts = [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
  if (texts.length * Math.min(max, texts.length) > MOST_SUBSCHEMAS) {
    throw tooLarge(
      'uniqueItems',
      below(facts.place, 'uniqueItems'),
      `${texts.length} values`,
      MOST_SUBSCHEMAS,
    );
  }
  const { comma } = PUNCTUATION[compiler.spacing];
  const known = new Map<string, Node>();
  /** What may follow once `count` of the values before `from` stand there. */
  const after = (from: number, count: number): Node => {
    if (from === texts.length || count === max) return count >= min ? EMPTY : NONE;
    const key = `${from}:${min > 0 || max < texts.length ? count : Math.min(1, count)}`;
    const found = known.get(key);
    if (found) return found;
    const item = constant(texts[from], compiler.spacing);
    const node = compiler.rule(
      choice(sequence(count === 0 ? EMPTY : comma, item, after(from + 1, count + 1)), after(from + 1, count)),
    );
    known.set(key, node);
    return node;
  };
  return after(0, 0);
}
