/**
 * What must be known of a grammar before it runs: the fewest bytes that each rule matches (Infinity: nothing at all),
 * as the least fixed point over the rules, and the bytes that occur.
 */
import type { ByteSet, Node, Rule } from './nodes.ts';

/** Fewest bytes that a node matches; of rules that are not settled, what is known so far. */
export function minBytes(node: Node): number {
  switch (node.kind) {
    case 'none':
      return Infinity;
    case 'empty':
      return 0;
    case 'bytes':
      return 1;
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + minBytes(part), 0);
    case 'choice':
      return node.options.reduce((least, option) => Math.min(least, minBytes(option)), Infinity);
    case 'repeat':
      return node.min === 0 ? 0 : node.min * minBytes(node.body);
    case 'rule':
      return node.rule.minBytes ?? Infinity;
  }
}

/** Settles rules; those already settled stay as they are. */
export function settle(rules: readonly Rule[]): void {
  const open = rules.filter((rule) => rule.minBytes === null);
  for (let changed = true; changed; open.reverse()) {
    changed = false;
    // Chains of rules are made from either end; going to and fro ends in few rounds.
    for (const rule of open) {
      const least = minBytes(rule.body);
      if (least >= (rule.minBytes ?? Infinity)) continue;
      rule.minBytes = least;
      changed = true;
    }
  }
  for (const rule of open) rule.minBytes ??= Infinity;
}

/** Bytes of every set that can be reached from a node. */
export function allBytes(root: Node): Uint8Array {
  const found = new Uint8Array(256);
  for (const set of setsOf([root])) set.forEach((one, byte) => (found[byte] |= one));
  return found;
}

/** The bytes that occur in grammars, those that no set tells apart together. */
export function byteClasses(roots: readonly Node[]): number[][] {
  let classes = new Uint16Array(256);
  let occurs = new Uint8Array(256);
  for (const set of setsOf(roots)) {
    const numbers = new Map<number, number>();
    classes = classes.map((number, byte) => {
      const key = number * 2 + set[byte];
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return numbers.get(key)!;
    });
    occurs = occurs.map((one, byte) => one | set[byte]);
  }
  const lists = new Map<number, number[]>();
  classes.forEach((number, byte) => {
    if (occurs[byte] === 1) lists.set(number, [...(lists.get(number) ?? []), byte]);
  });
  return [...lists.values()];
}

/** Every set of bytes that can be reached from nodes and matters. */
function setsOf(roots: readonly Node[]): Set<ByteSet> {
  const sets = new Set<ByteSet>();
  const seen = new Set<unknown>();
  const stack: Node[] = [...roots];
  while (stack.length > 0) {
    const node = stack.pop()!;
    // What matches nothing is never run, so its bytes do not occur.
    if (seen.has(node) || minBytes(node) === Infinity) continue;
    seen.add(node);
    if (node.kind === 'bytes') sets.add(node.set);
    else if (node.kind === 'sequence') stack.push(...node.parts);
    else if (node.kind === 'choice') stack.push(...node.options);
    else if (node.kind === 'repeat') stack.push(node.body);
    else if (node.kind === 'rule' && !seen.has(node.rule)) {
      seen.add(node.rule);
      stack.push(node.rule.body);
    }
  }
  return sets;
}
