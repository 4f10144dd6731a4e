/**
 * Which states differ only in how often something optional may still come. A thread `x, y{0,7}, z` belongs to the family
 * `x, y{0,·}, z`; a state whose threads have one counter between them belongs to the family of its threads' families.
 */
import type { Thread } from './automaton.ts';
import type { Node } from './nodes.ts';

export interface Family {
  readonly key: number;
  readonly count: number;
}

/** Nodes of a thread in which a counter is looked for. */
const MOST_NODES = 32;

export function createFamilies(): (threads: readonly Thread[]) => Family {
  const nodeIds = new Map<Node, number>();
  const keys = new Map<string, number>();
  const idOf = <T>(ids: Map<T, number>, item: T): number => {
    if (!ids.has(item)) ids.set(item, ids.size);
    return ids.get(item)!;
  };
  return (threads) => {
    let count = -1;
    const parts: string[] = [];
    for (const thread of threads) {
      const counter = findCounter(thread);
      if (counter === null) {
        parts.push(`=${thread.id}`);
        continue;
      }
      // Two counters that run apart: the state is a family of its own.
      if (count >= 0 && count !== counter.count) {
        return { key: idOf(keys, threads.map(({ id }) => `=${id}`).join()), count: 0 };
      }
      count = counter.count;
      const path = [...counter.path, counter.body].map((node) => idOf(nodeIds, node));
      parts.push(`${path.join('.')}+${counter.tail.id}`);
    }
    return { key: idOf(keys, parts.sort().join()), count };
  };
}

/** The first node that may come up to so many times or not at all. */
function findCounter(thread: Thread): { path: Node[]; body: Node; count: number; tail: Thread } | null {
  const path: Node[] = [];
  for (let at: Thread | null = thread; at?.head && path.length < MOST_NODES; at = at.tail) {
    const { head, tail } = at;
    if (head.kind === 'repeat' && head.min === 0 && head.max < Infinity) {
      return { path, body: head.body, count: head.max, tail: tail! };
    }
    path.push(head);
  }
  return null;
}
