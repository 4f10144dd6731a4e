/**
 * A partly filled answer that can still be completed. Tokens come at any position in any order; after each one there
 * is still a text of the language that agrees with all of them and fits into the budget.
 *
 *   positions   0      1      2      3      4      5    | budget
 *   tokens      {"     name   ▒      ▒      ","    ▒
 *   states      s0     s1     s2     {..}   {..}   {..}
 *
 * Left of a position stands the set of states that the tokens so far can lead to (a mask stands for any token). From
 * the right comes whether a state can be completed: through the tokens that stand there, and behind the last of them
 * within the tokens that are left. A token is allowed where it leads from the one to the other. An end-of-text token
 * may be followed only by others; what stands behind the first counts as nothing.
 *
 * Of states that differ only in how much more of something may come (a string of bounded length) the set holds the one
 * that allows most: what the others allow, it allows. Even so sets can grow without end in a recursive language; a
 * position whose set is larger than `MOST_STATES` allows nothing *yet*. Commits further left make it small again, and the first masked position always allows something.
 */
import { assert, TintypeError } from '../../errors.ts';
import type { Distance } from './distance.ts';
import { forcedTokens } from './forced.ts';
import { DEAD } from './language.ts';
import { ENDED } from './tokens.ts';
import type { TokenAutomaton } from './tokens.ts';

/** States that one position may be in before it has to wait for those on its left. */
export const MOST_STATES = 256;
/** Automata that one answer may wear out before it stops looking over masks. */
const MOST_RENEWALS = 2;
const MASKED = -1;

export interface Commit {
  position: number;
  token: number;
}

export interface ConstraintCanvas {
  readonly budget: number;
  /** First masked position; everything before it is settled. `budget` if there is none. */
  readonly settled: number;
  /** The state there. */
  readonly state: number;
  /** Whether the text is over: ended by a token, or the budget is used up. */
  readonly isComplete: boolean;
  /**
   * Tokens that may be committed to a masked position, one bit each: token t is bit `t & 31` of word `t >> 5`. All
   * zero where nothing is known yet. [ceil(V / 32)]; the caller's to keep
   */
  allowedAt(position: number): Uint32Array;
  /** The same for one token, cheaper. */
  canCommit(position: number, token: number): boolean;
  /** Writes a token that `canCommit` allows. */
  commit(position: number, token: number): void;
  /**
   * Writes every token before `end` (the budget's end by default) that is certain, and says which. To be called at the
   * start and after each step's commits.
   */
  commitForced(end?: number): Commit[];
  /** Makes a position masked again. */
  remask(position: number): void;
}

/**
 * An empty answer of at most `budget` tokens; the token that ends the text counts unless the budget ends there too.
 * @throws bad_option if the language has no text that short
 */
