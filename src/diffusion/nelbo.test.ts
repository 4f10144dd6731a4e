import { describe, expect, test } from 'vitest';
import { createRng } from '../rng.ts';
import { corrupt, type Masking } from './corrupt.ts';
import { estimateBound, exactBound } from './nelbo.ts';
import { cosine, linear, logLinear, polynomial, type NoiseSchedule } from './schedule.ts';

/** A vocabulary of three, texts of four: small enough to go through every mask, order and text. */
const V = 3;
const L = 4;
const MASK = V;

/** A random "model": any distribution for every place given every canvas, −log p(token at `place` | canvas). */
function nll(canvas: readonly number[], place: number, token: number): number {
  const key = `${canvas.join('')}:${place}`;
  let losses = known.get(key);
  if (!losses) {
    const rng = createRng(1, 'model', key);
    const logits = Array.from({ length: V }, () => 2 * rng.normal());
    const logSumExp = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
    known.set(key, (losses = logits.map((z) => logSumExp - z)));
  }
  return losses[token];
}

const known = new Map<string, number[]>();

const TEXTS = Array.from({ length: V ** L }, (_, n) =>
  Array.from({ length: L }, (_, i) => Math.floor(n / V ** i) % V),
);
const TEXT = [2, 0, 1, 1];

const hide = (text: readonly number[], masked: readonly number[]): number[] =>
  text.map((token, i) => (masked.includes(i) ? MASK : token));

/** Σ −log p at the masked places of a text. */
function lossOf(text: readonly number[]) {
  return (masked: number[]): number => {
    const canvas = hide(text, masked);
    return masked.reduce((sum, i) => sum + nll(canvas, i, text[i]), 0);
  };
}

const EXACT = exactBound(L, lossOf(TEXT));

/** −log p of a text generated in a given order. */
function lossInOrder(text: readonly number[], order: readonly number[]): number {
  return order.reduce((sum, place, step) => sum + nll(hide(text, order.slice(step)), place, text[place]), 0);
}

const orders = (places: readonly number[]): number[][] =>
  places.length === 0
    ? [[]]
    : places.flatMap((first) => orders(places.filter((p) => p !== first)).map((rest) => [first, ...rest]));

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('the bound', () => {
  test('is the mean cost of generating in a random order', () => {
    for (const text of TEXTS.slice(0, 9)) {
      const anyOrder = mean(orders([0, 1, 2, 3]).map((order) => lossInOrder(text, order)));
      expect(exactBound(L, lossOf(text))).toBeCloseTo(anyOrder, 10);
    }
  });

  test('is a bound: above −log of a distribution over texts', () => {
    const likelihood = (text: number[]): number =>
      mean(orders([0, 1, 2, 3]).map((order) => Math.exp(-lossInOrder(text, order))));
    expect(TEXTS.reduce((sum, text) => sum + likelihood(text), 0)).toBeCloseTo(1, 10);
    for (const text of TEXTS)
      expect(exactBound(L, lossOf(text))).toBeGreaterThanOrEqual(-Math.log(likelihood(text)));
  });

  test.each([linear, cosine, polynomial(2), polynomial(0.7), logLinear()])(
    'is the same for schedule $name',
    (schedule) => {
      expect(boundByTime(schedule)).toBeCloseTo(EXACT, 5);
    },
  );

  test('with alpha(1) = epsilon lacks about epsilon of the loss of a fully masked row', () => {
    const epsilon = 1e-3;
    const missing = (EXACT - boundByTime(logLinear(epsilon))) / (epsilon * lossOf(TEXT)([0, 1, 2, 3]));
    expect(missing).toBeCloseTo(1, 2);
  });
});

/**
 * ∫ w(t) E[loss | t] dt over the times whose weight is below `cap`, with the expectation over all masks; by the midpoint
 * rule in s = t^(1/3), which tames t = 0.
 */
function boundByTime(schedule: NoiseSchedule, cap = Infinity): number {
  const losses = Array.from({ length: 2 ** L }, (_, mask) => [0, 1, 2, 3].filter((i) => mask & (1 << i))).map(
    (masked) => [masked.length, lossOf(TEXT)(masked)] as const,
  );
  const steps = 4000;
  let nats = 0;
  for (let step = 0; step < steps; step++) {
    const s = (step + 0.5) / steps;
    const t = s ** 3;
    const alpha = schedule.alpha(t);
    if (schedule.lossWeight(t) >= cap) continue;
    const expected = losses.reduce(
      (sum, [count, loss]) => sum + (1 - alpha) ** count * alpha ** (L - count) * loss,
      0,
    );
    nats += (schedule.lossWeight(t) * expected * 3 * s * s) / steps;
  }
  return nats;
}

