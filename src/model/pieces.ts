/**
 * Long runs in pieces: memory for masks and scores grows with rows times places, so a prompt of any length goes through
 * a bounded number of rows at a time, each piece seeing the keys of those before it. Where to cut depends on the run
 * alone, never on its neighbours, so that neighbours cannot change a bit of its result.
 */
import type { NativeCache } from './cache.ts';
import type { AttentionPattern, ForwardRun } from './denoiser.ts';
import { blockEnd } from './run-mask.ts';

/** Most rows of a piece, unless its attention pattern holds more together: activations of so many stay in the cache. */
const PIECE_ROWS = 256;
/** Most attention scores of a piece, over all heads (64 MB). */
const PIECE_SCORES = 1 << 24;

export interface Piece {
  ids: Int32Array;
  positions: Int32Array;
  attention: AttentionPattern;
  cache: NativeCache;
  /** Rows whose statistics are computed, at least one. */
  rows: Int32Array;
  /** See `ForwardRun`. [T, D] */
  expected: Float32Array | undefined;
  /** How many of them were asked for: all or none. */
  asked: number;
  /** The first of them among the queried rows of all runs. */
  from: number;
  /** That of the run. */
  noise?: number | undefined;
}

/** @param from where the run's rows begin among the queried rows of all runs */
export function piecesOf(run: ForwardRun, cache: NativeCache, from: number, heads: number): Piece[] {
  const { ids, positions, attention, query, expected } = run;
  const T = ids.length;
  const limit = Math.max(16, Math.min(PIECE_ROWS, Math.floor(PIECE_SCORES / heads / (cache.length + T))));
  const pieces: Piece[] = [];
  let asked = 0;
  for (let start = 0; start < T;) {
    const end = pieceEnd(run, start, limit);
    const first = asked;
    while (asked < query.length && query[asked] < end) asked++;
    pieces.push({
      ids: ids.subarray(start, end),
      positions: positions.subarray(start, end),
      attention: rest(attention, start),
      cache,
      expected: expected?.subarray((start * expected.length) / T, (end * expected.length) / T),
      rows: asked > first ? query.subarray(first, asked).map((row) => row - start) : Int32Array.of(0),
      asked: asked - first,
      from: from + first,
      noise: run.noise,
    });
    start = end;
  }
  return pieces;
}

function pieceEnd({ ids, positions, attention }: ForwardRun, start: number, limit: number): number {
  const T = ids.length;
  if (T - start <= limit) return T;
  switch (attention.kind) {
    case 'full':
    case 'explicit':
      return T;
    case 'causal':
      return start + limit;
    case 'blockCausal': {
      let end = blockEnd(attention, positions, start);
      for (let next = end; next < T && next - start <= limit; next = blockEnd(attention, positions, next)) {
        end = next;
      }
      return end;
    }
    case 'anchored':
      // The block stays whole; what stands before it is causal.
      return attention.clean - start > limit ? start + limit : T;
  }
}

/** The pattern of the rows from `start` on by themselves. */
function rest(attention: AttentionPattern, start: number): AttentionPattern {
  if (attention.kind !== 'anchored' || start === 0) return attention;
  return { ...attention, clean: attention.clean - start };
}
