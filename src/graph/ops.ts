/**
 * The operators, each with its vector–Jacobian product beside it (dy is the gradient of the output). Each is tested
 * against finite differences in `ops.test.ts`. What a transformer is made of stands in `layers.ts`.
 */
import { assert } from '../errors.ts';
import type { Contribution, Value, Vjp } from './graph.ts';
import { broadcast, product, reshapeOperand, sameShape, sum, type Dim, type Shape } from './shape.ts';

/** A contribution with no cheaper way to accumulate than an addition. */
export const plain =
  (compute: () => Value): Contribution =>
  (into) =>
    into ? add(into, compute()) : compute();

/** A vjp for one output whose gradient is `dy`. */
export const vjp =
  (contribute: (dy: Value) => readonly (Contribution | null)[]): Vjp =>
  ([dy]) =>
    contribute(dy!);

// ---- elementwise -----------------------------------------------------------------------------------------------

/** Sums `value` over the axes along which `shape` was broadcast. */
function unbroadcast(value: Value, shape: Shape): Value {
  if (sameShape(value.shape, shape)) return value;
  const offset = value.shape.length - shape.length;
  const axes = value.shape.flatMap((dim, i) =>
    i < offset || (shape[i - offset] === 1 && dim !== 1) ? [i] : [],
  );
  return reshape(reduceSum(value, axes), shape);
}

/** A binary operator; not differentiable unless a vjp is given. */
export const elementwise = (op: string, a: Value, b: Value, backward?: Vjp): Value =>
  a.graph.op({
    op,
    inputs: [a, b],
    shape: broadcast(a.shape, b.shape, op),
    dtype: a.dtype,
    ...(backward ? { vjp: backward } : {}),
  });

/** a + b. */
export function add(a: Value, b: Value): Value {
  return elementwise(
    'Add',
    a,
    b,
    vjp((dy) => [plain(() => unbroadcast(dy, a.shape)), plain(() => unbroadcast(dy, b.shape))]),
  );
}

/** a − b. */
export function sub(a: Value, b: Value): Value {
  return elementwise(
    'Sub',
    a,
    b,
    vjp((dy) => [plain(() => unbroadcast(dy, a.shape)), plain(() => unbroadcast(neg(dy), b.shape))]),
  );
}

/** a ∘ b. */
export function mul(a: Value, b: Value): Value {
  return elementwise(
    'Mul',
    a,
    b,
    vjp((dy) => [
      plain(() => unbroadcast(mul(dy, b), a.shape)),
      plain(() => unbroadcast(mul(dy, a), b.shape)),
    ]),
  );
}

/** a / b. */
export function div(a: Value, b: Value): Value {
  const y = elementwise(
    'Div',
    a,
    b,
    vjp((dy) => [
      plain(() => unbroadcast(div(dy, b), a.shape)),
      plain(() => unbroadcast(neg(div(mul(dy, y), b)), b.shape)),
    ]),
  );
  return y;
}

const unary = (op: string, x: Value, backward: Vjp): Value =>
  x.graph.op({ op, inputs: [x], shape: x.shape, dtype: x.dtype, vjp: backward });

/** −x. */
export function neg(x: Value): Value {
  return unary(
    'Neg',
    x,
    vjp((dy) => [plain(() => neg(dy))]),
  );
}

/** Natural logarithm. */
export function log(x: Value): Value {
  return unary(
    'Log',
    x,
    vjp((dy) => [plain(() => div(dy, x))]),
  );
}

/** Logistic function. */
export function sigmoid(x: Value): Value {
  const y = unary(
    'Sigmoid',
    x,
    vjp((dy) => [plain(() => mul(dy, mul(y, sub(x.graph.scalar(1), y))))]),
  );
  return y;
}

/** x · sigmoid(x), one pass: QuickGelu with alpha 1. */
export function silu(x: Value): Value {
  const y = x.graph.op({
    op: 'QuickGelu',
    domain: 'com.microsoft',
    inputs: [x],
    shape: x.shape,
    attributes: { alpha: 1 },
    vjp: vjp((dy) => [
      plain(() => {
        // y' = s + y (1 − s), with s = sigmoid(x)
        const s = sigmoid(x);
        return mul(dy, add(s, sub(y, mul(y, s))));
      }),
    ]),
  });
  return y;
}

