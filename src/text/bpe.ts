/**
 * Trains a byte-level BPE vocabulary and writes it as a standard `tokenizer.json`.
 *
 * Text is cut into pre-tokens by a regular expression; each distinct pre-token is a list of bytes with a
 * count. Merging the most frequent adjacent pair, again and again, gives the merges in rank order
 * (Sennrich et al. 2016, 1508.07909, algorithm 1). Only the pre-tokens that hold the merged pair are
 * visited, so the work after counting does not depend on how long the text was.
 */
import { TintypeError } from '../errors.ts';
import { BYTE_TO_CHAR } from './alphabet.ts';
import { byteLevelBpe } from './bpe-json.ts';
import type { TokenizerJson } from './bpe-json.ts';
import { Heap } from './heap.ts';
import { SPECIAL_TOKENS } from './tokenizer.ts';

/**
 * How code is cut before merging: words at the humps of camel case with at most one sign or space before
 * them, digits in groups of at most three, runs of signs together with the line break and the indentation
 * that follow, other line breaks with their indentation, other blanks. Every character falls into exactly
 * one piece.
 *
 * Blanks are spelled out instead of `\s`, because JavaScript and Oniguruma disagree about U+0085 and U+FEFF.
 * Chosen by bytes per token on held-out packages against six neighbours (LOG.md).
 */
export const PRETOKEN_PATTERN = [
  String.raw`[^\r\n\p{L}\p{N}]?(?:\p{Lu}*[\p{Ll}\p{Lo}\p{Lm}\p{Lt}]+|\p{Lu}+)`,
  String.raw` ?\p{N}{1,3}`,
  String.raw` ?[^ \t\r\n\p{L}\p{N}]+(?:[\r\n]+[ \t]*)*`,
  String.raw`[ \t\r\n]*[\r\n][ \t]*`,
  String.raw`[ \t]+(?![^ \t\r\n])`,
  String.raw`[ \t]+`,
].join('|');

/** Number of times each distinct pre-token occurs. */
export type PretokenCounts = Map<string, number>;

