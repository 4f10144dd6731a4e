/**
 * Causal attention in which masks see all that is known (WeDLM 2512.22737, section 3): in a forward the known tokens of
 * the window stand before its masks, each with its own position. Tokens before the first mask see nothing but their
 * past, so their keys and values are final and stay in the cache.
 */
import { positionsFrom } from '../../model/denoiser.ts';
import type { Denoiser } from '../../model/denoiser.ts';
import { MASKED } from '../canvas.ts';
import { runIds } from '../context.ts';
import type { Context, KeepRequest, Kept, Look, Looked } from '../context.ts';

export interface Reordering {
  /** Positions that run, counted from the first mask. Null: those of the block. */
  windowLength: number | null;
  /** The prompt has a forward of its own. Else each official forward runs the whole text, and `positions` counts so. */
  prefills: boolean;
}

export function createReorderedContext(denoiser: Denoiser, { windowLength, prefills }: Reordering): Context {
  const cache = denoiser.createCache();
  const attention = { kind: 'causal' } as const;

  return {
    get length() {
      return cache.length;
    },
    async keep({ ids, end, ended }: KeepRequest, want): Promise<Kept | null> {
      if (!prefills || ended !== null || cache.length > 0 || end === 0) return null;
      const positions = positionsFrom(0, end);
      const run = { ids: runIds(denoiser, ids.subarray(0, end)), positions, attention, cache };
      await denoiser.forward([{ ...run, write: end, query: new Int32Array(0) }], want);
      return { kind: 'prefill', positions: end };
    },
    async look({ ids, contextEnd, window, query }: Look, want): Promise<Looked> {
      const end = windowLength === null ? window.end : Math.min(contextEnd + windowLength, ids.length);
      const places = positionsFrom(cache.length, end - cache.length);
      const known = places.filter((position) => ids[position] !== MASKED);
      const rows = Int32Array.from([...known, ...places.filter((position) => ids[position] === MASKED)]);
      const rowOf = new Map(Array.from(rows, (position, row) => [position, row]));
      const tokens = rows.map((position) => ids[position]);
      const [statistics] = await denoiser.forward(
        [
          {
            ids: runIds(denoiser, tokens),
            positions: rows,
            attention,
            cache,
            write: contextEnd - cache.length,
            query: Int32Array.from(query, (position) => rowOf.get(position)!),
          },
        ],
        want,
      );
      return { statistics, positions: prefills ? rows.length : end, forwards: 1 };
    },
    truncate() {},
    release: () => null,
  };
}
