import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import { appendCanvas, fixedCanvas, MASKED } from './canvas.ts';
import { decode } from './decode.ts';
import { collect } from './events.ts';
import { createFilm } from './film.ts';
import type { CellState, Frame } from './film.ts';

const AGE: Record<CellState, number> = { masked: 0, fresh: 1, held: 2, settled: 3 };

describe('film', () => {
  it.each(LAYOUTS)('only ever develops (%s)', async (layout) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.constantFrom(0.2, 0.5, 1.1), async (seed, threshold) => {
        const canvas = appendCanvas([3, 4, 5], 14);
        const { events, done } = await collect(
          decode(createToyDenoiser({ layout, seed }), canvas, { threshold }),
        );
        const film = createFilm(canvas);
        const frames = events.map(film).filter((frame): frame is Frame => frame !== null);
        expect(frames).toHaveLength(events.filter(({ type }) => type === 'commit').length + 1);
        for (const [i, { cells }] of frames.slice(1, -1).entries()) {
          for (const [at, before] of frames[i].cells.entries()) {
            expect(AGE[cells[at].state]).toBeGreaterThanOrEqual(
              before.state === 'fresh' ? 2 : AGE[before.state],
            );
            expect(before.id === MASKED || cells[at].id === before.id).toBe(true);
          }
          expect(cells.some(({ state }) => state === 'fresh')).toBe(true);
        }
        const last = frames.at(-1)!;
        expect(last.step).toBeNull();
        expect(last.cells.map(({ id }) => id)).toEqual(done.ids);
        expect(last.cells.every(({ state }) => state === 'settled')).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('shows given tokens as settled from the start', async () => {
    const canvas = fixedCanvas([2, MASKED, 5, MASKED]);
    const { events } = await collect(
      decode(createToyDenoiser({ layout: 'full' }), canvas, { threshold: 1.1 }),
    );
    const [first] = events.map(createFilm(canvas)).filter((frame): frame is Frame => frame !== null);
    expect(first.cells.map(({ state }) => state).toSorted()).toEqual([
      'fresh',
      'masked',
      'settled',
      'settled',
    ]);
    expect(first.step).toMatchObject({ nfe: 1, kind: 'prefill' });
  });
});
