/**
 * How many tokens it takes to end a text from a state: what decides whether a budget suffices.
 *
 * A *shortest ending* in bytes is known without a search, and the best way to cut it into tokens is a small dynamic
 * program: that number always suffices, and following that ending it falls by one with each token. A longer text may
 * take fewer tokens, so where the difference matters a breadth-first search over token steps looks for one, within the
 * bound at hand and led by a lower bound from the grammar. All searches of an answer together open `MOST_EXPANSIONS`
 * states, since a recursive language has no end of them and the last tokens of a budget ask about hundreds each; what is
 * known then still suffices and still falls by one with each token along a known way, so decoding is never trapped.
 */
import type { Language } from './language.ts';
import type { Vocabulary } from './vocabulary.ts';

/** States that all searches of one answer open. */
export const MOST_EXPANSIONS = 4_000;

export interface Distance {
  /**
   * Fewest tokens, without the one that ends the text, to where it may end. Exact while the searches stay small, else
   * a number that suffices; every state that needs n > 0 has a token into one that needs n - 1.
   */
  shortest(state: number): number;
  /** Whether some ending takes at most so many tokens: `shortest(state) <= tokens`, but mostly cheaper. */
  fits(state: number, tokens: number): boolean;
}

/**
 * @param targetsOf states that one token leads to; negative ones end the text
 * @param borders of `Language`, for this vocabulary
 */
export function createDistance(
  language: Language,
  vocabulary: Vocabulary,
  targetsOf: (state: number) => Int32Array,
  borders: (state: number) => number,
  mostExpansions: number,
): Distance {
  const { longest } = vocabulary;
  /** Numbers of tokens that suffice. */
  const enough = new Map<number, number>();
  /** Numbers of tokens that are needed. */
  const needed = new Map<number, number>();
  let expansions = 0;

  const lower = (state: number): number => {
    const known = needed.get(state);
    if (known !== undefined) return known;
    const bytes = language.minBytes(state);
    const least = bytes === 0 ? 0 : Math.max(Math.ceil(bytes / longest), 1 + borders(state));
    needed.set(state, least);
    return least;
  };

  const upper = (state: number): number => {
    const known = enough.get(state);
    if (known !== undefined) return known;
    // States of the shortest ending, up to the first known one and as far beyond as a token reaches.
    const states = [state];
    const bytes: number[] = [];
    let open = Infinity;
    while (language.minBytes(states.at(-1)!) > 0 && states.length < open + longest) {
      const at = states.at(-1)!;
      bytes.push(language.shortestByte(at));
      states.push(language.next(at, bytes.at(-1)!));
      if (open === Infinity && enough.has(states.at(-1)!)) open = states.length - 1;
    }
    for (let i = Math.min(open, states.length) - 1; i >= 0; i--) {
      let least = i === states.length - 1 ? 0 : Infinity;
      for (const end of tokenEnds(vocabulary, bytes, i))
        least = Math.min(least, 1 + enough.get(states[end])!);
      enough.set(states[i], least);
    }
    return enough.get(state)!;
  };

  /** Looks for an ending of at most `bound` tokens, and notes what it finds all along the way. */
  const search = (start: number, bound: number): boolean => {
    const cameFrom = new Map<number, number>([[start, start]]);
    for (let layer = [start], depth = 1; layer.length > 0 && depth <= bound; depth++) {
      const nextLayer: number[] = [];
      for (const state of layer) {
        if (expansions >= mostExpansions || language.isWorn) return false;
        expansions++;
        for (const target of targetsOf(state)) {
          if (target < 0 || cameFrom.has(target) || depth + lower(target) > bound) continue;
          cameFrom.set(target, state);
          nextLayer.push(target);
          if (depth + upper(target) > bound) continue;
          for (let at = target, tokens = upper(target); ; at = cameFrom.get(at)!, tokens++) {
            enough.set(at, Math.min(tokens, upper(at)));
            if (at === start) return true;
          }
        }
      }
      layer = nextLayer;
    }
    needed.set(start, bound + 1);
    return false;
  };

  return {
    shortest(state) {
      while (lower(state) < upper(state) && search(state, upper(state) - 1));
      return upper(state);
    },
    fits(state, tokens) {
      if (Math.ceil(language.minBytes(state) / longest) > tokens) return false;
      if (upper(state) <= tokens) return true;
      return lower(state) <= tokens && search(state, tokens);
    },
  };
}

/** Ends of the tokens that `bytes` holds from `start` on. */
function* tokenEnds(
  { byte, depth, skip, first, roots }: Vocabulary,
  bytes: readonly number[],
  start: number,
): Generator<number> {
  let node = roots[bytes[start]];
  if (node === undefined || node < 0) return;
  for (let end = start + 1; ; end++) {
    if (first[node] < first[node + 1]) yield end;
    // Children follow their parent; one of them has the next byte, or no token goes on.
    const past = skip[node];
    if (end === bytes.length) return;
    for (node++; node < past && byte[node] !== bytes[end]; node = skip[node]);
    if (node >= past || depth[node] !== end - start + 1) return;
  }
}