export function createConstraintCanvas(
  given: TokenAutomaton,
  { budget }: { budget: number },
): ConstraintCanvas {
  let automaton = given;
  let distance = automaton.distance();
  let renewals = 0;
  checkBudget(automaton, distance, budget);
  const tokens = new Int32Array(budget).fill(MASKED);
  let settled = 0;
  let state = automaton.start;
  /** One behind the last committed position. */
  let filled = 0;
  /** By position, from `settled` on: states on the left, null beyond the horizon. */
  let before: (Int32Array | null)[] = [];
  /** By position: states on the left of it that can and that cannot be completed. */
  const good = Array.from({ length: budget }, () => new Set<number>());
  const bad = Array.from({ length: budget }, () => new Set<number>());

  /**
   * No way leads through a state that was found bad. With exact distances that would say nothing new; where they only
   * suffice (see `distance.ts`) it keeps both directions of one mind, so that a commit never relies on a way that the
   * first masked position cannot take.
   */
  const statesAt = (position: number): Int32Array | null => {
    if (before.length === 0) before[settled] = Int32Array.of(state);
    while (before.length <= position) {
      const last = before.length - 1;
      const open = withoutBad(last);
      before.push(open && advance(open, tokens[last]));
    }
    return withoutBad(position);
  };
  const withoutBad = (position: number): Int32Array | null =>
    before[position]?.filter((from) => !bad[position].has(from)) ?? null;
  const advance = (states: Int32Array, token: number): Int32Array | null => {
    const next = new Set<number>();
    for (const from of states) {
      if (token === MASKED && (automaton.language.isWorn || renewals >= MOST_RENEWALS)) return null;
      if (token !== MASKED) next.add(automaton.next(from, token));
      else for (const target of automaton.edges(from).widest) next.add(target);
    }
    next.delete(DEAD);
    const widest = automaton.widest(next);
    return widest.length > MOST_STATES ? null : widest;
  };

  const canComplete = (position: number, from: number): boolean => {
    if (from === DEAD) return false;
    if (position >= filled) return distance.fits(from, budget - position);
    if (good[position].has(from)) return true;
    if (bad[position].has(from)) return false;
    const token = tokens[position];
    const possible =
      token === MASKED
        ? automaton.edges(from).widest.some((target) => canComplete(position + 1, target))
        : canComplete(position + 1, automaton.next(from, token));
    (possible ? good : bad)[position].add(from);
    if (!possible && before.length > position + 1) before.length = position + 1;
    return possible;
  };

  const canCommit = (position: number, token: number): boolean => {
    if (position < settled || position >= budget || tokens[position] !== MASKED) return false;
    const states = statesAt(position);
    return states !== null && states.some((from) => canComplete(position + 1, automaton.next(from, token)));
  };

  const commit = (position: number, token: number): void => {
    assert(canCommit(position, token), `token ${token} is not allowed at position ${position}`);
    tokens[position] = token;
    filled = Math.max(filled, position + 1);
    // A commit only narrows: what cannot be completed stays so, and states on its left stay as they are.
    for (let p = settled; p <= position; p++) good[p].clear();
    before.length = Math.min(before.length, position + 1);
    if (position !== settled) return;
    for (; settled < budget && tokens[settled] !== MASKED; settled++)
      state = automaton.next(state, tokens[settled]);
    before = [];
  };

  const isOver = (): boolean => state === ENDED;

  /** From the tokens alone: what is known of states is forgotten. */
  const readAnew = (): void => {
    for (const sets of [good, bad]) for (const set of sets) set.clear();
    before = [];
    state = automaton.start;
    for (settled = 0; settled < budget && tokens[settled] !== MASKED; settled++)
      state = automaton.next(state, tokens[settled]);
  };

  /**
   * A language may have states without end, most of them seen once. When they are too many they are forgotten, unless
   * only what was known of them says that the budget suffices.
   */
  const renew = (): void => {
    const worn = { automaton, distance };
    automaton = automaton.renewed();
    distance = automaton.distance();
    renewals++;
    readAnew();
    if (canComplete(settled, state)) return;
    ({ automaton, distance } = worn);
    readAnew();
  };

  return {
    budget,
    get settled() {
      return settled;
    },
    get state() {
      return state;
    },
    get isComplete() {
      return isOver() || settled === budget;
    },
    canCommit,
    commit,
    allowedAt(position) {
      if (automaton.language.isWorn) renew();
      const groups = new Set<number>();
      const isOpen = position >= settled && position < budget && tokens[position] === MASKED;
      for (const from of (isOpen && statesAt(position)) || []) {
        const edges = automaton.edges(from);
        for (let i = 0; i < edges.targets.length; i++) {
          if (groups.has(edges.groups[i]) || !canComplete(position + 1, edges.targets[i])) continue;
          groups.add(edges.groups[i]);
        }
      }
      return automaton.maskOf(groups);
    },
    commitForced(end = budget) {
      const written: Commit[] = [];
      for (let position = settled; position < end && !isOver(); position++) {
        if (tokens[position] !== MASKED) continue;
        const states = statesAt(position);
        if (states === null || (position > filled && states.length > 1)) break;
        if (states.length > 1 || states[0] === ENDED) continue;
        let at = position;
        for (const token of forcedTokens(automaton, states[0])) {
          if (at >= end || !canCommit(at, token)) break;
          commit(at, token);
          written.push({ position: at++, token });
        }
      }
      return written;
    },
    remask(position) {
      tokens[position] = MASKED;
      filled = tokens.findLastIndex((token) => token !== MASKED) + 1;
      readAnew();
    },
  };
}

/** Whether a bit of `allowedAt` is set. */
export function isAllowed(mask: Uint32Array, token: number): boolean {
  return ((mask[token >> 5] >>> (token & 31)) & 1) === 1;
}

/** Tokens whose bit is set, ascending. */
export function tokensOf(mask: Uint32Array): number[] {
  const tokens: number[] = [];
  mask.forEach((word, index) => {
    for (let rest = word; rest !== 0; rest &= rest - 1)
      tokens.push(index * 32 + (31 - Math.clz32(rest & -rest)));
  });
  return tokens;
}

/** @throws bad_option */
function checkBudget({ start, language }: TokenAutomaton, distance: Distance, budget: number): void {
  if (distance.fits(start, budget)) return;
  const bytes = language.minBytes(start);
  throw new TintypeError('bad_option', {
    what: 'the constraint has no text that fits into the answer',
    got: `an answer of at most ${budget} tokens`,
    wanted: bytes > 100_000 ? `room for ${bytes} bytes` : `at least ${distance.shortest(start)} tokens`,
    next: 'ask for more tokens, or for less text',
  });
}
