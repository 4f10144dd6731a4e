/**
 * Encodes and decodes the byte-level BPE format that `bpe.ts` writes (and many published models use):
 * pre-tokens by one regular expression, then merges by rank inside each. Ids equal those of Hugging Face
 * tokenizers (a test holds that); a table of pre-tokens already seen makes it fast enough to feed a trainer.
 */
import { TintypeError } from '../errors.ts';
import { BYTE_TO_CHAR, tokenBytes } from './alphabet.ts';
import { createMerger } from './merger.ts';
import type { SpecialToken, Tokenizer } from './tokenizer.ts';

/** A tokenizer whose tokens are byte strings, so that bytes which are not UTF-8 pass through it too. */
export interface ByteTokenizer extends Tokenizer {
  /** Ids of any bytes: stretches of valid UTF-8 as text, every other byte as its own token. */
  encodeBytes(bytes: Uint8Array): number[];
  /** Bytes of ids, in order; special tokens are skipped. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array;
}

/** What a byte-level BPE is made of. */
export interface ByteLevelParts {
  /** Token strings in the byte alphabet -> id. */
  vocab: Record<string, number>;
  /** Pairs of token strings in rank order. */
  merges: readonly (readonly [string, string])[];
  /** Pre-token pattern with flags `gu`; text that it leaves out forms pieces of its own. */
  pattern: string;
  /** Tokens outside the merges. Special ones have no text; the others stand for their content. */
  added: readonly { id: number; content: string; special: boolean }[];
  /** Applied before cutting. */
  normalize: 'NFC' | null;
}

/** Longest pre-token (UTF-16 units) and number of pre-tokens that the table keeps. */
const CACHED_LENGTH = 48;
const CACHED_PIECES = 200_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Builds a tokenizer. @throws bad_tokenizer if the vocabulary lacks a byte or the two halves of a merge */
export function createByteTokenizer(parts: ByteLevelParts): ByteTokenizer {
  const idOf = new Map(Object.entries(parts.vocab));
  const vocabSize =
    1 + [...idOf.values(), ...parts.added.map(({ id }) => id)].reduce((a, b) => Math.max(a, b), -1);
  const addedIds = new Map(parts.added.map(({ id, content }) => [content, id]));
  const specialIds = new Set(parts.added.filter(({ special }) => special).map(({ id }) => id));
  const empty = new Uint8Array(0);
  const names = Array.from({ length: vocabSize }, () => '');
  const bytesOf = Array.from({ length: vocabSize }, (): Uint8Array => empty);
  for (const [name, id] of idOf) {
    names[id] = name;
    bytesOf[id] = tokenBytes(name) ?? encoder.encode(name);
  }
  for (const { id, content, special } of parts.added) {
    names[id] = content;
    bytesOf[id] = special ? empty : encoder.encode(content);
  }
  const byteIds = BYTE_TO_CHAR.map((char) => requireId(idOf, char));
  const merge = createMerger(
    parts.merges.map(([left, right]) => [
      requireId(idOf, left),
      requireId(idOf, right),
      requireId(idOf, left + right),
    ]),
  );
  const pattern = new RegExp(parts.pattern, 'gu');
  const cache = new Map<string, readonly number[]>();

  const encodePiece = (piece: string): readonly number[] => {
    const known = cache.get(piece);
    if (known !== undefined) return known;
    const bytes = encoder.encode(piece);
    const unmerged: number[] = [];
    for (let i = 0; i < bytes.length; i++) unmerged.push(byteIds[bytes[i]]);
    const ids = merge(unmerged);
    if (piece.length <= CACHED_LENGTH) {
      if (cache.size >= CACHED_PIECES) cache.clear();
      // A copy has no room left over from before it was merged.
      cache.set(piece, ids.slice());
    }
    return ids;
  };

  const encode = (text: string): number[] => {
    // Half of a surrogate pair has no UTF-8; it becomes U+FFFD as in every encoder.
    const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
    const out: number[] = [];
    for (const piece of cut(parts.normalize === null ? whole : whole.normalize(parts.normalize), pattern)) {
      for (const id of encodePiece(piece)) out.push(id);
    }
    return out;
  };

  const decodeBytes = (ids: ArrayLike<number>): Uint8Array => {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += bytesOf[ids[i]]?.length ?? 0;
    const out = new Uint8Array(length);
    for (let i = 0, at = 0; i < ids.length; i++) {
      const bytes = bytesOf[ids[i]] ?? empty;
      out.set(bytes, at);
      at += bytes.length;
    }
    return out;
  };

  return {
    vocabSize,
    // No character has fewer bytes than UTF-16 units; what normalizing makes of several is another matter.
    longestToken:
      parts.normalize === null ? bytesOf.reduce((most, { length }) => Math.max(most, length), 1) : undefined,
    encode,
    decode: (ids) => decoder.decode(decodeBytes(ids)),
    bytes: (id) => bytesOf[id] ?? empty,
    special: (token: SpecialToken) => addedIds.get(token) ?? null,
    show: (id) => (specialIds.has(id) ? names[id] : showBytes(bytesOf[id] ?? empty)),
    encodeBytes(bytes) {
      const out: number[] = [];
      for (const run of validRuns(bytes)) {
        if (typeof run === 'number') out.push(byteIds[run]);
        else for (const id of encode(run)) out.push(id);
      }
      return out;
    },
    decodeBytes,
  };
}

function requireId(idOf: Map<string, number>, token: string): number {
  const id = idOf.get(token);
  if (id !== undefined) return id;
  throw new TintypeError('bad_tokenizer', {
    what: 'The vocabulary lacks a token that its bytes or merges need',
    got: JSON.stringify(token),
    wanted: 'all 256 bytes, and every merge with both halves and its result',
  });
}

/** Pieces of text in order, whether or not the pattern covers all of it. */
function cut(text: string, pattern: RegExp): string[] {
  const pieces = text.match(pattern) ?? [];
  let covered = 0;
  for (const piece of pieces) covered += piece.length;
  if (covered === text.length) return pieces;
  const all: string[] = [];
  let end = 0;
  for (const { 0: piece, index } of text.matchAll(pattern)) {
    if (index > end) all.push(text.slice(end, index));
    if (piece !== '') all.push(piece);
    end = index + piece.length;
  }
  if (end < text.length) all.push(text.slice(end));
  return all;
}

/** Splits bytes into maximal stretches of valid UTF-8, as text, and single bytes that belong to none. */
function* validRuns(bytes: Uint8Array): Generator<string | number> {
  let start = 0;
  for (let at = 0; at < bytes.length;) {
    const length = utf8Length(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    if (at > start) yield decoder.decode(bytes.subarray(start, at));
    yield bytes[at];
    start = ++at;
  }
  if (start < bytes.length) yield decoder.decode(bytes.subarray(start));
}

/** Bytes of the well-formed UTF-8 sequence at `at`, or 0 (Unicode 16, table 3-7). */
export function utf8Length(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  const within = (offset: number, low: number, high: number): boolean => {
    const byte = bytes[at + offset];
    return byte !== undefined && byte >= low && byte <= high;
  };
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return within(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const second = within(1, first === 0xe0 ? 0xa0 : 0x80, first === 0xed ? 0x9f : 0xbf);
    return second && within(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const second = within(1, first === 0xf0 ? 0x90 : 0x80, first === 0xf4 ? 0x8f : 0xbf);
    return second && within(2, 0x80, 0xbf) && within(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

/** Printable form of a token: line breaks and tabs as signs, bytes that are no text as hexadecimal. */
function showBytes(bytes: Uint8Array): string {
  let out = '';
  for (const run of validRuns(bytes)) {
    if (typeof run === 'number') out += `<${run.toString(16).padStart(2, '0')}>`;
    else
      out += run
        .replace(/\r/g, '␍')
        .replace(/\n/g, '⏎')
        .replace(/\t/g, '→')
        .replace(/\p{Cc}/gu, '·');
  }
  return out;
}
