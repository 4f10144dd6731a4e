/**
 * The settled text before the active block, as the denoiser sees it. Two kinds of forward exist: `extend`
 * runs finished text once and keeps its keys and values, `denoise` runs the active block over them.
 */
import { assert } from '../errors.ts';
import type { Denoiser, Statistics, StatisticsRequest } from '../model/denoiser.ts';
import { MASKED } from './canvas.ts';
import type { Span } from './canvas.ts';
import type { LayoutPlan } from './layouts.ts';

/**
 * `block`: every finished block enters the cache once, which is exact for the layouts that have a cache.
 * `none`: every forward computes its whole context again; slow, and the reference that `block` must equal.
 */
export type CacheMode = 'none' | 'block';

export interface Context {
  /** Positions whose text is behind us: a block may be denoised when it starts here. */
  readonly length: number;
  /**
   * Takes ids[length, end) into the context. With `query` it returns the distribution that the last row
   * predicts, that of position `end`.
   */
  extend(ids: Int32Array, end: number, query: boolean, want: StatisticsRequest): Promise<Statistics>;
  /** Distributions at the given masked positions of a block; changes nothing. */
  denoise(ids: Int32Array, block: Span, positions: number[], want: StatisticsRequest): Promise<Statistics>;
  /** Gives the memory back. */
  release(): void;
}

const NOTHING: StatisticsRequest = { topK: 1, entropy: false };

export function createContext(denoiser: Denoiser, plan: LayoutPlan, mode: CacheMode): Context {
  const { context: attention } = plan;
  const maskTokenId = denoiser.config.tokens.mask;
  const cache = attention === null ? null : denoiser.createCache();
  let length = 0;

  const slice = (ids: Int32Array, start: number, end: number): Int32Array =>
    ids.slice(start, end).map((id) => {
      if (id !== MASKED) return id;
      assert(maskTokenId !== null, 'a model without a mask token was given a masked position');
      return maskTokenId;
    });

  async function write(
    ids: Int32Array,
    end: number,
    query: boolean,
    want: StatisticsRequest,
  ): Promise<Statistics> {
    assert(attention !== null && cache !== null, 'a layout without a cache was asked to fill it');
    if (mode === 'none') cache.truncate(0);
    const start = cache.length;
    const rows = Int32Array.from(query ? [end - start - 1] : []);
    const run = { ids: slice(ids, start, end), start, attention, cache, write: true, query: rows };
    const [statistics] = await denoiser.forward([run], want);
    return statistics;
  }

  return {
    get length() {
      return length;
    },
    async extend(ids, end, query, want) {
      const statistics = await write(ids, end, query, want);
      length = end;
      return statistics;
    },
    async denoise(ids, block, positions, want) {
      // Without a cache the run is the whole canvas; with one, the block alone.
      const { start, end } = cache === null ? { start: 0, end: ids.length } : block;
      if (mode === 'none' && length > 0) await write(ids, length, false, NOTHING);
      const query = Int32Array.from(positions, (position) => position - start);
      const run = {
        ids: slice(ids, start, end),
        start,
        attention: { kind: 'full' } as const,
        cache,
        write: false,
        query,
      };
      const [statistics] = await denoiser.forward([run], want);
      return statistics;
    },
    release: () => cache?.truncate(0),
  };
}
