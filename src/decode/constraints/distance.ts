/**
 * How many tokens it takes to end a text from a state: what decides whether a budget suffices.
 *
 * A *shortest ending* in bytes is known without a search, and the best way to cut it into tokens is a small dynamic
 * program: that number always suffices, and following that ending it falls by one with each token. A longer text may
 * take fewer tokens, so where the difference matters a breadth-first search over token steps looks for one, led by a
 * lower bound. It gives up after `MOST_EXPANSIONS` states, since a recursive language has no end of them; what is
 * known then still suffices and still falls by one with each token along a known way, so decoding is never trapped.
 */
import type { Language } from './language.ts';
import type { Vocabulary } from './vocabulary.ts';

const MOST_EXPANSIONS = 2_000;

export interface Distance {
  shortest(state: number): number;
  fits(state: number, tokens: number): boolean;
}

export function createDistance(
  language: Language,
  vocabulary: Vocabulary,
  targetsOf: (state: number) => Int32Array,
): Distance {
  const { longest } = vocabulary;
  /** Numbers of tokens that suffice. */
  const enough = new Map<number, number>();
  /** States whose number no search will lower. */
  const searched = new Set<number>();

  const lower = (state: number): number => Math.ceil(language.minBytes(state) / longest);

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
      enough.set(states[i], Math.min(least, enough.get(states[i]) ?? Infinity));
    }
    return enough.get(state)!;
  };

  /** Looks for fewer tokens, and notes what it finds all along the way. */
  const search = (start: number): void => {
    searched.add(start);
    let best = upper(start);
    let bestEnd = start;
    const cameFrom = new Map<number, number>([[start, start]]);
    let layer = [start];
    let expansions = 0;
    for (let depth = 1; layer.length > 0 && depth < best; depth++) {
      const nextLayer: number[] = [];
      for (const state of layer) {
        if (++expansions > MOST_EXPANSIONS) break;
        for (const target of targetsOf(state)) {
          if (target < 0 || cameFrom.has(target) || depth + lower(target) >= best) continue;
          cameFrom.set(target, state);
          nextLayer.push(target);
          if (depth + upper(target) >= best) continue;
          best = depth + upper(target);
          bestEnd = target;
        }
      }
      layer = expansions > MOST_EXPANSIONS ? [] : nextLayer;
    }
    for (let state = bestEnd, tokens = upper(bestEnd); ; tokens++) {
      enough.set(state, Math.min(tokens, enough.get(state) ?? Infinity));
      if (state === start) break;
      state = cameFrom.get(state)!;
    }
  };

  const shortest = (state: number): number => {
    if (upper(state) > lower(state) && !searched.has(state)) search(state);
    return upper(state);
  };
  return {
    shortest,
    fits(state, tokens) {
      if (lower(state) > tokens) return false;
      return upper(state) <= tokens || shortest(state) <= tokens;
    },
  };
}

/** Ends of the tokens that `bytes` holds from `start` on. */
function* tokenEnds(
  { byte, depth, skip, first }: Vocabulary,
  bytes: readonly number[],
  start: number,
): Generator<number> {
  let node = 0;
  for (let end = start; end < bytes.length; end++) {
    // Siblings of the first child; one of them has the byte, or no token goes on here.
    while (node < byte.length && depth[node] === end - start + 1 && byte[node] !== bytes[end])
      node = skip[node];
    if (node === byte.length || depth[node] !== end - start + 1) return;
    if (first[node] < first[node + 1]) yield end + 1;
    node++;
  }
}