// ---- shape -----------------------------------------------------------------------------------------------------

/** Same elements, other shape. Named dimensions must be inferable (see `reshapeOperand`). */
export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  assert(
    product(x.shape) === product(shape),
    `reshape [${x.shape}] to [${shape}]: different numbers of elements`,
  );
  return x.graph.op({
    op: 'Reshape',
    inputs: [x, x.graph.ints(reshapeOperand(x.shape, shape))],
    shape,
    dtype: x.dtype,
    vjp: vjp((dy) => [plain(() => reshape(dy, x.shape)), null]),
  });
}

/** Axes in a new order. */
export function transpose(x: Value, perm: readonly number[]): Value {
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return x.graph.op({
    op: 'Transpose',
    inputs: [x],
    shape: perm.map((axis) => x.shape[axis]),
    dtype: x.dtype,
    attributes: { perm: { ints: perm } },
    vjp: vjp((dy) => [plain(() => transpose(dy, inverse))]),
  });
}

/** Pieces along one axis, of given sizes. */
export function split(x: Value, axis: number, sizes: readonly number[]): Value[] {
  const outputs = x.graph.node({
    op: 'Split',
    inputs: [x, x.graph.ints(sizes)],
    outputs: sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) })),
    attributes: { axis: { int: axis } },
    vjp: (grads) => [
      plain(() =>
        concat(
          grads.map((dy, i) => dy ?? zerosLike(outputs[i])),
          axis,
        ),
      ),
      null,
    ],
  });
  return outputs;
}

/** Joins along one axis. */
export function concat(parts: readonly Value[], axis: number): Value {
  const sizes = parts.map((part) => part.shape[axis]);
  return parts[0].graph.op({
    op: 'Concat',
    inputs: parts,
    shape: parts[0].shape.with(axis, sum(sizes)),
    dtype: parts[0].dtype,
    attributes: { axis: { int: axis } },
    vjp: ([dy]) => {
      // One Split node serves all inputs.
      let pieces: Value[] | null = null;
      return parts.map((_, i) => plain(() => (pieces ??= split(dy!, axis, sizes as number[]))[i]));
    },
  });
}

function zerosLike(x: Value): Value {
  const g = x.graph;
  const size = g.op({ op: 'Shape', inputs: [x], shape: [x.shape.length], dtype: 'int64' });
  return g.op({ op: 'Expand', inputs: [g.scalar(0), size], shape: x.shape });
}

// ---- reductions ------------------------------------------------------------------------------------------------

/** Sum over axes, which vanish unless `keep`. */
export function reduceSum(x: Value, axes: readonly number[], keep = false): Value {
  const kept = x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
  return x.graph.op({
    op: 'ReduceSum',
    inputs: [x, x.graph.ints(axes)],
    shape: keep ? kept : x.shape.filter((_, i) => !axes.includes(i)),
    attributes: { keepdims: { int: keep ? 1 : 0 } },
    vjp: vjp((dy) => [
      (into) => {
        const spread = reshape(dy, kept);
        // Broadcasting addition spreads for free when there is something to add to.
        return into ? add(into, spread) : add(zerosLike(x), spread);
      },
      null,
    ]),
  });
}

/** Mean over the last axis, kept as 1. */
export function meanLast(x: Value): Value {
  const axis = x.shape.length - 1;
  return x.graph.op({
    op: 'ReduceMean',
    inputs: [x, x.graph.ints([axis])],
    shape: x.shape.with(axis, 1),
    attributes: { keepdims: { int: 1 } },
  });
}

// ---- products --------------------------------------------------------------------------------------------------

const swapLast = (shape: Shape, swap: boolean): Shape =>
  swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;

