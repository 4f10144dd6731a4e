import { describe, expect, it } from 'vitest';
import type { KvCache } from '../model/denoiser.ts';
import type { LayoutPlan } from './layouts.ts';
import { createPrefixCache } from './prefix-cache.ts';

const plan = { predictsNext: true, context: { kind: 'causal' } } as unknown as LayoutPlan;

/** A byte a place. */
function cacheOf(length: number): KvCache {
  let places = length;
  return {
    get length() {
      return places;
    },
    get sizeBytes() {
      return places;
    },
    truncate: (to: number) => void (places = to),
    clone: () => cacheOf(places),
  };
}

const text = (length: number, first = 0): Int32Array => Int32Array.from({ length }, (_, i) => first + i);

describe('the prefix cache', () => {
  it('keeps once what requests that ran side by side bring back', () => {
    const cache = createPrefixCache({ maxBytes: 1000 });
    for (let i = 0; i < 8; i++) cache.give(text(40), plan, cacheOf(40));
    expect(cache.sizeBytes).toBe(40);
    // The longer one has it all, whichever comes first.
    cache.give(text(60), plan, cacheOf(60));
    cache.give(text(50), plan, cacheOf(50));
    expect(cache.sizeBytes).toBe(60);
    cache.give(text(40, 7), plan, cacheOf(40));
    expect(cache.sizeBytes).toBe(100);
    expect(cache.take(text(56), plan)!.length).toBe(55);
  });

  it('lets go what was not used for longest', () => {
    const cache = createPrefixCache({ maxBytes: 100 });
    cache.give(text(40, 100), plan, cacheOf(40));
    cache.give(text(40, 200), plan, cacheOf(40));
    // Brought again: used.
    cache.give(text(40, 100), plan, cacheOf(40));
    cache.give(text(40, 300), plan, cacheOf(40));
    expect(cache.take(text(41, 200), plan)).toBeNull();
    expect(cache.take(text(41, 100), plan)!.length).toBe(40);
  });
});
