/** Whether facts allow a value that is known: a small validator, for constants. */
import { createAutomaton } from './automaton.ts';
import type { Expand } from './expand.ts';
import { includes, numberBounds, sameJson, typeOf } from './facts.ts';
import type { Facts } from './facts.ts';
import { DEAD } from './language.ts';
import type { Node } from './nodes.ts';
import { itemSchemas, memberSchemas } from './parts.ts';
import { stringContent } from './strings.ts';

export function admits(facts: Facts, value: unknown, expand: Expand): boolean {
  if ((facts.types & typeOf(value)) === 0) return false;
  if (facts.values && !includes(facts.values, value)) return false;
  const within = (count: { min: number; max: number }, got: number): boolean =>
    got >= count.min && got <= count.max;
  if (typeof value === 'number') return admitsNumber(facts, value);
  if (typeof value === 'string') {
    if (facts.patterns.length === 0 && facts.formats.length === 0)
      return within(facts.length, Array.from(value).length);
    return matches(stringContent(facts), JSON.stringify(value).slice(1, -1));
  }
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) {
    if (!within(facts.itemCount, value.length)) return false;
    const repeated = value.some((item, i) => value.slice(0, i).some((other) => sameJson(item, other)));
    if (facts.unique && repeated) return false;
    return value.every((item, i) => expand(itemSchemas(facts, i)).some((each) => admits(each, item, expand)));
  }
  const entries = Object.entries(value);
  if (!within(facts.memberCount, entries.length)) return false;
  if (![...facts.required].every((name) => Object.hasOwn(value, name))) return false;
  return entries.every(
    ([name, member]) =>
      expand(facts.names).some((each) => admits(each, name, expand)) &&
      expand(memberSchemas(facts, name)).some((each) => admits(each, member, expand)),
  );
}

function admitsNumber(facts: Facts, value: number): boolean {
  const { min, max } = numberBounds(facts);
  if (min && (min.exclusive ? value <= min.value : value < min.value)) return false;
  if (max && (max.exclusive ? value >= max.value : value > max.value)) return false;
  return facts.multiples.every((step) => Math.abs(value / step - Math.round(value / step)) < 1e-9);
}

function matches(node: Node, text: string): boolean {
  const automaton = createAutomaton(node);
  if (automaton === null) return false;
  let state = automaton.start;
  for (const byte of new TextEncoder().encode(text)) {
    state = automaton.next(state, byte);
    if (state === DEAD) return false;
  }
  return automaton.isAccepting(state);
}
