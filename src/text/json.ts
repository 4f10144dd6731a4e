/**
 * A tokenizer from a parsed `tokenizer.json`. The byte-level format goes to our own encoder, which is tens
 * of times faster; every other kind goes to @huggingface/tokenizers.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TintypeError } from '../errors.ts';
import { tokenBytes } from './alphabet.ts';
import { createByteTokenizer } from './bytelevel.ts';
import type { ByteLevelParts, ByteTokenizer } from './bytelevel.ts';
import type { SpecialToken, Tokenizer } from './tokenizer.ts';

/** The parts of `tokenizer.json` that are read here; all are checked before use. */
interface TokenizerFile {
  added_tokens?: { id: number; content: string; special: boolean }[];
  normalizer?: { type: string } | null;
  pre_tokenizer?: { type: string; pretokenizers?: PreTokenizer[] } | null;
  post_processor?: unknown;
  decoder?: { type: string } | null;
  model?: {
    type?: string;
    vocab?: Record<string, number>;
    merges?: (string | [string, string])[];
    ignore_merges?: boolean;
    byte_fallback?: boolean;
    continuing_subword_prefix?: string | null;
    end_of_word_suffix?: string | null;
  };
}

interface PreTokenizer {
  type: string;
  pattern?: { Regex?: string };
  behavior?: string;
  invert?: boolean;
  add_prefix_space?: boolean;
  use_regex?: boolean;
}

/** @throws bad_tokenizer if the object is not a tokenizer file */
export function createTokenizer(json: unknown): Tokenizer {
  const file = json as TokenizerFile | null;
  if (typeof file?.model?.vocab !== 'object') {
    throw new TintypeError('bad_tokenizer', {
      what: 'This is not a tokenizer.json',
      wanted: 'an object with model.vocab, as Hugging Face tokenizers writes it',
      next: 'check that the file belongs to a model folder',
    });
  }
  const parts = byteLevelParts(file);
  return parts === null ? wrapHuggingFace(file) : createByteTokenizer(parts);
}

/** Like `createTokenizer`, for callers that need bytes. @throws bad_tokenizer if it is not a byte-level BPE */
export function createByteLevelTokenizer(json: unknown): ByteTokenizer {
  const tokenizer = createTokenizer(json);
  if ('encodeBytes' in tokenizer) return tokenizer as ByteTokenizer;
  throw new TintypeError('bad_tokenizer', {
    what: 'This tokenizer is not a byte-level BPE, so it cannot take bytes',
  });
}

/** The parts if the file is exactly the format that `createByteTokenizer` implements, else null. */
function byteLevelParts(file: TokenizerFile): ByteLevelParts | null {
  const { model, normalizer, pre_tokenizer: pre } = file;
  if (model?.type !== 'BPE' || model.ignore_merges || model.byte_fallback) return null;
  if (model.continuing_subword_prefix || model.end_of_word_suffix) return null;
  if (normalizer && normalizer.type !== 'NFC') return null;
  if (file.decoder?.type !== 'ByteLevel' || pre?.type !== 'Sequence') return null;
  const [split, byteLevel, ...others] = pre.pretokenizers ?? [];
  if (split?.type !== 'Split' || split.behavior !== 'Isolated' || split.invert) return null;
  if (byteLevel?.type !== 'ByteLevel' || byteLevel.add_prefix_space || byteLevel.use_regex !== false)
    return null;
  const pattern = split.pattern?.Regex;
  if (others.length > 0 || pattern === undefined || !compiles(pattern)) return null;
  return {
    vocab: model.vocab!,
    merges: (model.merges ?? []).map((merge) =>
      typeof merge === 'string' ? (merge.split(' ') as [string, string]) : merge,
    ),
    pattern,
    added: file.added_tokens ?? [],
    normalize: normalizer ? 'NFC' : null,
  };
}

function compiles(pattern: string): boolean {
  try {
    RegExp(pattern, 'gu');
    return true;
  } catch {
    return false; // for example `(?i:`, which Node 20 does not know
  }
}

/** SentencePiece's token for a byte that is part of no other. */
const BYTE = /^<0x([0-9A-F]{2})>$/;

function wrapHuggingFace(file: TokenizerFile): Tokenizer {
  const config = { clean_up_tokenization_spaces: false };
  const whole = new HuggingFaceTokenizer(file, config);
  // Without its added tokens it cannot take a special token for anything but text.
  const plain = new HuggingFaceTokenizer({ ...file, added_tokens: [], post_processor: null }, config);
  const specials = new Map(file.added_tokens?.map(({ id, content }) => [content, id]));
  const specialIds = new Set(file.added_tokens?.filter(({ special }) => special).map(({ id }) => id));
  const byteLevel = file.decoder?.type === 'ByteLevel';
  const vocabSize = 1 + [...whole.get_vocab().values()].reduce((a, b) => Math.max(a, b), -1);

  const decode = (ids: ArrayLike<number>): string =>
    ids.length === 0 ? '' : whole.decode(Array.from(ids), { skip_special_tokens: true });
  const bytes = (id: number): Uint8Array => {
    if (specialIds.has(id)) return new Uint8Array(0);
    const fallback = file.model?.byte_fallback ? BYTE.exec(whole.id_to_token(id) ?? '') : null;
    if (fallback) return Uint8Array.of(Number.parseInt(fallback[1], 16));
    const name = byteLevel ? whole.id_to_token(id) : undefined;
    return (name === undefined ? null : tokenBytes(name)) ?? new TextEncoder().encode(decode([id]));
  };
  return {
    vocabSize,
    encode: (text) => plain.encode(text, { add_special_tokens: false }).ids,
    decode,
    bytes,
    special: (token: SpecialToken) => specials.get(token) ?? null,
    show: (id) => (specialIds.has(id) ? whole.id_to_token(id)! : new TextDecoder().decode(bytes(id))),
  };
}
