import { describe, expect, it } from 'vitest';
import { createRng } from '../rng.ts';
import { slidingOrder, suffixOrder } from './trajectory.ts';

// Two blocks with an anchor each, then padding.
const eligible = Uint8Array.of(0, 1, 1, 1, 0, 1, 1, 1, 0);
const groups = Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1, 2);

describe('suffixOrder', () => {
  it('goes from left to right; a few are ahead of their turn, the first of a block never', () => {
    const rng = createRng(1, 'order');
    let ahead = 0;
    for (let round = 0; round < 500; round++) {
      const order = suffixOrder(eligible, groups, rng);
      expect([order[1], order[5]]).toEqual([0, 0]);
      for (const [at, place] of [
        [2, 1],
        [3, 2],
        [6, 1],
        [7, 2],
      ]) {
        if (order[at] < 0) ahead++;
        else expect(order[at]).toBe(place);
      }
    }
    expect(ahead / 2000).toBeCloseTo(0.15, 1);
  });
});

describe('slidingOrder', () => {
  it('has what the model is sure of first, the surest before the less sure', () => {
    const nll = Float32Array.of(0, 0.0001, 5, 0.0001, 0, 3, 0.00001, 0.0001, 0);
    const order = slidingOrder(eligible, groups, nll, createRng(2, 'order'));
    expect(order[1]).toBe(0);
    expect(order[2]).toBe(1);
    expect(order[3]).toBeLessThan(0);
    expect(order[6]).toBeLessThan(order[7]);
  });

  it('is from left to right where the model is never sure', () => {
    const order = slidingOrder(eligible, groups, new Float32Array(9).fill(2), createRng(3, 'order'));
    expect([...order]).toEqual([0, 0, 1, 2, 0, 0, 1, 2, 0]);
  });
});
