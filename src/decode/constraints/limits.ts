/** Refusals of what cannot or must not be compiled, and the sizes at which compiling stops. */
import { TintypeError } from '../../errors.ts';

/** Characters of a regular expression. */
export const MOST_PATTERN_CHARACTERS = 20_000;
/** Characters of a regular expression after writing every repetition out. */
export const MOST_PATTERN_POSITIONS = 1_000_000;
/** States of an automaton that has to be built as a whole (an intersection). */
export const MOST_BUILT_STATES = 20_000;
/**
 * Threads over all states that stand for several. Of 1,000 random schemas the largest answer of 128 tokens, lists of URIs
 * inside each other, made a quarter of them; patterns whose sets grow exponentially, such as `.*a.{100}`, make any number.
 */
export const MOST_SET_THREADS = 400_000;
/** Different subschemas, counting each combination that `allOf` and `anyOf` make. */
export const MOST_SUBSCHEMAS = 5_000;
/** Alternatives that the `anyOf`s of one value multiply to. */
export const MOST_ALTERNATIVES = 256;
/** Characters of a name that other members must not have. */
export const MOST_NAME_CHARACTERS = 256;
/** `allOf`, `anyOf` and `$ref` inside each other without a property or an item between. */
export const MOST_NESTING = 64;

/** Where in the source something stands: a JSON pointer into a schema, or a place in a pattern. */
export type Place = string;

export function unsupported(what: string, place: Place, next?: string): TintypeError {
  return new TintypeError('unsupported', {
    what: `${what} cannot be used as a constraint`,
    got: place,
    next: next ?? 'leave it out, and check the finished text for it instead',
  });
}

export function tooLarge(what: string, place: Place, got: number | string, most: number): TintypeError {
  return new TintypeError('unsupported', {
    what: `${what} is too large for a constraint`,
    got: `${got} at ${place}`,
    wanted: `at most ${most}`,
    next: 'make the repetition counts or the schema smaller',
  });
}

export function matchesNothing(what: string, place: Place): TintypeError {
  return new TintypeError('bad_option', {
    what: `${what} matches nothing, so no text could be written`,
    got: place,
    next: 'look for parts that contradict each other',
  });
}
