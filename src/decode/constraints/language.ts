/** What the rest of constrained decoding sees of a language: a deterministic automaton over bytes, made lazily. */

/** The state from which nothing can be matched any more. */
export const DEAD = -1;

export interface Language {
  /** Where matching begins. States are numbers from 0 on; every one of them can still be completed. */
  readonly start: number;
  /** The state after one more byte, or `DEAD`. */
  next(state: number, byte: number): number;
  /** Whether the text may end here. */
  isAccepting(state: number): boolean;
  /** Fewest bytes from here to the end of some text. */
  minBytes(state: number): number;
  /** First byte of one such shortest ending; only where `minBytes` is positive. */
  shortestByte(state: number): number;
  /** The only byte that can follow, or -1 where there is a choice or the text may end. */
  onlyByte(state: number): number;
  /** Fewest token borders inside literal text from here to an end, for a vocabulary that `ofRun` speaks for. */
  borders(ofRun: (run: readonly number[]) => number): (state: number) => number;
  /**
   * States of one family differ in one counter only, as inside a string of bounded length: the one with the greater
   * `count` matches all that the others match.
   */
  family(state: number): { readonly key: number; readonly count: number };
  /** Bytes that lead a state back to itself, as eight words of bits. */
  loops(state: number): Uint32Array;
  /** Bytes that occur in texts of this language, as 256 times 0 or 1. */
  readonly alphabet: Uint8Array;
  /** How many states were made so far. */
  readonly stateCount: number;
  /** Whether so many states were made that it is time to forget them. */
  readonly isWorn: boolean;
  /** The same language without the states made so far; its states have other numbers. */
  renewed(): Language;
}
