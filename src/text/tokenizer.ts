/** What the rest of the house needs of a tokenizer. `bpe.ts` trains one, `load.ts` reads one. */

/** Special tokens of tintype's own models, in id order from 0. */
export const SPECIAL_TOKENS = [
  '<|endoftext|>',
  '<|pad|>',
  '<|mask|>',
  '<|fim_prefix|>',
  '<|fim_suffix|>',
  '<|fim_middle|>',
  '<|reserved_0|>',
  '<|reserved_1|>',
] as const;

export type SpecialToken = (typeof SPECIAL_TOKENS)[number];

export interface Tokenizer {
  readonly vocabSize: number;
  /** Most characters (UTF-16 units) of a text for each of its tokens, where that is known. */
  readonly longestToken?: number | undefined;
  /** Ids of ordinary text; special tokens in the text are text. */
  encode(text: string): number[];
  /** Text of ids; special tokens are skipped; incomplete UTF-8 becomes U+FFFD. */
  decode(ids: ArrayLike<number>): string;
  /** Bytes of one token (ordinary tokens only; empty for special ones). */
  bytes(id: number): Uint8Array;
  /** Id of a special token, or null if this tokenizer lacks it. */
  special(token: SpecialToken): number | null;
  /** How a token is shown to a person, for example in a microscope. */
  show(id: number): string;
}
