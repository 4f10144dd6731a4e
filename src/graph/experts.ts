/**
 * Mixtures of experts: each row picks a few of many matrices. Rows are sorted by expert, so that every expert multiplies
 * one stretch of them; a stretch of no rows is no work (the runtime leaves a product early when its result is empty), so
 * the cost is that of the experts that were picked, and under a microsecond for each of the others. Inference only.
 */
import type { Value } from './graph.ts';
import { div, gatherRows, mul, reduceSum, reshape, splitBy } from './ops.ts';
import { product, type Dim } from './shape.ts';

/** The k largest of each row, falling, ties by lower index. x [N, E] to values [N, k] and indices [N, k] int64 */
export function topK(x: Value, k: number): { values: Value; indices: Value } {
  const [values, indices] = x.graph.node({
    op: 'TopK',
    inputs: [x, x.graph.ints([k])],
    outputs: [
      { dtype: 'float32', shape: x.shape.with(-1, k) },
      { dtype: 'int64', shape: x.shape.with(-1, k) },
    ],
    attributes: { axis: { int: -1 } },
  }) as [Value, Value];
  return { values, indices };
}

/** Entries of each row. x [N, E], indices [N, k] to [N, k] */
export const pick = (x: Value, indices: Value): Value =>
  x.graph.op({
    op: 'GatherElements',
    inputs: [x, indices],
    shape: indices.shape,
    attributes: { axis: { int: 1 } },
  });

/** `number` in the shape of another value. */
export const filled = (like: Value, number: number): Value =>
  like.graph.op({ op: 'Expand', inputs: [like.graph.scalar(number), shapeOf(like)], shape: like.shape });

const shapeOf = (x: Value): Value =>
  x.graph.op({ op: 'Shape', inputs: [x], shape: [x.shape.length], dtype: 'int64' });

/** Where each element of a sorted list stood, ties in order. x [R] int64 to [R] int64 */
function order(x: Value): Value {
  const list = { dtype: 'int64', shape: x.shape } as const;
  const [, indices] = x.graph.node({
    op: 'TopK',
    inputs: [x, shapeOf(x)],
    outputs: [list, list],
    attributes: { axis: { int: 0 }, largest: { int: 0 } },
  }) as [Value, Value];
  return indices;
}

/** Rows on their way to experts and back. R = k · N: each row once for every expert that it picked. */
export interface Dispatch {
  /** Sorted by expert. [R, D] */
  rows: Value;
  /** Puts each stretch of rows through its expert. [R, ..] to [R, ..] */
  perExpert: (rows: Value, apply: (rows: Value, expert: number) => Value) => Value;
  /** Back in order, weighted and summed. [R, D] and [N, k] to [N, D] */
  combine: (rows: Value, weights: Value) => Value;
}

/** @param x [N, D]; @param picked experts of each row, [N, k] int64 */
export function dispatch(x: Value, picked: Value, experts: number): Dispatch {
  const g = x.graph;
  const [N, D] = x.shape as [Dim, number];
  const k = picked.shape[1] as number;
  const R = product([k, N]);
  const flat = reshape(picked, [R]);
  const sorted = order(flat);
  const counts = g.op({
    op: 'ScatterElements',
    inputs: [
      g.constant('none', new BigInt64Array(experts), [experts]),
      flat,
      g.op({ op: 'Expand', inputs: [g.ints([1]), shapeOf(flat)], shape: [R], dtype: 'int64' }),
    ],
    shape: [experts],
    dtype: 'int64',
    attributes: { axis: { int: 0 }, reduction: 'add' },
  });
  const stretches = Array.from({ length: experts }, (_, expert) => `${expert}of${R}`.replaceAll('*', 'x'));
  return {
    rows: gatherRows(x, div(sorted, g.ints([k]))),
    perExpert: (rows, apply) => {
      const parts = splitBy(rows, 0, counts, stretches).map(apply);
      return g.op({
        op: 'Concat',
        inputs: parts,
        shape: parts[0].shape.with(0, R),
        attributes: { axis: { int: 0 } },
      });
    },
    combine: (rows, weights) => {
      const back = reshape(gatherRows(rows, order(sorted)), [N, k, D]);
      return reduceSum(mul(back, reshape(weights, [N, k, 1])), [1]);
    },
  };
}