/** Adds the pre-tokens of `text` to `counts`. */
export function countPretokens(counts: PretokenCounts, text: string, pattern = PRETOKEN_PATTERN): void {
  for (const piece of text.match(new RegExp(pattern, 'gu')) ?? []) {
    counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
}

const FIRST_BYTE_ID = SPECIAL_TOKENS.length;
const FIRST_MERGE_ID = FIRST_BYTE_ID + 256;
/** A pair of ids is one number, `left * PAIR_BASE + right`: ids stay below 2^20. */
const PAIR_BASE = 1 << 20;

/**
 * Learns `vocabSize - 264` merges (8 special tokens and 256 bytes come first). Of equally frequent pairs
 * the one with the smaller ids wins, so the result depends only on the counts.
 * @throws bad_option if the size is too small or the text has too few distinct pairs to reach it
 */
export function trainBpe(
  counts: PretokenCounts,
  vocabSize: number,
  pattern = PRETOKEN_PATTERN,
): TokenizerJson {
  if (!Number.isInteger(vocabSize) || vocabSize < FIRST_MERGE_ID || vocabSize >= PAIR_BASE) {
    throw new TintypeError('bad_option', {
      what: 'This vocabulary size cannot be trained',
      got: String(vocabSize),
      wanted: `a whole number from ${FIRST_MERGE_ID} (special tokens and bytes) to ${PAIR_BASE - 1}`,
    });
  }
  const merges = learnMerges(counts, vocabSize - FIRST_MERGE_ID);
  if (FIRST_MERGE_ID + merges.length < vocabSize) {
    throw new TintypeError('bad_option', {
      what: 'The text has too few repeated pairs for this vocabulary size',
      got: `${FIRST_MERGE_ID + merges.length} tokens`,
      wanted: String(vocabSize),
      next: 'give more text or a smaller vocabulary',
    });
  }
  return tokenizerJson(merges, pattern);
}

interface Candidate {
  pair: number;
  count: number;
}

/** Pairs of ids in the order in which they merge; fewer than `wanted` once no pair occurs twice. */
function learnMerges(counts: PretokenCounts, wanted: number): [number, number][] {
  const encoder = new TextEncoder();
  const words: number[][] = [];
  const wordCounts: number[] = [];
  for (const [piece, count] of counts) {
    words.push(Array.from(encoder.encode(piece), (byte) => FIRST_BYTE_ID + byte));
    wordCounts.push(count);
  }

  const pairCounts = new Map<number, number>();
  const pairWords = new Map<number, number[]>();
  const add = (pair: number, word: number): void => {
    pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + wordCounts[word]);
    const where = pairWords.get(pair);
    // A word is listed twice only if another came between; visiting it again finds nothing to merge.
    if (where === undefined) pairWords.set(pair, [word]);
    else if (where.at(-1) !== word) where.push(word);
  };
  words.forEach((ids, word) => {
    for (let i = 0; i + 1 < ids.length; i++) add(ids[i] * PAIR_BASE + ids[i + 1], word);
  });

  const queue = new Heap<Candidate>((a, b) => a.count > b.count || (a.count === b.count && a.pair < b.pair));
  for (const [pair, count] of pairCounts) queue.push({ pair, count });

  const merges: [number, number][] = [];
  while (merges.length < wanted) {
    const best = queue.pop();
    if (best === undefined) break;
    // The count of a queued pair only falls, so a stale entry surfaces too early, never too late.
    const count = pairCounts.get(best.pair)!;
    if (count < 2) continue;
    if (count < best.count) {
      queue.push({ pair: best.pair, count });
      continue;
    }
    const [left, right] = [Math.floor(best.pair / PAIR_BASE), best.pair % PAIR_BASE];
    const merged = FIRST_MERGE_ID + merges.length;
    const born = new Set<number>();
    for (const word of pairWords.get(best.pair)!) {
      const old = words[word];
      const ids = mergePair(old, left, right, merged);
      if (ids.length === old.length) continue;
      for (let i = 0; i + 1 < old.length; i++) {
        const pair = old[i] * PAIR_BASE + old[i + 1];
        pairCounts.set(pair, pairCounts.get(pair)! - wordCounts[word]);
      }
      for (let i = 0; i + 1 < ids.length; i++) {
        const pair = ids[i] * PAIR_BASE + ids[i + 1];
        if (ids[i] === merged || ids[i + 1] === merged) {
          add(pair, word);
          born.add(pair);
        } else {
          pairCounts.set(pair, pairCounts.get(pair)! + wordCounts[word]);
        }
      }
      words[word] = ids;
    }
    pairCounts.delete(best.pair);
    pairWords.delete(best.pair);
    for (const pair of born) queue.push({ pair, count: pairCounts.get(pair)! });
    merges.push([left, right]);
  }
  return merges;
}

function mergePair(ids: number[], left: number, right: number, merged: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      out.push(merged);
      i++;
    } else {
      out.push(ids[i]);
    }
  }
  return out;
}

function tokenizerJson(merges: [number, number][], pattern: string): TokenizerJson {
  const tokens: string[] = [...SPECIAL_TOKENS, ...BYTE_TO_CHAR];
  for (const [left, right] of merges) tokens.push(tokens[left] + tokens[right]);
  return byteLevelBpe({
    added: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pattern,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: merges.map(([left, right]) => [tokens[left], tokens[right]]),
  });
}

/**
 * Contents of `tokenizer_config.json`, which tells transformers which tokens end, pad and mask.
 * @param modelMaxLength longest input of the model, in tokens
 */
export function tokenizerConfig(modelMaxLength: number): Record<string, unknown> {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    model_max_length: modelMaxLength,
    bos_token: null,
    eos_token: '<|endoftext|>',
    pad_token: '<|pad|>',
    mask_token: '<|mask|>',
    unk_token: null,
    clean_up_tokenization_spaces: false,
  };
}
