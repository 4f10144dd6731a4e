/**
 * A language over tokens: which tokens may follow a state, and where they lead. A state's tokens are found by one walk
 * of the vocabulary trie together with the automaton over bytes, when they are first asked for, and kept.
 *
 * They are kept by target. Most tokens of a state lead to few targets (inside a JSON string thousands lead back to
 * itself), and the set of tokens between two states recurs again and again, so equal sets are one *group*: ranges of
 * tokens in byte order. Where a state comes back to itself on every byte below a node of the trie, all tokens there
 * are one range, which is what makes the walk short inside strings.
 */
import { TintypeError } from '../../errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { createDistance, MOST_EXPANSIONS } from './distance.ts';
import type { Distance } from './distance.ts';
import { DEAD } from './language.ts';
import type { Language } from './language.ts';
import { vocabularyOf } from './vocabulary.ts';
import type { Vocabulary } from './vocabulary.ts';
import { createRunWeight } from './weights.ts';

/** The state after a token that ends the text: only such tokens may follow, and mean nothing. */
export const ENDED = -2;

const AFTER_END = { key: -1, count: 0 };

/** Tokens that may follow a state, by where they lead. */
export interface Edges {
  /** Each state once; `ENDED` among them where the text may end. */
  readonly targets: Int32Array;
  /** Index for `maskOf`, beside each target. */
  readonly groups: Int32Array;
  /** The targets, without those of which another matches all that they match. */
  readonly widest: Int32Array;
}

export interface TokenAutomaton {
  readonly start: number;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer;
  readonly language: Language;
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  edges(state: number): Edges;
  /** The states without those of which another matches all that they match. */
  widest(states: Iterable<number>): Int32Array;
  /** Tokens of groups, one bit each: token t is bit `t & 31` of word `t >> 5`. [ceil(V / 32)] */
  maskOf(groups: Iterable<number>): Uint32Array;
  /** Every token that may follow, as such bits. */
  allowed(state: number): Uint32Array;
  /** The state after a token, `ENDED`, or `DEAD` if it may not follow. */
  next(state: number, token: number): number;
  /** Whether a token that ends the text may follow. */
  isAccepting(state: number): boolean;
  /** What decides whether a budget suffices. Each answer has its own, so that none depends on what others looked for. */
  distance(): Distance;
  /** The same without the states made so far (`Language.renewed`). */
  renewed(): TokenAutomaton;
}

/** @throws unsupported if the tokenizer cannot write every byte that the language may need */
export function createTokenAutomaton(
  language: Language,
  tokenizer: Tokenizer,
  { ends, mostExpansions = MOST_EXPANSIONS }: { ends: readonly number[]; mostExpansions?: number },
): TokenAutomaton {
  const vocabulary = vocabularyOf(tokenizer);
  checkAlphabet(language, vocabulary.singleBytes);
  const { size } = vocabulary;
  const isEnd = new Set(ends);
  const groups = createGroups();
  /** Stands for the tokens that end the text. */
  const endGroup = groups.indexOf([]);
  const afterEnd: Edges = {
    targets: Int32Array.of(ENDED),
    groups: Int32Array.of(endGroup),
    widest: Int32Array.of(ENDED),
  };
  const edgesOf: (Edges | undefined)[] = [];
  const walk = createWalk(language, vocabulary);

  const widest = (states: Iterable<number>): Int32Array => {
    const best = new Map<number, number>();
    for (const state of states) {
      const { key, count } = state === ENDED ? AFTER_END : language.family(state);
      const other = best.get(key);
      if (other === undefined || (other !== ENDED && count > language.family(other).count))
        best.set(key, state);
    }
    return Int32Array.from(best.values());
  };
  const edges = (state: number): Edges => {
    if (state === ENDED) return afterEnd;
    const known = edgesOf[state];
    if (known) return known;
    const ranges = walk(state);
    const targets = [...ranges.keys()];
    const indices = Array.from(ranges.values(), (each) => groups.indexOf(each));
    if (language.isAccepting(state)) {
      targets.push(ENDED);
      indices.push(endGroup);
    }
    return (edgesOf[state] = {
      targets: Int32Array.from(targets),
      groups: Int32Array.from(indices),
      widest: widest(targets),
    });
  };
  const maskOf = (indices: Iterable<number>): Uint32Array => {
    const mask = new Uint32Array(Math.ceil(size / 32));
    let mayEnd = false;
    for (const index of indices) {
      if (index === endGroup) mayEnd = true;
      const ranges = groups.at(index);
      for (let i = 0; i < ranges.length; i += 2) {
        for (let at = ranges[i]; at < ranges[i + 1]; at++) {
          const token = vocabulary.order[at];
          mask[token >> 5] |= 1 << (token & 31);
        }
      }
    }
    // A token that ends the text is never text, whatever its bytes.
    for (const token of isEnd) {
      if (mayEnd) mask[token >> 5] |= 1 << (token & 31);
      else mask[token >> 5] &= ~(1 << (token & 31));
    }
    return mask;
  };
  // Made when first needed: most answers have room to spare.
  let borders: ((state: number) => number) | undefined;
  const bordersFrom = (state: number): number => {
    borders ??= language.borders(
      createRunWeight(Array.from(vocabulary.order, (token) => vocabulary.bytes(token))),
    );
    return borders(state);
  };

  return {
    start: language.start,
    vocabSize: size,
    tokenizer,
    language,
    ends: [...isEnd],
    edges,
    widest,
    maskOf,
    allowed: (state) => maskOf(edges(state).groups),
    next(state, token) {
      if (isEnd.has(token)) return state === ENDED || language.isAccepting(state) ? ENDED : DEAD;
      if (state === ENDED || token < 0 || token >= size) return DEAD;
      const bytes = vocabulary.bytes(token);
      if (bytes.length === 0) return DEAD;
      let at = state;
      for (let i = 0; i < bytes.length && at !== DEAD; i++) at = language.next(at, bytes[i]);
      return at;
    },
    isAccepting: (state) => state === ENDED || language.isAccepting(state),
    renewed: () => createTokenAutomaton(language.renewed(), tokenizer, { ends, mostExpansions }),
    distance() {
      const targetsOf = (state: number): Int32Array => edges(state).targets;
      const own = createDistance(language, vocabulary, targetsOf, bordersFrom, mostExpansions);
      return {
        shortest: (state) => (state === ENDED ? 0 : own.shortest(state)),
        fits: (state, tokens) => state === ENDED || own.fits(state, tokens),
      };
    },
  };
}

