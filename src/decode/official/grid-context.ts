/**
 * Blocks on a grid from position 0, as SDAR, Fast-dLLM v2, LLaDA2 and Stable-DiffCoder see them: a forward runs the whole
 * block that holds the active positions, over keys and values of the blocks before it. Those are written by a forward of
 * their own, which runs the finished block once more; or nowhere, where the official code computes the prefix anew in
 * each forward. Both are the same mathematics (`exact` in CHECKPOINTS.md 1.8), so here the prefix is always cached, and
 * `positions` counts the rows that the official forward has.
 */
import { positionsFrom } from '../../model/denoiser.ts';
import type { Denoiser, ForwardRun, Statistics, StatisticsRequest } from '../../model/denoiser.ts';
import { MASKED } from '../canvas.ts';
import type { Span } from '../canvas.ts';
import { runIds } from '../context.ts';
import type { Context, KeepRequest, Kept, Look, Looked } from '../context.ts';

export interface Grid {
  blockLength: number;
  /** The row before a position, inside its block, speaks of it; the first of a block by itself. */
  shifted?: boolean;
  /** Finished blocks are stored by a forward of their own; at the end too: always, or unless decoding was stopped. */
  stores: { atEnd: 'always' | 'unlessStopped' | 'never' } | null;
  /** A stored block's last row predicts the position after it. */
  predictsNext?: boolean;
  /** Text before here is not seen at all: a bug of Fast-dLLM v2. */
  unseen?: number;
  /** An active part of a block runs alone while the rest of the block is as its last whole forward left it. */
  partCache?: boolean;
}

export function createGridContext(denoiser: Denoiser, grid: Grid): Context {
  const { blockLength, shifted = false, stores, predictsNext = false, unseen = 0, partCache = false } = grid;
  const cache = denoiser.createCache();
  const attention = { kind: 'blockCausal', blockLength, origin: 0 } as const;
  /** End of the finished text in the cache. */
  let stored = unseen;
  let calls = 0;
  /** The part of a block whose surroundings stand behind the finished text in the cache, until here. */
  let part: Span | null = null;

  const run = async (
    rows: Int32Array,
    ids: Int32Array,
    options: Pick<ForwardRun, 'attention' | 'write' | 'query'>,
    want: StatisticsRequest,
  ): Promise<Statistics> => {
    // Places and positions agree but for unseen text; attention only knows distances.
    const positions = unseen > 0 ? rows.map((position) => position - unseen) : rows;
    const tokens = runIds(
      denoiser,
      rows.map((position) => ids[position]),
    );
    const [statistics] = await denoiser.forward([{ ids: tokens, positions, cache, ...options }], want);
    return statistics;
  };
  const forgetPart = (): void => {
    part = null;
    cache.truncate(stored - unseen);
  };

  async function keep(
    { ids, end: finished, ended }: KeepRequest,
    want: StatisticsRequest,
  ): Promise<Kept | null> {
    const end = ended === null ? Math.floor(finished / blockLength) * blockLength : finished;
    if (stores === null || end <= stored) return null;
    if (ended !== null && !storesAtEnd(stores.atEnd, ended)) return null;
    forgetPart();
    const rows = positionsFrom(stored, end - stored);
    const asks = predictsNext && ids[end] === MASKED;
    const query = asks ? Int32Array.of(rows.length - 1) : new Int32Array(0);
    const next = await run(rows, ids, { attention, write: rows.length, query }, want);
    stored = end;
    return { kind: calls++ === 0 ? 'prefill' : 'store', positions: rows.length, next: asks ? next : null };
  }

  /** The rows that speak of the queried positions, among `rows` in ascending order of block positions. */
  const sourcesOf = (query: readonly number[], rows: Int32Array, first: number): Int32Array => {
    const rowOf = new Map(Array.from(rows, (position, row) => [position, row]));
    return Int32Array.from(query, (position) =>
      rowOf.get(shifted && position > first ? position - 1 : position)!,
    );
  };

  async function look({ ids, window, query }: Look, want: StatisticsRequest): Promise<Looked> {
    const start = Math.floor(window.start / blockLength) * blockLength;
    const end = Math.min(start + blockLength, ids.length);
    calls++;
    const told = (statistics: Statistics, positions: number): Looked => ({
      statistics,
      positions,
      forwards: 1,
    });
    if (!partCache) {
      const rows = positionsFrom(stored, end - stored);
      const write = start - stored;
      const sources = sourcesOf(query, rows, start);
      const statistics = await run(rows, ids, { attention, write, query: sources }, want);
      stored = start;
      return told(statistics, stores === null ? end : end - start);
    }
    const full = { kind: 'full' } as const;
    const inside = positionsFrom(window.start, window.end - window.start);
    if (part?.start === window.start && ids[window.start] !== MASKED) {
      const sources = sourcesOf(query, inside, window.start);
      return told(await run(inside, ids, { attention: full, write: 0, query: sources }, want), inside.length);
    }
    forgetPart();
    const outside = positionsFrom(start, end - start).filter((p) => p < window.start || p >= window.end);
    const rows = Int32Array.from([...outside, ...inside]);
    const sources = sourcesOf(query, rows, start);
    const statistics = await run(rows, ids, { attention: full, write: outside.length, query: sources }, want);
    part = window;
    return told(statistics, rows.length);
  }

  return {
    get length() {
      return stored;
    },
    keep,
    look,
    truncate() {},
    release: () => null,
  };
}

const storesAtEnd = (atEnd: 'always' | 'unlessStopped' | 'never', ended: 'stopped' | 'full'): boolean =>
  atEnd === 'always' || (atEnd === 'unlessStopped' && ended === 'full');
