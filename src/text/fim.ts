/**
 * Fill-in-the-middle formats (Bavarian et al. 2022, 2207.14255, section 3).
 *
 *   psm: <|fim_prefix|> prefix <|fim_suffix|> suffix <|fim_middle|> middle <|endoftext|>
 *   spm: <|fim_prefix|> <|fim_suffix|> suffix <|fim_middle|> prefix middle <|endoftext|>
 *
 * In `spm` (the paper's second variant, which Code Llama uses) the middle follows the prefix directly.
 */
import { TintypeError } from '../errors.ts';
import type { SpecialToken, Tokenizer } from './tokenizer.ts';

/** Marks a gap in a text that people write. */
export const HOLE = '<|hole|>';

export type FimFormat = 'psm' | 'spm';

export interface FimIds {
  prefix: number;
  suffix: number;
  middle: number;
  eos: number;
}

/** Ids of the sentinels. @throws bad_tokenizer if the tokenizer lacks one */
export function fimIds(tokenizer: Tokenizer): FimIds {
  const need = (token: SpecialToken): number => {
    const id = tokenizer.special(token);
    if (id !== null) return id;
    throw new TintypeError('bad_tokenizer', {
      what: 'This tokenizer has no fill-in-the-middle tokens',
      wanted: token,
      next: 'use a model trained for infilling, or complete without a suffix',
    });
  };
  return {
    prefix: need('<|fim_prefix|>'),
    suffix: need('<|fim_suffix|>'),
    middle: need('<|fim_middle|>'),
    eos: need('<|endoftext|>'),
  };
}

/** Everything that stands before the middle. */
export function joinFim(
  ids: FimIds,
  format: FimFormat,
  prefix: readonly number[],
  suffix: readonly number[],
): number[] {
  return format === 'psm'
    ? [ids.prefix, ...prefix, ids.suffix, ...suffix, ids.middle]
    : [ids.prefix, ids.suffix, ...suffix, ids.middle, ...prefix];
}

/** Number of sentinels that stand before the middle, in either format. */
export const FIM_SENTINELS = 3;

export interface FimRequest {
  prefix: string;
  suffix: string;
  format: FimFormat;
  /** Most tokens that the prompt may have, sentinels included; no limit by default. */
  budget?: number;
}

export interface FimPrompt {
  ids: number[];
  /** Text that the budget left out: from the start of the prefix, from the end of the suffix. */
  dropped: { prefixTokens: number; prefixCharacters: number; suffixTokens: number; suffixCharacters: number };
}

/** Of a tight budget three quarters go to the prefix: what stands before a gap says more about it. */
const PREFIX_SHARE = 0.75;

/**
 * The prompt after which a model writes the middle. With a budget the text nearest to the gap stays: three
 * quarters of the room are the prefix's, one quarter the suffix's, and what one side does not need goes to
 * the other.
 * @throws bad_option if the budget has no room for the sentinels
 */
export function fimPrompt(tokenizer: Tokenizer, request: FimRequest): FimPrompt {
  const { prefix, suffix, format, budget = Infinity } = request;
  const room = budget - FIM_SENTINELS;
  if (!(room >= 0)) {
    throw new TintypeError('bad_option', {
      what: 'The budget is too small for a fill-in-the-middle prompt',
      got: `${budget} tokens`,
      wanted: `at least ${FIM_SENTINELS}`,
    });
  }
  const before = tokenizer.encode(prefix);
  const after = tokenizer.encode(suffix);
  const prefixRoom = Math.max(Math.floor(room * PREFIX_SHARE), room - after.length);
  const from = characterStart(tokenizer, before, Math.max(0, before.length - prefixRoom));
  const keptBefore = before.slice(from);
  const to = characterEnd(tokenizer, after, Math.min(after.length, room - keptBefore.length));
  const keptAfter = after.slice(0, to);
  return {
    ids: joinFim(fimIds(tokenizer), format, keptBefore, keptAfter),
    dropped: {
      prefixTokens: from,
      prefixCharacters: tokenizer.decode(before.slice(0, from)).length,
      suffixTokens: after.length - to,
      suffixCharacters: tokenizer.decode(after.slice(to)).length,
    },
  };
}

/** The first place at or after `at` where a token starts a character. */
function characterStart(tokenizer: Tokenizer, ids: readonly number[], at: number): number {
  while (at < ids.length && isContinuation(tokenizer, ids[at])) at++;
  return at;
}

/** The last place at or before `at` where a token starts a character, or the end. */
function characterEnd(tokenizer: Tokenizer, ids: readonly number[], at: number): number {
  while (at > 0 && at < ids.length && isContinuation(tokenizer, ids[at])) at--;
  return at;
}

/** True if a token starts inside a UTF-8 character (its first byte is 10xxxxxx). */
export function isContinuation(tokenizer: Tokenizer, id: number): boolean {
  return ((tokenizer.bytes(id)[0] ?? 0) & 0xc0) === 0x80;
}
