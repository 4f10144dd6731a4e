/** Objects as nodes: the named members in the order of the schema, optional ones or not, then any others. */
import { admits } from './admits.ts';
import type { Facts } from './facts.ts';
import { intersect } from './intersect.ts';
import type { Compiler } from './json-schema.ts';
import { constant, list, PUNCTUATION, quoted, quotedExcept } from './json-text.ts';
import { MOST_NAME_CHARACTERS, tooLarge, unsupported } from './limits.ts';
import { choice, EMPTY, literal, NONE, repeat, sequence } from './nodes.ts';
import type { Node } from './nodes.ts';
import { memberSchemas, namesOf } from './parts.ts';
import { compilePattern } from './pattern.ts';
import { letter } from './json-text.ts';
import { below } from './schema-source.ts';
import { stringContent } from './strings.ts';

export function objectNode(facts: Facts, compiler: Compiler): Node {
  const { comma, colon } = PUNCTUATION[compiler.spacing];
  const names = namesOf(facts).filter((name) =>
    compiler.expand(facts.names).some((each) => admits(each, name, compiler.expand)),
  );
  if ([...facts.required].some((name) => !names.includes(name))) return NONE;

  const others = otherMember(facts, names, compiler);
  const count = checkCount(facts, names, others !== NONE);
  // From the last member to the first: what may follow, with a member before it (`later`) or without (`first`).
  let first = count.others > 0 ? list(others, 0, count.others, comma) : EMPTY;
  let later = count.others > 0 ? repeat(sequence(comma, others), 0, count.others) : EMPTY;
  if (count.some && names.length === 0) first = list(others, 1, count.others, comma);
  else if (count.some) first = count.others > 0 ? list(others, 1, count.others, comma) : NONE;
  for (const name of [...names].reverse()) {
    const member = sequence(
      constant(name, compiler.spacing),
      colon,
      compiler.value(memberSchemas(facts, name)),
    );
    const rest = later === EMPTY ? EMPTY : compiler.rule(later);
    const isRequired = facts.required.has(name);
    first = choice(sequence(member, rest), isRequired || first === NONE ? NONE : compiler.rule(first));
    later = choice(sequence(comma, member, rest), isRequired ? NONE : rest);
  }
  return sequence(literal('{'), first, literal('}'));
}

/** A member that is not named; NONE if there are none. */
function otherMember(facts: Facts, names: readonly string[], compiler: Compiler): Node {
  const { colon } = PUNCTUATION[compiler.spacing];
  const patterns = facts.members.flatMap((each) => each.patterns);
  const said = facts.members.some(({ rest }) => rest !== null);
  // An object that names its members and says nothing of others has none.
  if (!said && patterns.length === 0 && facts.members.length > 0) return NONE;
  if (patterns.length > 1) {
    throw unsupported('more than one pattern of patternProperties', patterns[1].place);
  }

  const longest = names.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > MOST_NAME_CHARACTERS) {
    throw tooLarge('a property name beside additionalProperties', facts.place, longest, MOST_NAME_CHARACTERS);
  }

  const limits: Node[] = [];
  const schemas = patterns.length > 0 ? [patterns[0].value] : [];
  for (const { rest, patterns: own } of facts.members)
    if (rest !== null && own.length === 0) schemas.push(rest);
  if (patterns.length > 0) {
    const { source, place } = patterns[0];
    limits.push(quoted(compilePattern(source, { letter, match: 'search', place }).node));
  }
  if (facts.names.length > 0) {
    limits.push(quoted(choice(...compiler.expand(facts.names).map((each) => contentOfName(each, compiler)))));
  }
  if (limits.length === 0 || names.length > 0) limits.push(quotedExcept(names));
  const key = limits.length === 1 ? limits[0] : intersect(limits, facts.place);
  return key === NONE ? NONE : sequence(key, colon, compiler.value(schemas));
}

function contentOfName(facts: Facts, compiler: Compiler): Node {
  if (!facts.values) return stringContent(facts);
  const names = facts.values.filter(
    (value) => typeof value === 'string' && admits(facts, value, compiler.expand),
  );
  return choice(...names.map((name) => literal(JSON.stringify(name).slice(1, -1))));
}

/** How many unnamed members may follow, and whether the object must have some member that nothing else requires. */
function checkCount(
  facts: Facts,
  names: readonly string[],
  hasOthers: boolean,
): { others: number; some: boolean } {
  const { min, max } = facts.memberCount;
  const { size: required } = facts.required;
  // Names that are not listed may repeat, so only the first of them is sure to count.
  if (min > Math.max(1, required)) {
    throw unsupported('minProperties', below(facts.place, 'minProperties'), 'require the properties by name');
  }
  const others = hasOthers ? max - names.length : 0;
  if (max < required || (others < 0 && max < names.length)) {
    throw unsupported('maxProperties below the number of properties', below(facts.place, 'maxProperties'));
  }
  if (!hasOthers && max < names.length) {
    throw unsupported('maxProperties below the number of properties', below(facts.place, 'maxProperties'));
  }
  return { others: Math.max(0, others), some: min > required };
}