/** alpha · a b over the last two axes, either operand transposed; leading axes must agree. */
export function matmul(
  a: Value,
  b: Value,
  { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): Value {
  const [left, right] = [swapLast(a.shape, transA), swapLast(b.shape, transB)];
  assert(
    left.at(-1) === right.at(-2),
    `matmul [${a.shape}]${transA ? "'" : ''} [${b.shape}]${transB ? "'" : ''}: inner axes differ`,
  );
  return a.graph.op({
    op: 'FusedMatMul',
    domain: 'com.microsoft',
    inputs: [a, b],
    shape: [...left.slice(0, -1), right.at(-1)!],
    attributes: { transA: { int: Number(transA) }, transB: { int: Number(transB) }, alpha },
    vjp: vjp((dy) => [
      plain(() =>
        transA
          ? matmul(b, dy, { transA: transB, transB: true, alpha })
          : matmul(dy, b, { transB: !transB, alpha }),
      ),
      plain(() =>
        transB
          ? matmul(dy, a, { transA: true, transB: transA, alpha })
          : matmul(a, dy, { transA: !transA, alpha }),
      ),
    ]),
  });
}

/** alpha · a b + c for matrices; `c` is where gradients accumulate, so its own gradient is dy. */
export function gemm(a: Value, b: Value, c: Value | null, transA: boolean, transB: boolean): Value {
  const [left, right] = [swapLast(a.shape, transA), swapLast(b.shape, transB)];
  assert(left[1] === right[0], `gemm [${left}] [${right}]: inner axes differ`);
  return a.graph.op({
    op: 'Gemm',
    inputs: c ? [a, b, c] : [a, b],
    shape: [left[0], right[1]],
    attributes: { transA: { int: Number(transA) }, transB: { int: Number(transB) } },
  });
}

/**
 * x Wᵀ for x [..., I] and W [O, I] as checkpoints store it. Gradients accumulate through Gemm's C operand:
 * dx += dy W and dW += dyᵀ x.
 */
export function linear(x: Value, weight: Value): Value {
  const [outputs, inputs] = weight.shape as [number, number];
  const lead = x.shape.slice(0, -1);
  const rows = product(lead);
  return x.graph.op({
    op: 'FusedMatMul',
    domain: 'com.microsoft',
    inputs: [x, weight],
    shape: [...lead, outputs],
    attributes: { transB: { int: 1 } },
    vjp: vjp((dy) => {
      const flatDy = reshape(dy, [rows, outputs]);
      return [
        (into) => reshape(gemm(flatDy, weight, into && reshape(into, [rows, inputs]), false, false), x.shape),
        (into) => gemm(flatDy, reshape(x, [rows, inputs]), into, true, false),
      ];
    }),
  });
}

// ---- indexing --------------------------------------------------------------------------------------------------

/**
 * Rows of a matrix: x [N, D], indices [...] int32 to [..., D]. Repeated indices add up in the gradient.
 * (ScatterND with reduction races on more than one thread; ScatterElements does not.)
 */
export function gatherRows(x: Value, indices: Value): Value {
  const g = x.graph;
  const width = x.shape[1] as number;
  const count = product(indices.shape);
  return g.op({
    op: 'Gather',
    inputs: [x, indices],
    shape: [...indices.shape, width],
    dtype: x.dtype,
    attributes: { axis: { int: 0 } },
    vjp: vjp((dy) => [
      (into) => {
        const everyColumn = g.op({
          op: 'Expand',
          inputs: [reshape(indices, [count, 1]), g.ints([1, width])],
          shape: [count, width],
          dtype: indices.dtype,
        });
        return g.op({
          op: 'ScatterElements',
          inputs: [into ?? zerosLike(x), everyColumn, reshape(dy, [count, width])],
          shape: x.shape,
          attributes: { axis: { int: 0 }, reduction: 'add' },
        });
      },
      null,
    ]),
  });
}

/** Entries of one axis, by index: x [.., N, ..], indices [M] int32. Inference only. */
export function gatherAxis(x: Value, indices: Value, axis: number): Value {
  return x.graph.op({
    op: 'Gather',
    inputs: [x, indices],
    shape: x.shape.with(axis, indices.shape[0]),
    dtype: x.dtype,
    attributes: { axis: { int: axis } },
  });
}

/** Pieces along one axis whose sizes are known when it runs. Inference only. */
export function splitBy(x: Value, axis: number, sizes: Value, dims: readonly Dim[]): Value[] {
  return x.graph.node({
    op: 'Split',
    inputs: [x, sizes],
    outputs: dims.map((dim) => ({ dtype: x.dtype, shape: x.shape.with(axis, dim) })),
    attributes: { axis: { int: axis } },
  });
}