/** Draws many corruptions of `rows` copies of TEXT. Each gives one estimate of the bound of TEXT; weights from `cap` up count 0. */
function estimates(
  {
    masking,
    schedule = linear,
    groups = [0, 0, 0, 0],
    eligible = [1, 1, 1, 1],
    cap = Infinity,
  }: {
    masking: Masking;
    schedule?: NoiseSchedule;
    groups?: number[];
    eligible?: number[];
    cap?: number;
  },
  loss: (place: number, masked: number[]) => number,
  { rows, draws }: { rows: number; draws: number },
): number[] {
  const rng = createRng(5, masking, schedule.name);
  const ids = Int32Array.from({ length: rows * L }, (_, at) => TEXT[at % L]);
  return Array.from({ length: draws }, () => {
    const corrupted = corrupt(ids, {
      eligible: Uint8Array.from(ids, (_, at) => eligible[at % L]),
      groups: Int32Array.from(ids, (_, at) => Math.floor(at / L) * L + groups[at % L]),
      masking,
      schedule,
      maskTokenId: MASK,
      rng,
    });
    const maskedIn = (row: number): number[] =>
      [...corrupted.masked].filter((at) => Math.floor(at / L) === row).map((at) => at % L);
    const nats = Array.from(corrupted.masked, (at) => loss(at % L, maskedIn(Math.floor(at / L))));
    const weights = corrupted.weights.map((weight) => (weight < cap ? weight : 0));
    return estimateBound({ weights }, nats) / rows;
  });
}

/** How many standard errors the mean of estimates lies from `exact`; the error itself must be small. */
function biasOf(values: number[], exact: number): number {
  const error = deviation(values) / Math.sqrt(values.length);
  expect(error).toBeLessThan(0.02 * exact);
  return Math.abs(mean(values) - exact) / error;
}

const deviation = (values: number[]): number =>
  Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));

const wholeRow = (place: number, masked: number[]): number => nll(hide(TEXT, masked), place, TEXT[place]);

describe('estimators of whole rows', () => {
  test('exact counts are unbiased', () => {
    expect(
      biasOf(estimates({ masking: 'exactCount' }, wholeRow, { rows: 1, draws: 20_000 }), EXACT),
    ).toBeLessThan(4);
  });

  // Draws near t = 0 weigh without limit: with `linear` and `cosine` the variance is infinite, and no mean of draws can be
  // trusted. Compared is the part of the bound whose weight is below a cap.
  test.each([linear, cosine, polynomial(2), logLinear(1e-3)])(
    'independent masks are unbiased, schedule $name',
    (schedule) => {
      const values = estimates({ masking: 'bernoulli', schedule, cap: 30 }, wholeRow, {
        rows: 4,
        draws: 10_000,
      });
      const exact = boundByTime(schedule, 30);
      expect(exact).toBeGreaterThan(0.9 * EXACT);
      expect(biasOf(values, exact)).toBeLessThan(4);
    },
  );

  test('with a schedule that tames t = 0 they need no cap', () => {
    const values = estimates({ masking: 'bernoulli', schedule: polynomial(2) }, wholeRow, {
      rows: 4,
      draws: 10_000,
    });
    expect(biasOf(values, EXACT)).toBeLessThan(4);
  });

  test('tokens that are not eligible stay visible and are not counted', () => {
    const exact = exactBound(3, (masked) => lossOf(TEXT)(masked.map((i) => [0, 2, 3][i])));
    const values = estimates({ masking: 'exactCount', eligible: [1, 0, 1, 1] }, wholeRow, {
      rows: 1,
      draws: 20_000,
    });
    expect(biasOf(values, exact)).toBeLessThan(4);
  });

  test.each(['bernoulli', 'exactCount'] as const)(
    'spreading the levels of %s over rows takes noise away',
    (masking) => {
      const schedule = polynomial(2);
      // A loss that grows with the masks around it, as real ones do, and has no other noise.
      const crowd = (_: number, masked: number[]): number => masked.length;
      const together = deviation(estimates({ masking, schedule }, crowd, { rows: 16, draws: 500 }));
      const alone =
        deviation(estimates({ masking, schedule }, crowd, { rows: 1, draws: 8000 })) / Math.sqrt(16);
      expect(together).toBeLessThan(0.8 * alone);
    },
  );
});

describe('estimators of blocks', () => {
  const BLOCKS = [0, 0, 0, 1];
  /** A block sees the clean tokens before it; those after it do not exist yet. */
  const inBlocks =
    (blocks: number[]) =>
    (place: number, masked: number[]): number => {
      const own = masked.filter((i) => blocks[i] === blocks[place]);
      return nll(
        hide(TEXT, own).filter((_, i) => blocks[i] <= blocks[place]),
        place,
        TEXT[place],
      );
    };
  const exactOf = (blocks: number[]): number =>
    [...new Set(blocks)].reduce((nats, block) => {
      const places = [0, 1, 2, 3].filter((i) => blocks[i] === block);
      return (
        nats +
        exactBound(places.length, (masked) => {
          const own = masked.map((i) => places[i]);
          return own.reduce((sum, place) => sum + inBlocks(blocks)(place, own), 0);
        })
      );
    }, 0);

  test.each(['bernoulli', 'exactCount'] as const)('%s is unbiased for the sum of the blocks', (masking) => {
    const values = estimates({ masking, schedule: polynomial(2), groups: BLOCKS }, inBlocks(BLOCKS), {
      rows: 4,
      draws: 10_000,
    });
    expect(biasOf(values, exactOf(BLOCKS))).toBeLessThan(4);
  });

  test('exact counts of blocks of one token are the autoregressive loss, without noise', () => {
    const single = [0, 1, 2, 3];
    const autoregressive = TEXT.reduce(
      (sum, token, i) => sum + nll([...TEXT.slice(0, i), MASK], i, token),
      0,
    );
    for (const value of estimates({ masking: 'exactCount', groups: single }, inBlocks(single), {
      rows: 2,
      draws: 20,
    })) {
      expect(value).toBeCloseTo(autoregressive, 6);
    }
    expect(exactOf(single)).toBeCloseTo(autoregressive, 10);
  });
});
