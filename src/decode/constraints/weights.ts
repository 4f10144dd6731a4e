/**
 * A lower bound on the tokens that a text takes, from the grammar alone. A token border inside a run of literal bytes,
 * such as `","quantity":`, is needed wherever the run is no part of any token; runs do not overlap, so over a text
 * these numbers add up. As with `settle`, rules are the least fixed point.
 */
import type { Node, Rule } from './nodes.ts';

export interface Weights {
  /** Fewest borders inside the runs of a node. */
  of(node: Node): number;
  /** Borders inside one run. */
  ofRun(run: readonly number[]): number;
}

export function createWeights(root: Node, ofRun: (run: readonly number[]) => number): Weights {
  const ruleWeight = new Map<Rule, number>();
  const weigh = (node: Node): number => {
    switch (node.kind) {
      case 'none':
        return Infinity;
      case 'empty':
      case 'bytes':
        return 0;
      case 'sequence': {
        let total = 0;
        let run: number[] = [];
        for (const part of node.parts) {
          const byte = onlyByteOf(part);
          if (byte >= 0) {
            run.push(byte);
            continue;
          }
          total += ofRun(run) + weigh(part);
          run = [];
        }
        return total + ofRun(run);
      }
      case 'choice':
        return node.options.reduce((least, option) => Math.min(least, weigh(option)), Infinity);
      case 'repeat':
        return node.min === 0 ? 0 : node.min * weigh(node.body);
      case 'rule':
        return ruleWeight.get(node.rule) ?? Infinity;
    }
  };
  const rules = rulesOf(root);
  for (let changed = true; changed; rules.reverse()) {
    changed = false;
    for (const rule of rules) {
      const weight = weigh(rule.body);
      if (weight >= (ruleWeight.get(rule) ?? Infinity)) continue;
      ruleWeight.set(rule, weight);
      changed = true;
    }
  }
  const known = new Map<Node, number>();
  return {
    ofRun,
    of(node) {
      let weight = known.get(node);
      if (weight === undefined) known.set(node, (weight = weigh(node)));
      return weight;
    },
  };
}

/** The byte of a set that holds one, else -1. */
export function onlyByteOf(node: Node): number {
  if (node.kind !== 'bytes') return -1;
  const byte = node.set.indexOf(1);
  return node.set.lastIndexOf(1) === byte ? byte : -1;
}

/** Rules that can be reached, inner ones first. */
function rulesOf(root: Node): Rule[] {
  const seen = new Set<Node | Rule>();
  const rules: Rule[] = [];
  const stack: Node[] = [root];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.kind === 'sequence') for (const part of node.parts) stack.push(part);
    else if (node.kind === 'choice') for (const option of node.options) stack.push(option);
    else if (node.kind === 'repeat') stack.push(node.body);
    else if (node.kind === 'rule' && !seen.has(node.rule)) {
      seen.add(node.rule);
      rules.push(node.rule);
      stack.push(node.rule.body);
    }
  }
  return rules.reverse();
}

/** Borders that a run needs: pieces, each part of some token and as long as can be, less one. */
export function createRunWeight(tokens: Iterable<Uint8Array>): (run: readonly number[]) => number {
  // Every byte as a character; the separator is none of them.
  const all = Array.from(tokens, (bytes) => String.fromCharCode(...bytes)).join('\u0100');
  const known = new Map<string, number>();
  return (run) => {
    if (run.length < 2) return 0;
    const text = String.fromCharCode(...run);
    let borders = known.get(text);
    if (borders !== undefined) return borders;
    borders = 0;
    for (let start = 0, end = 1; end < text.length; end++) {
      if (all.includes(text.slice(start, end + 1))) continue;
      borders++;
      start = end;
    }
    known.set(text, borders);
    return borders;
  };
}
