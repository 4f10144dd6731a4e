/**
 * Runs a grammar over bytes as a deterministic automaton whose states are made when they are first reached.
 *
 * A *thread* is what is left to match: a linked list of nodes, the next one first. Recursion needs nothing more: a
 * rule puts its body in front of the list, so the list is the stack. Lists are shared and compared by identity (one
 * node in front of one list is always the same thread), which keeps the threads of a regular language finite in
 * number, as Antimirov's partial derivatives are (TCS 155, 1996). A *state* is the set of threads that the bytes so far
 * can have led to (the subset construction, lazily), so no input makes it try anything twice: there is no backtracking.
 *
 * Threads that match nothing are never made. Hence every state can be completed.
 */
import { assert } from '../../errors.ts';
import { DEAD } from './language.ts';
import type { Language } from './language.ts';
import { lessOnce } from './nodes.ts';
import { MOST_SET_THREADS, tooLarge } from './limits.ts';
import type { ByteSet, Node } from './nodes.ts';
import { createFamilies } from './families.ts';
import type { Family } from './families.ts';
import { allBytes, minBytes } from './settle.ts';
import { createWeights, onlyByteOf } from './weights.ts';

export interface Thread {
  readonly id: number;
  /** What comes next; null at the end of the text. */
  readonly head: Node | null;
  readonly tail: Thread | null;
  readonly minBytes: number;
  /** Threads that have this one as their tail, by head. */
  longer: Map<Node, Thread> | null;
  /** The threads it stands for that begin with a byte or are the end; ascending ids. */
  closed: readonly Thread[] | null;
  /** The state of exactly this thread. */
  state: number;
}

interface State {
  readonly threads: readonly Thread[];
  readonly accepting: boolean;
  readonly minBytes: number;
}

const UNKNOWN = -2;
/** Choices and rules between two bytes. Only a rule that comes back to itself without reading has more. */
const MOST_STEPS_BETWEEN_BYTES = 1_000_000;

