/**
 * Exact and near duplicates. Near means an estimated Jaccard similarity of at least 0.8 between the sets of
 * five-word shingles, by MinHash (Broder 1997) with locality-sensitive banding (Lee et al. 2021, 2107.06499,
 * use the same means on training text).
 */
import { createHash } from 'node:crypto';
import { createRng } from '../rng.ts';

export interface Deduplicator {
  /**
   * Remembers a document unless it is a duplicate of one remembered before: `exact` if the texts agree up
   * to white space, `near` above the threshold, `null` if it is new.
   */
  add(text: string): 'exact' | 'near' | null;
}

/** 16 bands of 7 hashes: documents of similarity 0.8 meet with probability 0.98, of 0.5 with 0.12. */
const BANDS = 16;
const BAND_ROWS = 7;
const HASHES = BANDS * BAND_ROWS;
const SHINGLE_WORDS = 5;
/** Documents of fewer words are compared exactly only: a few shared words make short texts similar. */
const SHORTEST_WORDS = 20;

export function createDeduplicator({ threshold = 0.8 } = {}): Deduplicator {
  const exact = new Set<string>();
  const signatures: Uint32Array[] = [];
  const bands: Map<string, number[]>[] = Array.from({ length: BANDS }, () => new Map());

  return {
    add(text) {
      const digest = createHash('sha1').update(text.replace(/\s+/g, ' ').trim()).digest('base64');
      if (exact.has(digest)) return 'exact';
      const signature = minHash(text);
      if (signature !== null) {
        const keys = bands.map((_, band) => bandKey(signature, band));
        const candidates = new Set(keys.flatMap((key, band) => bands[band].get(key) ?? []));
        for (const candidate of candidates) {
          if (similarity(signature, signatures[candidate]) >= threshold) return 'near';
        }
        keys.forEach((key, band) => {
          const bucket = bands[band].get(key);
          if (bucket === undefined) bands[band].set(key, [signatures.length]);
          else bucket.push(signatures.length);
        });
        signatures.push(signature);
      }
      exact.add(digest);
      return null;
    },
  };
}

const rng = createRng(0, 'minhash');
/** Odd multipliers and offsets of the hash functions h -> mix(h * a + b). */
const MULTIPLIERS = Uint32Array.from({ length: HASHES }, () => rng.int(2 ** 32) | 1);
const OFFSETS = Uint32Array.from({ length: HASHES }, () => rng.int(2 ** 32));

/** Smallest value of each hash function over all shingles, [112]; null for short texts. */
function minHash(text: string): Uint32Array | null {
  const words = text.match(/[\p{L}\p{N}_$]+/gu) ?? [];
  if (words.length < SHORTEST_WORDS) return null;
  const hashes = Uint32Array.from(words, hashWord);
  const smallest = new Uint32Array(HASHES).fill(0xffffffff);
  const seen = new Set<number>();
  for (let i = 0; i + SHINGLE_WORDS <= hashes.length; i++) {
    let shingle = 0;
    for (let j = 0; j < SHINGLE_WORDS; j++) shingle = Math.imul(shingle, 0x9e3779b1) + hashes[i + j];
    shingle = (shingle ^ (shingle >>> 15)) >>> 0;
    if (seen.has(shingle)) continue;
    seen.add(shingle);
    for (let k = 0; k < HASHES; k++) {
      let value = Math.imul(shingle, MULTIPLIERS[k]) + OFFSETS[k];
      value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
      value = (value ^ (value >>> 13)) >>> 0;
      if (value < smallest[k]) smallest[k] = value;
    }
  }
  return smallest;
}

/** FNV-1a over UTF-16 units. */
function hashWord(word: string): number {
  let hash = 2166136261;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
  return hash >>> 0;
}

function bandKey(signature: Uint32Array, band: number): string {
  return signature.subarray(band * BAND_ROWS, (band + 1) * BAND_ROWS).join();
}

function similarity(a: Uint32Array, b: Uint32Array): number {
  let equal = 0;
  for (let i = 0; i < HASHES; i++) if (a[i] === b[i]) equal++;
  return equal / HASHES;
}
