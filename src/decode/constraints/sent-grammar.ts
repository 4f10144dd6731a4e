/**
 * A grammar on its way between threads. Nodes are shared and rules lead back to themselves, thousands deep, which a
 * structured clone cannot follow; so they go as one list of numbers, each node after its parts. What was one node
 * arrives as one node.
 */
import { assert } from '../../errors.ts';
import { byteSet, EMPTY, NONE } from './nodes.ts';
import type { ByteSet, Node, Rule } from './nodes.ts';

export interface SentGrammar {
  /** By node: its kind, then what `KINDS` says; nodes, sets and rules by number. The root is the last of the roots. */
  words: Int32Array;
  /** 256 bytes each. */
  sets: Uint8Array;
  /** By rule: the number of its body. */
  bodies: Int32Array;
  /** By rule: fewest bytes; Infinity where it matches nothing. */
  minBytes: Float64Array;
  root: number;
}

/** sequence and choice: how many, then which; bytes: set; repeat: body, min, max (-1 is Infinity); rule: rule. */
const KINDS = ['none', 'empty', 'bytes', 'sequence', 'choice', 'repeat', 'rule'] as const;

const partsOf = (node: Node): readonly Node[] => {
  switch (node.kind) {
    case 'sequence':
      return node.parts;
    case 'choice':
      return node.options;
    case 'repeat':
      return [node.body];
    default:
      return [];
  }
};

/** All rules must be settled. */
export function sendGrammar(root: Node): SentGrammar {
  const words: number[] = [];
  const numbers = new Map<Node, number>();
  const rules = new Map<Rule, number>();
  const sets = new Map<ByteSet, number>();
  const numberOf = <T>(known: Map<T, number>, item: T): number => {
    let number = known.get(item);
    if (number === undefined) known.set(item, (number = known.size));
    return number;
  };

  const write = (node: Node): void => {
    words.push(KINDS.indexOf(node.kind));
    if (node.kind === 'bytes') words.push(numberOf(sets, node.set));
    else if (node.kind === 'rule') words.push(numberOf(rules, node.rule));
    else if (node.kind === 'repeat')
      words.push(numbers.get(node.body)!, node.min, node.max === Infinity ? -1 : node.max);
    else if (node.kind === 'sequence' || node.kind === 'choice') {
      const parts = partsOf(node);
      words.push(parts.length, ...parts.map((part) => numbers.get(part)!));
    }
    numbers.set(node, numbers.size);
  };
  const add = (top: Node): number => {
    const stack = [top];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      const open = numbers.has(node) ? [] : partsOf(node).filter((part) => !numbers.has(part));
      if (open.length > 0) stack.push(...open);
      else {
        stack.pop();
        if (!numbers.has(node)) write(node);
      }
    }
    return numbers.get(top)!;
  };

  const rootNumber = add(root);
  const bodies: number[] = [];
  const minBytes: number[] = [];
  // Rules come to light while bodies are added.
  for (const rule of rules.keys()) {
    assert(rule.minBytes !== null, 'the rules of a grammar are settled');
    bodies.push(add(rule.body));
    minBytes.push(rule.minBytes);
  }
  const allSets = new Uint8Array(sets.size * 256);
  for (const [set, number] of sets) allSets.set(set, number * 256);
  return {
    words: Int32Array.from(words),
    sets: allSets,
    bodies: Int32Array.from(bodies),
    minBytes: Float64Array.from(minBytes),
    root: rootNumber,
  };
}

export function receiveGrammar({ words, sets, bodies, minBytes, root }: SentGrammar): Node {
  const rules = Array.from(minBytes, (least): Rule => ({ body: NONE, minBytes: least }));
  const setNodes = Array.from({ length: sets.length / 256 }, (_, i) =>
    byteSet(sets.slice(i * 256, (i + 1) * 256)),
  );
  const nodes: Node[] = [];
  let at = 0;
  const parts = (): Node[] => Array.from({ length: words[at++] }, () => nodes[words[at++]]);
  const read = (): Node => {
    const kind = KINDS[words[at++]];
    switch (kind) {
      case 'none':
        return NONE;
      case 'empty':
        return EMPTY;
      case 'bytes':
        return setNodes[words[at++]];
      case 'rule':
        return { kind, rule: rules[words[at++]] };
      case 'sequence':
        return { kind, parts: parts() };
      case 'choice':
        return { kind, options: parts() };
      case 'repeat': {
        const [body, min, max] = words.subarray(at, (at += 3));
        return { kind, body: nodes[body], min, max: max < 0 ? Infinity : max };
      }
    }
  };
  while (at < words.length) nodes.push(read());
  rules.forEach((rule, i) => (rule.body = nodes[bodies[i]]));
  return nodes[root];
}
