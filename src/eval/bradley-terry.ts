/**
 * Ratings from votes on pairs (Bradley & Terry 1952), as Copilot Arena's board has them (Chi et al., 2502.09328): logistic
 * regression without intercept, L2 with C = 1, scale 400, base 1000. Whoever stands on top is taken more often whoever it
 * is, so the place is a covariate of its own:
 *
 *   P(top wins) = 1 / (1 + 10^−(w_top − w_bottom + p)),   rating = 1000 + 400 w,
 *
 * with p the worth of standing on top. What is minimised is ½(Σ w² + p²) + C Σ losses, the losses in nats.
 */
import { createRng } from '../rng.ts';
import type { Rng } from '../rng.ts';

/** `both` and `neither` say that the two are equal: half a win for each. */
export interface PairVote {
  top: string;
  bottom: string;
  outcome: 'top' | 'bottom' | 'both' | 'neither';
}

export interface Rating {
  name: string;
  /** 1000 is the middle; 400 more are odds of ten to one. */
  rating: number;
  /** Percentiles of the bootstrap, two-sided 95 %. */
  low: number;
  high: number;
  votes: number;
  /** Where there was a winner. */
  wins: number;
  losses: number;
  ties: number;
}

export interface Board {
  /** Best first. */
  ratings: Rating[];
  /** What standing on top is worth, in points of rating, taken out of the ratings. */
  top: { points: number; low: number; high: number };
  /** Share of the votes with a winner that took the top one; null without any. */
  topShare: number | null;
  votes: number;
}

export const SCALE = 400;
export const BASE = 1000;
const C = 1;
const ROUNDS = 300;
const TAIL = 0.025;
const MOST_STEPS = 50;
/** A step so short is the last one: the next would be about its square. */
const SHORT_STEP = 1e-6;
const SHORTEST = 1e-9;

/** All votes with the same two in the same places. */
interface Cell {
  top: number;
  bottom: number;
  topWins: number;
  bottomWins: number;
}

/** @param rng draws the votes of each bootstrap round (Efron 1979) */
export function board(
  votes: readonly PairVote[],
  { rounds = ROUNDS, rng = createRng(1) }: { rounds?: number; rng?: Rng } = {},
): Board {
  const names = [...new Set(votes.flatMap(({ top, bottom }) => [top, bottom]))].sort();
  const number = new Map(names.map((name, index) => [name, index]));
  const rows = votes.map(({ top, bottom, outcome }): Row => ({
    top: number.get(top)!,
    bottom: number.get(bottom)!,
    topShare: outcome === 'top' ? 1 : outcome === 'bottom' ? 0 : 0.5,
  }));
  const { cells, cellOf } = cellsOf(rows);
  const points = fit(cells, names.length).map((weight) => weight * SCALE);
  const drawn = Array.from({ length: votes.length === 0 ? 0 : rounds }, () => {
    const sample = cells.map((cell) => ({ ...cell, topWins: 0, bottomWins: 0 }));
    for (let i = 0; i < rows.length; i++) {
      const row = rng.int(rows.length);
      sample[cellOf[row]].topWins += rows[row].topShare;
      sample[cellOf[row]].bottomWins += 1 - rows[row].topShare;
    }
    return fit(sample, names.length).map((weight) => weight * SCALE);
  });
  const interval = (index: number): { low: number; high: number } => {
    const values = drawn.map((each) => each[index]).sort((a, b) => a - b);
    const at = (share: number): number => values[Math.max(0, Math.ceil(share * values.length) - 1)];
    return values.length === 0 ? { low: 0, high: 0 } : { low: at(TAIL), high: at(1 - TAIL) };
  };

  const ratings = names.map((name, index): Rating => {
    const { low, high } = interval(index);
    const own = rows.filter((row) => row.top === index || row.bottom === index);
    const ties = own.filter(({ topShare }) => topShare === 0.5).length;
    const wins = own.filter((row) => row.topShare === (row.top === index ? 1 : 0)).length;
    return {
      name,
      rating: BASE + points[index],
      low: BASE + low,
      high: BASE + high,
      votes: own.length,
      wins,
      ties,
      losses: own.length - wins - ties,
    };
  });
  const decided = rows.filter(({ topShare }) => topShare !== 0.5);
  const topWins = decided.filter(({ topShare }) => topShare === 1).length;
  return {
    ratings: ratings.sort((a, b) => b.rating - a.rating),
    top: { points: points[names.length], ...interval(names.length) },
    topShare: decided.length === 0 ? null : topWins / decided.length,
    votes: votes.length,
  };
}

