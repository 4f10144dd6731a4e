/**
 * What forwards of several sequences cost. Rows of many sequences are one product like rows of one, but each sequence has
 * keys and values of its own to read, so the cost of rows alone promises more than a server with many clients can give.
 */
import { interpolate } from './cost-curve.ts';

export interface BatchedCosts {
  sequences: number[];
  /** Of each sequence. */
  rows: number[];
  /** Cached places of each sequence. */
  prefix: number;
  /** Median of a forward that asks about all rows. [sequences, rows] */
  ms: number[][];
}

/** Milliseconds of a forward of so many sequences, each with so many rows. */
export const batchedMs = ({ sequences, rows, ms }: BatchedCosts, count: number, each: number): number =>
  interpolate(
    sequences,
    ms.map((row) => interpolate(rows, row, each)),
    count,
  );

/** How often the rows of one sequence are done in the time that all rows of a forward of several take. [sequences, rows] */
export const gains = ({ sequences, ms }: BatchedCosts): number[][] =>
  ms.map((row, s) => row.map((each, r) => (sequences[s] * ms[0][r]) / each));

/** What more sequences must bring to be worth the wait of each for all others. */
const WORTH = 1.02;

/**
 * How many sequences a forward should take: the fewest after which more bring nothing. A batch beyond that only makes
 * each of its members wait longer.
 */
export function bestTogether(costs: BatchedCosts): number {
  const most = costs.rows.length - 1;
  const each = gains(costs).map((row) => row[most]);
  const best = Math.max(...each);
  return costs.sequences[each.findIndex((gain) => gain * WORTH >= best)];
}
