/**
 * The texts that several grammars all match, as one grammar. Their automata are run side by side over every class of
 * bytes that none of them tells apart; what cannot be completed is cut off, states that behave alike become one
 * (Moore's refinement), and what is left is written as rules: a byte, then the rule of the next state.
 */
import { createAutomaton } from './automaton.ts';
import { DEAD } from './language.ts';
import { MOST_BUILT_STATES, tooLarge } from './limits.ts';
import type { Place } from './limits.ts';
import { byteSet, choice, EMPTY, NONE, rule, sequence } from './nodes.ts';
import type { Node, Rule } from './nodes.ts';
import { byteClasses } from './settle.ts';

/** An automaton as a table. State 0 is the start. */
interface Table {
  accepting: boolean[];
  /** By state, then class of bytes; DEAD where nothing follows. */
  next: Int32Array[];
}

/** Of one grammar: the same language with as few states as possible. @throws unsupported if they are too many */
export function intersect(nodes: readonly Node[], place: Place): Node {
  const classes = byteClasses(nodes);
  const table = product(nodes, classes, place);
  return table === null ? NONE : asRules(table, classes);
}

function product(nodes: readonly Node[], classes: readonly number[][], place: Place): Table | null {
  const automata = nodes.map((node) => createAutomaton(node));
  if (!automata.every((automaton) => automaton !== null)) return null;
  const tuples: number[][] = [];
  const stateOf = new Map<string, number>();
  const table: Table = { accepting: [], next: [] };
  const add = (tuple: number[]): number => {
    const key = tuple.join();
    let state = stateOf.get(key);
    if (state !== undefined) return state;
    state = tuples.push(tuple) - 1;
    if (state >= MOST_BUILT_STATES) {
      throw tooLarge('a pattern together with its other bounds', place, 'too many states', MOST_BUILT_STATES);
    }
    stateOf.set(key, state);
    table.accepting.push(tuple.every((each, i) => automata[i].isAccepting(each)));
    return state;
  };
  add(automata.map(({ start }) => start));
  for (let state = 0; state < tuples.length; state++) {
    const row = classes.map(([byte]) => {
      const tuple = tuples[state].map((each, i) => automata[i].next(each, byte));
      return tuple.includes(DEAD) ? DEAD : add(tuple);
    });
    table.next.push(Int32Array.from(row));
  }
  return table;
}

/** Fewest steps from each state to an accepting one; Infinity where there is none. */
function stepsToEnd({ accepting, next }: Table): Float64Array {
  const steps = Float64Array.from(accepting, (accepts) => (accepts ? 0 : Infinity));
  const sources: number[][] = accepting.map(() => []);
  next.forEach((row, state) => row.forEach((target) => target !== DEAD && sources[target].push(state)));
  const queue = accepting.flatMap((accepts, state) => (accepts ? [state] : []));
  for (const state of queue) {
    for (const source of sources[state]) {
      if (steps[source] < Infinity) continue;
      steps[source] = steps[state] + 1;
      queue.push(source);
    }
  }
  return steps;
}

function asRules(table: Table, classes: readonly number[][]): Node {
  const steps = stepsToEnd(table);
  if (steps[0] === Infinity) return NONE;
  const kindOf = refine(table, steps);

  const made = new Map<number, { node: Node; rule: Rule; state: number }>();
  table.accepting.forEach((_, state) => {
    if (steps[state] < Infinity && !made.has(kindOf[state])) made.set(kindOf[state], { ...rule(), state });
  });
  for (const { rule, state } of made.values()) {
    const bytesTo = new Map<number, Uint8Array>();
    table.next[state].forEach((target, index) => {
      if (target === DEAD || steps[target] === Infinity) return;
      const kind = kindOf[target];
      if (!bytesTo.has(kind)) bytesTo.set(kind, new Uint8Array(256));
      for (const byte of classes[index]) bytesTo.get(kind)![byte] = 1;
    });
    const options = [...bytesTo].map(([kind, set]) => sequence(byteSet(set), made.get(kind)!.node));
    rule.body = choice(...options, ...(table.accepting[state] ? [EMPTY] : []));
    rule.minBytes = steps[state];
  }
  return made.get(kindOf[0])!.node;
}

/**
 * Numbers states so that those which behave alike have the same number. Where the longest ending is finite, states are
 * taken by its length, so that those they lead to are numbered already (Revuz 1992); bounded lengths make most states
 * such ones. The others are told apart round by round until nothing changes.
 */
function refine(table: Table, steps: Float64Array): readonly number[] {
  const { accepting, next } = table;
  const kinds: number[] = next.map(() => DEAD);
  const numbers = new Map<string, number>();
  const numberOf = (key: string): number => {
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    return numbers.get(key)!;
  };
  const keyOf = (state: number): string =>
    `${kinds[state]}:${next[state].map((target) => (target === DEAD ? DEAD : kinds[target])).join()}`;

  const { finite, others } = byHeight(table, steps);
  for (const state of finite) {
    kinds[state] = accepting[state] ? 1 : 0;
    kinds[state] = numberOf(`finite ${keyOf(state)}`);
  }
  // Alike states are equally far from the end, which tells many apart at once.
  for (const state of others) kinds[state] = numberOf(`steps ${steps[state]}`);
  for (let count = 0; ;) {
    const keys = others.map(keyOf);
    const distinct = new Set(keys).size;
    if (distinct === count) return kinds;
    count = distinct;
    others.forEach((state, i) => (kinds[state] = numberOf(keys[i])));
  }
}

/** States by the length of their longest ending, and those where it has no bound. What has no ending is left out. */
function byHeight({ next }: Table, steps: Float64Array): { finite: number[]; others: number[] } {
  const isLive = (state: number): boolean => state !== DEAD && steps[state] < Infinity;
  const open = next.map((row) => new Set(row.filter(isLive)).size);
  const sources: number[][] = next.map(() => []);
  next.forEach((row, state) => {
    if (isLive(state)) for (const target of new Set(row.filter(isLive))) sources[target].push(state);
  });
  const live = next.flatMap((_, state) => (isLive(state) ? [state] : []));
  const finite = live.filter((state) => open[state] === 0);
  for (const state of finite) {
    for (const source of sources[state]) if (--open[source] === 0) finite.push(source);
  }
  const done = new Set(finite);
  return { finite, others: live.filter((state) => !done.has(state)) };
}
