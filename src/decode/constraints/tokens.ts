/**
 * A language over tokens: which tokens may follow a state, and where they lead. A state's tokens are found by one walk
 * of the vocabulary trie together with the automaton over bytes, when they are first asked for, and kept.
 *
 * They are kept by target. Most tokens of a state lead to few targets (inside a JSON string thousands lead back to
 * itself), and the set of tokens between two states recurs again and again, so equal sets are one *group*.
 */
import { TintypeError } from '../../errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { DEAD } from './language.ts';
import type { Language } from './language.ts';
import { createDistance } from './distance.ts';
import { vocabularyOf } from './vocabulary.ts';

/** The state after a token that ends the text: only such tokens may follow, and mean nothing. */
export const ENDED = -2;

/** Tokens that may follow a state, by where they lead. */
export interface Edges {
  /** Each state once; `ENDED` among them where the text may end. */
  readonly targets: Int32Array;
  /** Index for `group`, beside each target. */
  readonly groups: Int32Array;
}

export interface TokenAutomaton {
  readonly start: number;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer;
  readonly language: Language;
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  edges(state: number): Edges;
  /** Tokens of a group, ascending. */
  group(index: number): Int32Array;
  /** Every token that may follow, ascending. */
  allowed(state: number): Int32Array;
  /** The state after a token, `ENDED`, or `DEAD` if it may not follow. */
  next(state: number, token: number): number;
  /** Whether a token that ends the text may follow. */
  isAccepting(state: number): boolean;
  /**
   * Fewest tokens, without the one that ends the text, to where it may end. Exact while the search stays small, else
   * a number that suffices; every state that needs n > 0 has a token into one that needs n - 1.
   */
  shortest(state: number): number;
  /** Whether some ending takes at most so many tokens: `shortest(state) <= tokens`, but mostly cheaper. */
  fits(state: number, tokens: number): boolean;
}

/** @throws unsupported if the tokenizer cannot write every byte that the language may need */
export function createTokenAutomaton(
  language: Language,
  tokenizer: Tokenizer,
  { ends }: { ends: readonly number[] },
): TokenAutomaton {
  const vocabulary = vocabularyOf(tokenizer);
  checkAlphabet(language, vocabulary.singleBytes);
  const { firstChild, childByte, childNode, firstToken, tokens, size } = vocabulary;
  const isEnd = new Set(ends);
  const groups = createGroups();
  const endGroup = groups.indexOf([...isEnd].sort((a, b) => a - b));
  const afterEnd: Edges = { targets: Int32Array.of(ENDED), groups: Int32Array.of(endGroup) };
  const edgesOf: (Edges | undefined)[] = [];

  const walk = (state: number): Edges => {
    const found = new Map<number, number[]>();
    const visit = (node: number, at: number): void => {
      for (let i = firstToken[node]; i < firstToken[node + 1]; i++) {
        if (isEnd.has(tokens[i])) continue;
        const list = found.get(at);
        if (list) list.push(tokens[i]);
        else found.set(at, [tokens[i]]);
      }
      for (let i = firstChild[node]; i < firstChild[node + 1]; i++) {
        const next = language.next(at, childByte[i]);
        if (next !== DEAD) visit(childNode[i], next);
      }
    };
    visit(0, state);
    const targets = [...found.keys()];
    const indices = targets.map((target) => groups.indexOf(found.get(target)!.sort((a, b) => a - b)));
    if (language.isAccepting(state)) {
      targets.push(ENDED);
      indices.push(endGroup);
    }
    return { targets: Int32Array.from(targets), groups: Int32Array.from(indices) };
  };
  const edges = (state: number): Edges => {
    if (state === ENDED) return afterEnd;
    return (edgesOf[state] ??= walk(state));
  };
  const distance = createDistance(language, vocabulary, (state) => edges(state).targets);

  return {
    start: language.start,
    vocabSize: size,
    tokenizer,
    language,
    ends: [...isEnd],
    edges,
    group: (index) => groups.at(index),
    allowed: (state) =>
      Int32Array.from([...edges(state).groups].flatMap((index) => [...groups.at(index)])).sort(),
    next(state, token) {
      if (isEnd.has(token)) return state === ENDED || language.isAccepting(state) ? ENDED : DEAD;
      const bytes = state === ENDED || token < 0 || token >= size ? [] : vocabulary.bytes(token);
      if (bytes.length === 0) return DEAD;
      let at = state;
      for (let i = 0; i < bytes.length && at !== DEAD; i++) at = language.next(at, bytes[i]);
      return at;
    },
    isAccepting: (state) => state === ENDED || language.isAccepting(state),
    shortest: (state) => (state === ENDED ? 0 : distance.shortest(state)),
    fits: (state, budget) => state === ENDED || distance.fits(state, budget),
  };
}

/** Sets of tokens, each kept once. */
function createGroups(): { indexOf(tokens: number[]): number; at(index: number): Int32Array } {
  const all: Int32Array[] = [];
  const byHash = new Map<number, number[]>();
  return {
    at: (index) => all[index],
    indexOf(tokens) {
      let hash = 2166136261; // FNV-1a
      for (const token of tokens) hash = Math.imul(hash ^ token, 16777619);
      let candidates = byHash.get(hash);
      if (!candidates) byHash.set(hash, (candidates = []));
      const same = candidates.find(
        (index) => all[index].length === tokens.length && all[index].every((token, i) => token === tokens[i]),
      );
      if (same !== undefined) return same;
      candidates.push(all.length);
      return all.push(Int32Array.from(tokens)) - 1;
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
