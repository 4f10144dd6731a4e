import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { corrupt, stratified, type Corruption, type Masking } from './corrupt.ts';
import { cosine, linear } from './schedule.ts';

const MASK = 99;

/** Blocks of random lengths, some of them partly or wholly out of bounds for masks. */
const batch = fc
  .array(fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 8 })
  .map((blocks) => ({
    ids: Int32Array.from(blocks.flat(), (_, at) => at % 50),
    eligible: Uint8Array.from(blocks.flat(), Number),
    groups: Int32Array.from(blocks.flatMap((block, group) => block.map(() => group))),
  }));

const masking = fc.constantFrom<Masking>('bernoulli', 'exactCount');

const options = (part: Pick<Corruption, 'eligible' | 'groups' | 'masking'>, seed: number): Corruption => ({
  ...part,
  schedule: cosine,
  maskTokenId: MASK,
  rng: createRng(seed),
});

/** Places of each group where `where` holds. */
function byGroup(groups: Int32Array, where: (at: number) => boolean): Map<number, number[]> {
  const places = new Map<number, number[]>();
  groups.forEach((group, at) => {
    if (where(at)) places.set(group, [...(places.get(group) ?? []), at]);
  });
  return places;
}

test('masks stand exactly where it says, only at eligible tokens, and all else is untouched', () => {
  fc.assert(
    fc.property(batch, masking, fc.nat(), (part, masking, seed) => {
      const before = part.ids.slice();
      const { noisy, masked, weights, eligible } = corrupt(part.ids, options({ ...part, masking }, seed));
      expect(part.ids).toEqual(before);
      const at = new Set(masked);
      noisy.forEach((id, i) => expect(id).toBe(at.has(i) ? MASK : part.ids[i]));
      expect(masked.every((i) => part.eligible[i] === 1)).toBe(true);
      expect(masked).toEqual(masked.toSorted());
      expect(at.size).toBe(masked.length);
      expect(weights.length).toBe(masked.length);
      expect(weights.every((weight) => weight > 0 && Number.isFinite(weight))).toBe(true);
      expect(eligible).toBe(part.eligible.reduce((sum, one) => sum + one, 0));
    }),
  );
});

test('masks of a group weigh the same; with exact counts every group has some, and together they weigh L', () => {
  fc.assert(
    fc.property(batch, masking, fc.nat(), (part, masking, seed) => {
      const { masked, weights } = corrupt(part.ids, options({ ...part, masking }, seed));
      const weightAt = new Map([...masked].map((at, i) => [at, weights[i]]));
      const chosen = byGroup(part.groups, (at) => weightAt.has(at));
      for (const places of chosen.values()) {
        expect(new Set(places.map((at) => weightAt.get(at))).size).toBe(1);
      }
      if (masking === 'bernoulli') return;
      for (const [group, members] of byGroup(part.groups, (at) => part.eligible[at] === 1)) {
        const places = chosen.get(group) ?? [];
        expect(places.length).toBeGreaterThan(0);
        expect(places.length * weightAt.get(places[0])!).toBeCloseTo(members.length, 4);
      }
    }),
  );
});

test('a function of the seed', () => {
  fc.assert(
    fc.property(batch, masking, fc.nat(), (part, masking, seed) => {
      const draw = () => corrupt(part.ids, options({ ...part, masking }, seed));
      expect(draw()).toEqual(draw());
    }),
  );
});

describe('frequencies', () => {
  const L = 3;
  const counts = (masking: Masking): Map<string, number> => {
    const part = { eligible: new Uint8Array(L).fill(1), groups: new Int32Array(L), masking };
    const rng = createRng(3);
    const seen = new Map<string, number>();
    for (let i = 0; i < 30_000; i++) {
      const { masked } = corrupt(new Int32Array(L), { ...part, schedule: linear, maskTokenId: MASK, rng });
      const key = masked.join('');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    return seen;
  };
  // Four standard deviations of a share of 30,000 draws are below 0.012.
  const share = (seen: Map<string, number>, key: string): number => (seen.get(key) ?? 0) / 30_000;

  test('exact counts: every count alike, and every set of that size alike', () => {
    const seen = counts('exactCount');
    for (const set of ['0', '1', '2', '01', '02', '12'])
      expect(Math.abs(share(seen, set) - 1 / 9)).toBeLessThan(0.012);
    expect(Math.abs(share(seen, '012') - 1 / 3)).toBeLessThan(0.012);
  });

  test('independent masks over uniform time: every count from none to all alike', () => {
    const seen = counts('bernoulli');
    for (const set of ['0', '1', '2', '01', '02', '12'])
      expect(Math.abs(share(seen, set) - 1 / 12)).toBeLessThan(0.012);
    for (const set of ['', '012']) expect(Math.abs(share(seen, set) - 1 / 4)).toBeLessThan(0.012);
  });
});

test('stratified levels: one in each n-th of [0, 1), in no order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (n, seed) => {
      const levels = stratified(n, createRng(seed));
      expect([...levels].map((level) => Math.floor(level * n)).toSorted((a, b) => a - b)).toEqual([
        ...Array(n).keys(),
      ]);
    }),
  );
  const first = Array.from({ length: 4000 }, (_, seed) => stratified(8, createRng(seed))[0]);
  expect(first.reduce((sum, level) => sum + level, 0) / 4000).toBeCloseTo(0.5, 1);
});

test('with an order the latest tokens of a group are masked; a least share holds', () => {
  fc.assert(
    fc.property(batch, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (part, seed, leastMasked) => {
      const order = Float32Array.from(part.ids, (_, at) => (at * 7919) % 13);
      const given = { ...options({ ...part, masking: 'exactCount' }, seed), order, leastMasked };
      const masked = new Set(corrupt(part.ids, given).masked);
      for (const places of byGroup(part.groups, (at) => part.eligible[at] === 1).values()) {
        const inside = places.filter((at) => masked.has(at));
        const outside = places.filter((at) => !masked.has(at));
        expect(inside.length).toBeGreaterThanOrEqual(Math.floor(leastMasked * places.length));
        for (const late of inside) {
          for (const early of outside) expect(order[late]).toBeGreaterThanOrEqual(order[early]);
        }
      }
    }),
  );
});
