/** Simple rules for files that no person wrote: they teach a model little and crowd out the rest. */

export const LARGEST_BYTES = 200_000;
const LONGEST_LINE = 1000;
const SHORTEST_CHARACTERS = 32;
const TABLE_FROM_CHARACTERS = 2000;
const TABLE_LETTERS = 0.35;

const GENERATED_PATH =
  /(?:^|\/)(?:__generated__|generated|gen|abis|vendor|locales?)\/|\.(?:gen|generated|min)\.[a-z]+$/i;
const GENERATED_NOTE =
  /@generated|auto-?generated|automatically generated|file (?:is|was) generated|do not (?:edit|modify)/i;

/**
 * Why a file is left out, or null if it stays:
 *   short      fewer than 32 characters that are not blank
 *   large      more than 200 kB
 *   longLine   a line of more than 1000 characters (minified code, embedded data)
 *   generated  its path, or a note in its first ten lines, says so
 *   table      from 2000 characters up, fewer than 35 % of what is not blank are letters
 */
export type FilterReason = 'short' | 'large' | 'longLine' | 'generated' | 'table';

export function filterReason(text: string, path: string | null): FilterReason | null {
  const solid = text.replace(/\s+/g, '');
  if (solid.length < SHORTEST_CHARACTERS) return 'short';
  if (Buffer.byteLength(text) > LARGEST_BYTES) return 'large';
  if (path !== null && GENERATED_PATH.test(path)) return 'generated';
  const lines = text.split('\n');
  if (lines.some((line) => line.length > LONGEST_LINE)) return 'longLine';
  if (GENERATED_NOTE.test(lines.slice(0, 10).join('\n'))) return 'generated';
  if (solid.length < TABLE_FROM_CHARACTERS) return null;
  const letters = solid.match(/\p{L}/gu)?.length ?? 0;
  return letters < TABLE_LETTERS * solid.length ? 'table' : null;
}