/** The language of a grammar, or null if it matches nothing. The rules' `minBytes` must be settled. */
export function createAutomaton(root: Node): Language | null {
  let threadCount = 0;
  const makeThread = (head: Node | null, tail: Thread | null, total: number): Thread => ({
    id: threadCount++,
    head,
    tail,
    minBytes: total,
    longer: null,
    closed: null,
    state: UNKNOWN,
  });
  const END = makeThread(null, null, 0);

  const leastOf = new Map<Node, number>();
  const least = (node: Node): number => {
    let known = leastOf.get(node);
    if (known === undefined) leastOf.set(node, (known = minBytes(node)));
    return known;
  };

  /** A node in front of a thread; null if that matches nothing. */
  const prepend = (node: Node, tail: Thread): Thread | null => {
    if (node.kind === 'empty') return tail;
    if (node.kind === 'sequence') {
      let thread: Thread | null = tail;
      for (let i = node.parts.length - 1; i >= 0 && thread; i--) thread = prepend(node.parts[i], thread);
      return thread;
    }
    const known = tail.longer?.get(node);
    if (known) return known;
    const total = least(node) + tail.minBytes;
    if (total === Infinity) return null;
    const thread = makeThread(node, tail, total);
    (tail.longer ??= new Map()).set(node, thread);
    return thread;
  };

  const close = (thread: Thread): readonly Thread[] => {
    if (thread.closed) return thread.closed;
    const found: Thread[] = [];
    const seen = new Set<Thread>();
    const stack: (Thread | null)[] = [thread];
    while (stack.length > 0) {
      const top = stack.pop()!;
      if (top === null || seen.has(top)) continue;
      seen.add(top);
      assert(seen.size < MOST_STEPS_BETWEEN_BYTES, 'a rule comes back to itself without reading a byte');
      const { head, tail } = top;
      if (head === null || head.kind === 'bytes') found.push(top);
      else if (head.kind === 'choice') for (const option of head.options) stack.push(prepend(option, tail!));
      else if (head.kind === 'rule') stack.push(prepend(head.rule.body, tail!));
      else if (head.kind === 'repeat') {
        if (head.min === 0) stack.push(tail);
        const rest = prepend(lessOnce(head), tail!);
        if (rest) stack.push(prepend(head.body, rest));
      }
    }
    return (thread.closed = found.sort((a, b) => a.id - b.id));
  };

  const states: State[] = [];
  /** By state, then byte; made when first asked for. A single thread, as in a literal, needs none. */
  const rows: (Int32Array | undefined)[] = [];
  const stateOf = new Map<string, number>();
  let setThreads = 0;
  const makeState = (threads: readonly Thread[]): number => {
    if (threads.length === 0) return DEAD;
    const key = threads.map(({ id }) => id).join();
    let state = stateOf.get(key);
    if (state !== undefined) return state;
    state = states.length;
    stateOf.set(key, state);
    // States of one thread are as many as the grammar has places; sets of them may be exponentially many.
    if (threads.length > 1) setThreads += threads.length;
    if (setThreads > MOST_SET_THREADS) {
      throw tooLarge('a pattern with so many ways to match', '#', setThreads, MOST_SET_THREADS);
    }
    states.push({
      threads,
      accepting: threads.includes(END),
      minBytes: threads.reduce((least, thread) => Math.min(least, thread.minBytes), Infinity),
    });
    return state;
  };
  /** The state of what follows a byte. */
  const stateAfter = (thread: Thread): number => {
    const tail = thread.tail!;
    if (tail.state === UNKNOWN) tail.state = makeState(close(tail));
    return tail.state;
  };
  const reads = ({ head }: Thread, byte: number): boolean =>
    (head as { set?: ByteSet } | null)?.set![byte] === 1;

  const union = (threads: readonly Thread[]): number => {
    const all = new Set(threads.flatMap((thread) => close(thread.tail!)));
    return makeState([...all].sort((a, b) => a.id - b.id));
  };
  /** Where each byte leads, for all bytes at once: mostly whole sets of them lead to one place. */
  const fillRow = (threads: readonly Thread[]): Int32Array => {
    const row = new Int32Array(256).fill(DEAD);
    const readers = new Map<string, number>();
    for (let byte = 0; byte < 256; byte++) {
      const matching = threads.filter((thread) => reads(thread, byte));
      if (matching.length === 0) continue;
      if (matching.length === 1) row[byte] = stateAfter(matching[0]);
      else {
        const key = matching.map(({ id }) => id).join();
        if (!readers.has(key)) readers.set(key, union(matching));
        row[byte] = readers.get(key)!;
      }
    }
    return row;
  };

  const first = prepend(root, END);
  if (first === null) return null;
  const start = makeState(close(first));

  const next = (state: number, byte: number): number => {
    const row = rows[state];
    if (row) return row[byte];
    const { threads } = states[state];
    if (threads.length > 1) return (rows[state] = fillRow(threads))[byte];
    return reads(threads[0], byte) ? stateAfter(threads[0]) : DEAD;
  };
  const loopsOf: (Uint32Array | undefined)[] = [];
  const familyOf: (Family | undefined)[] = [];
  const families = createFamilies();

  return {
    start,
    alphabet: allBytes(root),
    get stateCount() {
      return states.length;
    },
    get isWorn() {
      return setThreads > MOST_SET_THREADS / 2;
    },
    renewed: () => createAutomaton(root)!,
    next,
    loops(state) {
      const known = loopsOf[state];
      if (known) return known;
      const loops = new Uint32Array(8);
      for (let byte = 0; byte < 256; byte++) {
        if (next(state, byte) === state) loops[byte >> 5] |= 1 << (byte & 31);
      }
      return (loopsOf[state] = loops);
    },
    family: (state) => (familyOf[state] ??= families(states[state].threads)),
    borders(ofRun) {
      const weights = createWeights(root, ofRun);
      const known = new Map<Thread, number>();
      const ofThread = (thread: Thread): number => {
        let total = known.get(thread);
        if (total !== undefined) return total;
        const run: number[] = [];
        let at = thread;
        for (let byte = -1; at.head && (byte = onlyByteOf(at.head)) >= 0; at = at.tail!) run.push(byte);
        total = ofRun(run) + (at.head ? weights.of(at.head) + ofThread(at.tail!) : 0);
        known.set(thread, total);
        return total;
      };
      return (state) =>
        states[state].threads.reduce((least, each) => Math.min(least, ofThread(each)), Infinity);
    },
    isAccepting: (state) => states[state].accepting,
    minBytes: (state) => states[state].minBytes,
    shortestByte(state) {
      const { threads, minBytes: least } = states[state];
      return bytesOf(threads.find((thread) => thread.minBytes === least)!).indexOf(1);
    },
    onlyByte(state) {
      const { threads, accepting } = states[state];
      if (accepting) return -1;
      const byte = bytesOf(threads[0]).indexOf(1);
      const only = threads.every((thread) => {
        const set = bytesOf(thread);
        return set.indexOf(1) === byte && set.lastIndexOf(1) === byte;
      });
      return only ? byte : -1;
    },
  };
}

function bytesOf({ head }: Thread): ByteSet {
  assert(head?.kind === 'bytes', 'an open thread begins with a byte');
  return head.set;
}
