/**
 * Merges inside one pre-token: always the pair of lowest rank, of equal ranks the leftmost (Sennrich et al. 2016,
 * 1508.07909). Words of code are short, and for those looking over all pairs again after each merge is fastest. A long
 * one, such as a megabyte of one letter, is n log n: pairs wait in a list for each rank, and ranks in a heap.
 */
import { Heap } from './heap.ts';

/** Longest list of ids that is looked over again and again. */
const SHORT = 32;
const NONE = -1;

/** Ids of the left half, the right half and the result. */
export type Merge = readonly [left: number, right: number, result: number];

/**
 * @param merges in rank order
 * @returns a function from ids, which it may use up, to fewer ids
 */
export function createMerger(merges: readonly Merge[]): (ids: number[]) => number[] {
  const rankOf = createPairTable(merges);
  const resultOf = Int32Array.from(merges, (merge) => merge[2]);
  return (ids) => (ids.length <= SHORT ? mergeShort : mergeLong)(ids, rankOf, resultOf);
}

type RankOf = (left: number, right: number) => number;

/** The rank of two neighbours, or `NONE`: open addressing, at most half full. */
function createPairTable(merges: readonly Merge[]): RankOf {
  let size = 4;
  while (size < 2 * merges.length) size *= 2;
  const lefts = new Int32Array(size);
  const rights = new Int32Array(size);
  const ranks = new Int32Array(size).fill(NONE);
  const slotOf = (left: number, right: number): number => {
    let slot = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b);
    slot = (slot ^ (slot >>> 15)) & (size - 1);
    while (ranks[slot] !== NONE && (lefts[slot] !== left || rights[slot] !== right))
      slot = (slot + 1) & (size - 1);
    return slot;
  };
  merges.forEach(([left, right], rank) => {
    const slot = slotOf(left, right);
    [lefts[slot], rights[slot], ranks[slot]] = [left, right, rank];
  });
  return (left, right) => ranks[slotOf(left, right)];
}

/** The textbook's loop. */
function mergeShort(ids: number[], rankOf: RankOf, resultOf: Int32Array): number[] {
  const ranks: number[] = [];
  for (let i = 0; i + 1 < ids.length; i++) ranks.push(rankOf(ids[i], ids[i + 1]));
  for (;;) {
    let best = NONE;
    for (let i = 0; i < ranks.length; i++) {
      if (ranks[i] !== NONE && (best === NONE || ranks[i] < ranks[best])) best = i;
    }
    if (best === NONE) return ids;
    ids[best] = resultOf[ranks[best]];
    ids.splice(best + 1, 1);
    ranks.splice(best, 1);
    if (best > 0) ranks[best - 1] = rankOf(ids[best - 1], ids[best]);
    if (best < ranks.length) ranks[best] = rankOf(ids[best], ids[best + 1]);
  }
}

/** Pairs of one rank that wait to be merged, each by the place of its left half. */
interface Waiting {
  lefts: number[];
  /** Those in front that are done. */
  done: number;
  isSorted: boolean;
}

function mergeLong(given: number[], rankOf: RankOf, resultOf: Int32Array): number[] {
  const count = given.length;
  const ids = Int32Array.from(given);
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  for (let i = 0; i < count; i++) [next[i], previous[i]] = [i + 1, i - 1];
  const ranks = new Heap<number>((a, b) => a < b);
  const waiting = new Map<number, Waiting>();
  let lowest = Infinity;
  const offer = (left: number): void => {
    if (left < 0 || next[left] >= count) return;
    const rank = rankOf(ids[left], ids[next[left]]);
    if (rank === NONE) return;
    const known = waiting.get(rank);
    if (known === undefined) {
      waiting.set(rank, { lefts: [left], done: 0, isSorted: true });
      ranks.push(rank);
      lowest = Math.min(lowest, rank);
    } else {
      if (known.lefts[known.lefts.length - 1] > left) known.isSorted = false;
      known.lefts.push(left);
    }
  };
  for (let i = 0; i + 1 < count; i++) offer(i);
  for (let rank = ranks.pop(); rank !== undefined; rank = ranks.pop()) {
    const here = waiting.get(rank)!;
    if (!here.isSorted) {
      const lefts = here.lefts.slice(here.done).sort((a, b) => a - b);
      Object.assign(here, { lefts, done: 0, isSorted: true });
    }
    lowest = Infinity;
    while (here.done < here.lefts.length) {
      const left = here.lefts[here.done++];
      const right = next[left];
      // A pair whose half was merged away meanwhile no longer has its rank.
      if (ids[left] === NONE || right >= count || rankOf(ids[left], ids[right]) !== rank) continue;
      ids[left] = resultOf[rank];
      ids[right] = NONE;
      next[left] = next[right];
      if (next[left] < count) previous[next[left]] = left;
      offer(previous[left]);
      offer(left);
      // Where merges stand in the order of their training no pair is born with a lower rank; elsewhere it goes first.
      if (lowest < rank) break;
    }
    if (here.done < here.lefts.length) ranks.push(rank);
    else waiting.delete(rank);
  }
  return Array.from(ids.filter((id) => id !== NONE));
}
