/**
 * The prefix and the active block as the BD3LM samplers of A2D see them. When a block is opened, everything before it is
 * encoded in one forward; the block then sees that and itself, while what stands before it never sees the block, not even
 * the beginning of its own grid block. Tokens with the pad id take no part: nobody sees them, and positions do not count
 * them; but inside the block that generated it a pad token is one like all others.
 *
 * Blocks that the last forward encoded whole are as they were, so only the others run; the official code computes all of
 * them anew, and `positions` counts so.
 */
import type { AttentionPattern, Denoiser, StatisticsRequest } from '../../model/denoiser.ts';
import { positionsFrom } from '../../model/denoiser.ts';
import { runIds } from '../context.ts';
import type { Context, KeepRequest, Kept, Look } from '../context.ts';

export function createPrefixContext(
  denoiser: Denoiser,
  { blockLength, padId }: { blockLength: number; padId: number | null },
): Context {
  const cache = denoiser.createCache();
  const attention: AttentionPattern = { kind: 'full' };
  /** Whole blocks in the cache: each ends here, with so many places. */
  const encoded: { end: number; places: number }[] = [{ end: 0, places: 0 }];
  let opened = -1;

  /** Runs the tokens [start, end) of one block over the cache, and keeps those that are no padding. */
  async function encode(ids: Int32Array, start: number, end: number): Promise<void> {
    const tokens = ids.slice(start, end).filter((id) => id !== padId);
    if (tokens.length === 0) return;
    const positions = positionsFrom(cache.length, tokens.length);
    const rows = { ids: runIds(denoiser, tokens), positions, attention, cache };
    const want: StatisticsRequest = { topK: 1, entropy: false };
    await denoiser.forward([{ ...rows, write: tokens.length, query: new Int32Array(0) }], want);
  }

  return {
    get length() {
      return cache.length;
    },
    async keep({ ids, end, ended }: KeepRequest): Promise<Kept | null> {
      if (ended !== null || end === opened) return null;
      opened = end;
      if (end === 0) return null;
      cache.truncate(encoded.at(-1)!.places);
      for (let start = encoded.at(-1)!.end; start < end; start += blockLength) {
        const blockEnd = Math.min(start + blockLength, end);
        await encode(ids, start, blockEnd);
        if (blockEnd % blockLength === 0) encoded.push({ end: blockEnd, places: cache.length });
      }
      return { kind: 'prefill', positions: end };
    },
    async look({ ids, window, query }: Look, want) {
      const { start, end } = window;
      const [statistics] = await denoiser.forward(
        [
          {
            ids: runIds(denoiser, ids.subarray(start, end)),
            positions: positionsFrom(cache.length, end - start),
            attention,
            cache,
            write: 0,
            query: Int32Array.from(query, (position) => position - start),
          },
        ],
        want,
      );
      return { statistics, positions: end - start, forwards: 1 };
    },
    truncate() {},
    release: () => null,
  };
}