/** Finds where tokens lead: by target, ranges `[from, to)` of the vocabulary's order, one after the other. */
function createWalk(language: Language, vocabulary: Vocabulary): (state: number) => Map<number, number[]> {
  const { byte, depth, skip, first, below } = vocabulary;
  /** States on the way to the node at hand, by depth. */
  const path = new Int32Array(vocabulary.longest + 1);
  return (state) => {
    const found = new Map<number, number[]>();
    path[0] = state;
    for (let node = 0; node < byte.length;) {
      const from = path[depth[node] - 1];
      const at = language.next(from, byte[node]);
      if (at === DEAD) {
        node = skip[node];
        continue;
      }
      path[depth[node]] = at;
      const stays = at === from && skip[node] > node + 1 && isWithin(below, node, language.loops(at));
      const next = stays ? skip[node] : node + 1;
      if (first[node] < first[next]) {
        const ranges = found.get(at);
        if (!ranges) found.set(at, [first[node], first[next]]);
        else if (ranges.at(-1) === first[node]) ranges[ranges.length - 1] = first[next];
        else ranges.push(first[node], first[next]);
      }
      node = next;
    }
    return found;
  };
}

/** Whether the bytes below a node are all in a set. */
function isWithin(below: Uint32Array, node: number, set: Uint32Array): boolean {
  for (let word = 0; word < 8; word++) if ((below[node * 8 + word] & ~set[word]) !== 0) return false;
  return true;
}

/** Lists of numbers, each kept once. */
function createGroups(): { indexOf(list: number[]): number; at(index: number): readonly number[] } {
  const all: (readonly number[])[] = [];
  const byHash = new Map<number, number[]>();
  return {
    at: (index) => all[index],
    indexOf(list) {
      let hash = 2166136261; // FNV-1a
      for (const value of list) hash = Math.imul(hash ^ value, 16777619);
      let candidates = byHash.get(hash);
      if (!candidates) byHash.set(hash, (candidates = []));
      const same = candidates.find(
        (index) => all[index].length === list.length && all[index].every((value, i) => value === list[i]),
      );
      if (same !== undefined) return same;
      candidates.push(all.length);
      return all.push(list) - 1;
    },
  };
}

/** Every byte as a token means that every text can be written; then no state is a trap. */
function checkAlphabet(language: Language, singleBytes: Uint8Array): void {
  const missing = language.alphabet.findIndex((needed, byte) => needed === 1 && singleBytes[byte] === 0);
  if (missing < 0) return;
  throw new TintypeError('unsupported', {
    what: 'this tokenizer cannot write every text that the constraint allows',
    got: `no token for the byte 0x${missing.toString(16).padStart(2, '0')} alone`,
    wanted: 'a byte-level tokenizer, or a pattern of characters that are tokens',
    next: 'narrow the pattern to characters that the tokenizer knows',
  });
}
