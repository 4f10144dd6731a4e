/** `tokenizer.json` of a byte-level BPE, whoever made its vocabulary: our trainer, vocab.json and merges.txt, a GGUF file. */

/** A type and not an interface, so that it is JSON wherever JSON is wanted. */
export type TokenizerJson<Added = AddedToken> = {
  version: string;
  truncation: null;
  padding: null;
  added_tokens: Added[];
  normalizer: { type: string } | null;
  pre_tokenizer: unknown;
  post_processor: null;
  decoder: unknown;
  model: BpeModel;
};

export interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

export interface BpeModel {
  type: 'BPE';
  dropout: null;
  unk_token: null;
  continuing_subword_prefix: null;
  end_of_word_suffix: null;
  fuse_unk: boolean;
  byte_fallback: boolean;
  ignore_merges: boolean;
  vocab: Record<string, number>;
  merges: (readonly [string, string] | string)[];
}

/** How GPT-2 cuts text. */
export const GPT2_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** @param pattern cuts text into the pieces that are merged; `normalizer` null leaves text as it is */
export function byteLevelBpe<Added>({
  added,
  normalizer,
  pattern,
  vocab,
  merges,
}: {
  added: Added[];
  normalizer: string | null;
  pattern: string;
  vocab: Record<string, number>;
  merges: BpeModel['merges'];
}): TokenizerJson<Added> {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: normalizer === null ? null : { type: normalizer },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
