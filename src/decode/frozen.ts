/**
 * Approximate caches for full attention, where every token changes all others and nothing could be kept exactly. Keys
 * and values of some positions are frozen for a while, and only the others run:
 *
 * - `prefix` freezes what stands before the active block (Fast-dLLM 2505.22618, section 3.2);
 * - `dual` freezes everything outside it (the same, "DualCache");
 * - `interstep` freezes whatever has not changed for `SETTLED_LOOKS` forwards, wherever it stands (the idea of
 *   dLLM-Cache 2506.06295 and dKV-Cache 2505.15781: settled tokens drift little between steps).
 *
 * Everything is computed anew where a block starts, after `refreshEvery` forwards, and when a frozen token changes. So
 * with `refreshEvery: 1` each of them is `none`, which runs the whole canvas in every forward.
 */
import type { Denoiser } from '../model/denoiser.ts';
import { noiseOfMasks } from '../model/dit.ts';
import { MASKED } from './canvas.ts';
import type { CacheSettings, Context, Look } from './context.ts';
import { runIds } from './context.ts';

/** Forwards that a token must have stood unchanged before `interstep` freezes it. */
const SETTLED_LOOKS = 2;

/**
 * Where the row before a position speaks of it (`logitShift: sequence`), that row must run as well.
 * @param alone it runs only if it would anyway, else a position's own row speaks of it (Fast-dLLM v1 for Dream)
 */
export function createFrozenContext(
  denoiser: Denoiser,
  { mode, refreshEvery }: CacheSettings,
  { alone = false }: { alone?: boolean } = {},
): Context {
  const shift = denoiser.config.logitShift === 'sequence' ? 1 : 0;
  const sourceOf = (position: number): number => Math.max(0, position - shift);
  const cache = denoiser.createCache();
  /** Frozen positions with the token that they had then. */
  const frozen = new Map<number, number>();
  /** Forwards since everything ran; negative: never. */
  let age = -1;
  let blockStart = -1;
  let seen: Int32Array | null = null;
  /** Forwards that each position has kept its token. [T] */
  let unchanged = new Int32Array(0);

  /** Whether the frozen rows of this canvas must, or may, be frozen now. */
  function freezable({ ids, window }: Look, position: number): boolean {
    switch (mode) {
      case 'prefix':
        return position < window.start;
      case 'dual':
        return position < window.start || position >= window.end;
      case 'interstep':
        return ids[position] !== MASKED && unchanged[position] >= SETTLED_LOOKS;
      default:
        return false;
    }
  }

  function observe(ids: Int32Array): void {
    if (seen === null || seen.length !== ids.length)
      unchanged = new Int32Array(ids.length).fill(SETTLED_LOOKS);
    else ids.forEach((id, i) => (unchanged[i] = id === seen![i] ? unchanged[i] + 1 : 0));
    seen = ids.slice();
  }

  /** A model that is told the noise level hears that of the whole canvas, whatever part of it runs. */
  const noiseOn = (ids: Int32Array): { noise?: number } => {
    if (!denoiser.config.dit?.isToldNoise) return {};
    const masks = ids.reduce((count, id) => count + Number(id === MASKED), 0);
    return { noise: noiseOfMasks(masks, ids.length) };
  };

  return {
    length: 0,
    async look(look, want) {
      const { ids, window, query } = look;
      observe(ids);
      const sources = new Set(query.map(sourceOf));
      const changed = [...frozen].some(
        ([position, id]) => ids[position] !== id || (shift > 0 && !alone && sources.has(position)),
      );
      if (age < 0 || age >= refreshEvery || window.start !== blockStart || changed) {
        frozen.clear();
        cache.truncate(0);
        age = 0;
        blockStart = window.start;
      }
      age++;
      // Rows to be frozen run first, since a run keeps its leading rows.
      const [kept, others]: [number[], number[]] = [[], []];
      ids.forEach((_, position) => {
        if (frozen.has(position)) return;
        const isNeeded = shift > 0 && !alone && sources.has(position);
        (freezable(look, position) && !isNeeded ? kept : others).push(position);
      });
      const rows = Int32Array.from([...kept, ...others]);
      const rowOf = new Map(Array.from(rows, (position, row) => [position, row]));
      const [statistics] = await denoiser.forward(
        [
          {
            ids: runIds(
              denoiser,
              rows.map((position) => ids[position]),
            ),
            positions: rows,
            attention: { kind: 'full' },
            cache: mode === 'none' ? null : cache,
            ...noiseOn(ids),
            write: kept.length,
            query: Int32Array.from(
              query,
              (position) => rowOf.get(sourceOf(position)) ?? rowOf.get(position)!,
            ),
          },
        ],
        want,
      );
      for (const position of kept) frozen.set(position, ids[position]);
      return { statistics, positions: rows.length, forwards: 1 };
    },
    truncate() {},
    release: () => null,
  };
}
