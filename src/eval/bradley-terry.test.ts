import { describe, expect, it } from 'vitest';
import { createRng } from '../rng.ts';
import { board } from './bradley-terry.ts';
import type { PairVote } from './bradley-terry.ts';

const votes = (top: string, bottom: string, outcome: PairVote['outcome'], count: number): PairVote[] =>
  Array.from({ length: count }, () => ({ top, bottom, outcome }));

/** Two players who change places equally often, so that the place is worth nothing: one equation is left. */
function solved(wins: number, losses: number): number {
  // ½(w² + w²) + losses(2w): w + ln10 · (n σ(2w ln10) − wins) = 0 for w of the one, −w of the other; by bisection.
  let [low, high] = [-10, 10];
  for (let i = 0; i < 200; i++) {
    const w = (low + high) / 2;
    const p = 1 / (1 + 10 ** (-2 * w));
    if (w + Math.LN10 * ((wins + losses) * p - wins) > 0) high = w;
    else low = w;
  }
  return 1000 + 400 * low;
}

const ratingOf = (all: readonly PairVote[], name: string): number =>
  board(all, { rounds: 0 }).ratings.find((each) => each.name === name)!.rating;

describe('ratings', () => {
  it('solve the penalised likelihood of two players', () => {
    const all = [
      ...votes('a', 'b', 'top', 6),
      ...votes('a', 'b', 'bottom', 2),
      ...votes('b', 'a', 'bottom', 6),
      ...votes('b', 'a', 'top', 2),
    ];
    const { ratings, top, topShare } = board(all, { rounds: 0 });
    expect(ratings.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(ratings[0].rating).toBeCloseTo(solved(12, 4), 6);
    expect(ratings[1].rating).toBeCloseTo(2000 - solved(12, 4), 6);
    expect(top.points).toBeCloseTo(0, 6);
    expect(topShare).toBe(0.5);
    expect(ratings[0]).toMatchObject({ votes: 16, wins: 12, losses: 4, ties: 0 });
  });

  it('count both and neither as half a win for each', () => {
    const ties = [...votes('a', 'b', 'both', 3), ...votes('b', 'a', 'neither', 5)];
    const { ratings, topShare } = board(ties, { rounds: 0 });
    for (const { rating, ties: count } of ratings) {
      expect(rating).toBeCloseTo(1000, 6);
      expect(count).toBe(8);
    }
    expect(topShare).toBeNull();
    // Half a win and half a loss pull towards the middle as a win and a loss would, half as hard.
    const won = votes('a', 'b', 'top', 4);
    expect(ratingOf([...won, ...votes('a', 'b', 'both', 4)], 'a')).toBeLessThan(ratingOf(won, 'a'));
  });

  it('put down to the place what the place explains', () => {
    // Whoever stands on top wins 9 of 10, and a stood on top far more often: nobody is better.
    const all = [
      ...votes('a', 'b', 'top', 90),
      ...votes('a', 'b', 'bottom', 10),
      ...votes('b', 'a', 'top', 9),
      ...votes('b', 'a', 'bottom', 1),
    ];
    const { ratings, top, topShare } = board(all);
    expect(topShare).toBe(0.9);
    // Counting wins alone would put 91 of 110 wins, 272 points, between them; the penalty leaves a trace of it.
    expect(Math.abs(ratings[0].rating - ratings[1].rating)).toBeLessThan(20);
    // Odds of nine to one are 382 points, drawn in a little by the penalty.
    expect(top.points).toBeGreaterThan(340);
    expect(top.points).toBeLessThan(382);
    expect(top.low).toBeLessThan(top.points);
    expect(top.high).toBeGreaterThan(top.points);
  });

  it('find known strengths again under a strong preference for the top, with intervals that hold them', () => {
    const truth: Record<string, number> = { a: 1150, b: 1050, c: 1000, d: 800 };
    const placePoints = 250;
    const names = Object.keys(truth);
    const rng = createRng(5);
    const all = Array.from({ length: 6000 }, (): PairVote => {
      const top = rng.int(names.length);
      const bottom = (top + 1 + rng.int(names.length - 1)) % names.length;
      const points = truth[names[top]] - truth[names[bottom]] + placePoints;
      const outcome = rng.next() < 1 / (1 + 10 ** (-points / 400)) ? 'top' : 'bottom';
      return { top: names[top], bottom: names[bottom], outcome };
    });
    const { ratings, top } = board(all, { rounds: 100 });
    expect(ratings.map(({ name }) => name)).toEqual(names);
    for (const { name, rating, low, high } of ratings) {
      expect(Math.abs(rating - truth[name])).toBeLessThan(25);
      expect(low).toBeLessThan(rating);
      expect(high).toBeGreaterThan(rating);
      expect(high - low).toBeLessThan(60);
    }
    expect(Math.abs(top.points - placePoints)).toBeLessThan(25);
  });

  it('stay finite where somebody always wins, and are the same for the same seed', () => {
    const all = votes('a', 'b', 'top', 200);
    const one = board(all, { rounds: 20, rng: createRng(3) });
    for (const { rating, low, high } of one.ratings) {
      expect([rating, low, high].every(Number.isFinite)).toBe(true);
    }
    expect(board(all, { rounds: 20, rng: createRng(3) })).toEqual(one);
  });

  it('are none without votes', () => {
    expect(board([])).toEqual({
      ratings: [],
      top: { points: 0, low: 0, high: 0 },
      topShare: null,
      votes: 0,
    });
  });
});