interface Row {
  top: number;
  bottom: number;
  /** Of the win: 1, 0, or a half each. */
  topShare: number;
}

/** @returns the cells, and the number of each row's */
function cellsOf(rows: readonly Row[]): { cells: Cell[]; cellOf: Uint32Array } {
  const numbers = new Map<string, number>();
  const cells: Cell[] = [];
  const cellOf = Uint32Array.from(rows, ({ top, bottom, topShare }) => {
    const key = `${top} ${bottom}`;
    const number = numbers.get(key) ?? cells.push({ top, bottom, topWins: 0, bottomWins: 0 }) - 1;
    numbers.set(key, number);
    cells[number].topWins += topShare;
    cells[number].bottomWins += 1 - topShare;
    return number;
  });
  return { cells, cellOf };
}

/**
 * Newton's method on the penalised loss, which is strictly convex, so that the minimum is the only one; steps are halved
 * where they would go up. @returns weights of the players, then that of the top place; units of log₁₀ odds
 */
function fit(cells: readonly Cell[], players: number): number[] {
  const size = players + 1;
  let weights = Array.from({ length: size }, () => 0);
  let loss = lossOf(cells, weights);
  for (let step = 0; step < MOST_STEPS; step++) {
    const gradient = [...weights];
    const hessian = weights.map((_, i) => weights.map((_, j) => (i === j ? 1 : 0)));
    for (const cell of cells) {
      const { top, bottom, topWins, bottomWins } = cell;
      const total = topWins + bottomWins;
      const p = 1 / (1 + Math.exp(-marginOf(cell, weights)));
      const slope = C * Math.LN10 * (total * p - topWins);
      const curve = C * Math.LN10 ** 2 * total * p * (1 - p);
      const features = [
        [top, 1],
        [bottom, -1],
        [players, 1],
      ];
      for (const [i, x] of features) {
        gradient[i] += slope * x;
        for (const [j, y] of features) hessian[i][j] += curve * x * y;
      }
    }
    const direction = solve(hessian, gradient);
    if (Math.max(...direction.map(Math.abs)) < SHORT_STEP)
      return weights.map((weight, i) => weight - direction[i]);
    let length = 1;
    let next = weights;
    let nextLoss = loss;
    do {
      next = weights.map((weight, i) => weight - length * direction[i]);
      nextLoss = lossOf(cells, next);
      length /= 2;
    } while (nextLoss > loss && length > SHORTEST);
    [weights, loss] = [next, nextLoss];
  }
  return weights;
}

/** Log-odds of the top one, nats. */
const marginOf = ({ top, bottom }: Cell, weights: readonly number[]): number =>
  Math.LN10 * (weights[top] - weights[bottom] + weights[weights.length - 1]);

function lossOf(cells: readonly Cell[], weights: readonly number[]): number {
  const penalty = weights.reduce((sum, weight) => sum + weight * weight, 0) / 2;
  return cells.reduce((sum, cell) => {
    const margin = marginOf(cell, weights);
    return sum + C * (cell.topWins * softplus(-margin) + cell.bottomWins * softplus(margin));
  }, penalty);
}

/** log(1 + eˣ) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** A x = b for a symmetric positive definite A, by Cholesky. A is overwritten with its factor. */
function solve(a: number[][], b: readonly number[]): number[] {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i][j];
      for (let k = 0; k < j; k++) sum -= a[i][k] * a[j][k];
      a[i][j] = i === j ? Math.sqrt(sum) : sum / a[j][j];
    }
  }
  const x = [...b];
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] -= a[i][k] * x[k];
    x[i] /= a[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= a[k][i] * x[k];
    x[i] /= a[i][i];
  }
  return x;
}
