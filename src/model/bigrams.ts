/**
 * How often which token follows which in a corpus, as a file of a model folder: `bigrams.safetensors`. Decoding reads
 * it where a forward says something of two neighbouring masks (`decode/bigrams.ts`).
 *
 *   tokens   [V]      how often each token occurs
 *   offsets  [V + 1]  where the followers of each token begin
 *   next     [N]      the followers, ascending for each token
 *   counts   [N]      how often they follow it
 *
 * All of it is U32. Rare pairs may be left out.
 */
import { TintypeError } from '../errors.ts';
import type { Description } from './hf.ts';
import { createHeader, parseSafetensors, safetensorsChunks } from './safetensors.ts';

export const BIGRAMS = 'bigrams.safetensors';

/** Pseudo-counts of the token's share among all, in each row (MacKay & Peto 1995): what a pair that was not seen gets. */
const PRIOR = 50;

export interface BigramTable {
  /** The tokens of the corpus. */
  readonly tokens: number;
  /** Pairs that it holds. */
  readonly pairs: number;
  /** Probability of a token, whatever stands before it; above 0. */
  share(id: number): number;
  /** Probability of a token behind another one; above 0. */
  shareBehind(previous: number, id: number): number;
  /** The token that stands behind another one most often; undefined where none is known. */
  follower(previous: number): number | undefined;
}

/** The arrays of the file. */
export interface BigramCounts {
  tokens: Uint32Array;
  offsets: Uint32Array;
  next: Uint32Array;
  counts: Uint32Array;
}

export function bigramTable({ tokens, offsets, next, counts }: BigramCounts): BigramTable {
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const share = (id: number): number => (tokens[id] + 1) / (total + tokens.length);
  const count = (previous: number, id: number): number => {
    let [low, high] = [offsets[previous], offsets[previous + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (next[middle] < id) low = middle + 1;
      else high = middle;
    }
    return low < offsets[previous + 1] && next[low] === id ? counts[low] : 0;
  };
  return {
    tokens: total,
    pairs: next.length,
    share,
    follower: (previous) => {
      let [best, most] = [undefined as number | undefined, 0];
      for (let at = offsets[previous]; at < offsets[previous + 1]; at++) {
        if (counts[at] > most) [best, most] = [next[at], counts[at]];
      }
      return best;
    },
    shareBehind: (previous, id) => (count(previous, id) + PRIOR * share(id)) / (tokens[previous] + PRIOR),
  };
}

/** The file, in pieces. */
export function* bigramChunks(table: BigramCounts): Generator<Uint8Array> {
  const arrays: Readonly<Record<string, Uint32Array>> = { ...table };
  const header = createHeader(
    Object.entries(arrays).map(([name, { length }]) => ({ name, dtype: 'U32', shape: [length] })),
  );
  yield* safetensorsChunks(header, ({ name }) => {
    const { buffer, byteOffset, byteLength } = arrays[name];
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
}

/** @throws bad_checkpoint for what is not such a file, or was made for another vocabulary */
export function readBigrams(bytes: Uint8Array, vocabSize: number, where: string): BigramTable {
  const { tensors } = parseSafetensors(bytes, where);
  const array = (name: keyof BigramCounts): Uint32Array => {
    const tensor = tensors.get(name);
    if (tensor?.dtype !== 'U32') throw broken(where, `no ${name} of dtype U32`);
    // A copy, since the bytes of a file may stand at any address.
    return new Uint32Array(Uint8Array.from(tensor.bytes).buffer);
  };
  const [tokens, offsets, next, counts] = [array('tokens'), array('offsets'), array('next'), array('counts')];
  if (tokens.length !== vocabSize) {
    throw broken(where, `counts of ${tokens.length} tokens`, `a vocabulary of ${vocabSize}`);
  }
  const isAscending = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]);
  if (offsets.length !== vocabSize + 1 || !isAscending || offsets.at(-1) !== next.length) {
    throw broken(where, 'offsets that do not fit the pairs');
  }
  if (next.length !== counts.length) {
    throw broken(where, `${next.length} followers and ${counts.length} counts`);
  }
  return bigramTable({ tokens, offsets, next, counts });
}

/** The table of a model folder that was read. Errors: `bad_checkpoint`. */
export const bigramsOf = ({
  bigrams,
  config,
  dir,
}: Pick<Description, 'bigrams' | 'config' | 'dir'>): BigramTable | undefined =>
  bigrams ? readBigrams(bigrams, config.vocabSize, `${dir}/${BIGRAMS}`) : undefined;

const broken = (
  where: string,
  got: string,
  wanted = 'tokens, offsets, next and counts, as documented',
): TintypeError =>
  new TintypeError('bad_checkpoint', {
    what: `${where} does not hold the bigrams of this model`,
    got,
    wanted,
    next: 'make it again with tintype corpus bigrams, or remove it',
  });
