/**
 * The operators, each with its vector–Jacobian product beside it (dy is the gradient of the output). Each is tested
 * against finite differences in `ops.test.ts`. ONNX Runtime's own operators (domain com.microsoft) are used where
 * they save passes over memory.
 */
import { assert } from '../errors.ts';
import type { Contribution, Value, Vjp } from './graph.ts';
import { broadcast, product, reshapeOperand, sameShape, sum, type Dim, type Shape } from './shape.ts';

/** A contribution with no cheaper way to accumulate than an addition. */
const plain =
  (compute: () => Value): Contribution =>
  (into) => (into ? add(into, compute()) : compute());

/** A vjp for one output whose gradient is `dy`. */
const vjp =
  (contribute: (dy: Value) => readonly (Contribution | null)[]): Vjp =>
  ([dy]) =>
    contribute(dy!);

// ---- elementwise -----------------------------------------------------------------------------------------------

/** Sums `value` over the axes along which `shape` was broadcast. */
function unbroadcast(value: Value, shape: Shape): Value {
  if (sameShape(value.shape, shape)) return value;
  const offset = value.shape.length - shape.length;
  const axes = value.shape.flatMap((dim, i) => (i < offset || (shape[i - offset] === 1 && dim !== 1) ? [i] : []));
  return reshape(reduceSum(value, axes), shape);
}

const elementwise = (op: string, a: Value, b: Value, backward?: Vjp): Value =>
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
  return unary('Neg', x, vjp((dy) => [plain(() => neg(dy))]));
}

/** Natural logarithm. */
export function log(x: Value): Value {
  return unary('Log', x, vjp((dy) => [plain(() => div(dy, x))]));
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
    shape: perm.map((axis) => x.shape[axis]!),
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
    vjp: (grads) => [plain(() => concat(grads.map((dy, i) => dy ?? zerosLike(outputs[i]!)), axis)), null],
  });
  return outputs;
}

/** Joins along one axis. */
export function concat(parts: readonly Value[], axis: number): Value {
  const sizes = parts.map((part) => part.shape[axis]!);
  return parts[0]!.graph.op({
    op: 'Concat',
    inputs: parts,
    shape: parts[0]!.shape.with(axis, sum(sizes)),
    dtype: parts[0]!.dtype,
    attributes: { axis: { int: axis } },
    vjp: ([dy]) => {
      // One Split node serves all inputs.
      let pieces: Value[] | null = null;
      return parts.map((_, i) => plain(() => (pieces ??= split(dy!, axis, sizes as number[]))[i]!));
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
function meanLast(x: Value): Value {
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
      plain(() => (transA ? matmul(b, dy, { transA: transB, transB: true, alpha }) : matmul(dy, b, { transB: !transB, alpha }))),
      plain(() => (transB ? matmul(dy, a, { transA: true, transB: transA, alpha }) : matmul(a, dy, { transA: !transA, alpha }))),
    ]),
  });
}

/** alpha · a b + c for matrices; `c` is where gradients accumulate, so its own gradient is dy. */
function gemm(a: Value, b: Value, c: Value | null, transA: boolean, transB: boolean): Value {
  const [left, right] = [swapLast(a.shape, transA), swapLast(b.shape, transB)];
  assert(left[1] === right[0], `gemm [${left}] [${right}]: inner axes differ`);
  return a.graph.op({
    op: 'Gemm',
    inputs: c ? [a, b, c] : [a, b],
    shape: [left[0]!, right[1]!],
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

// ---- what a transformer is made of -----------------------------------------------------------------------------

/** x / rms(x) ∘ weight over the last axis (1910.07467). x [..., D], weight [D] */
export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  const g = x.graph;
  const [y, inverse] = g.node({
    op: 'SimplifiedLayerNormalization',
    inputs: [x, weight],
    outputs: [
      { dtype: 'float32', shape: x.shape },
      { dtype: 'float32', shape: x.shape.with(-1, 1) },
    ],
    attributes: { axis: { int: -1 }, epsilon, stash_type: { int: 1 } },
    vjp: vjp((dy) => {
      const unit = mul(x, inverse!); // x / rms(x)
      const slope = mul(dy, unit);
      const lead = x.shape.slice(0, -1).map((_, i) => i);
      return [
        plain(() => {
          // dx = (dy∘w − unit · mean(dy∘w∘unit)) / rms(x)
          const along = mul(unit, meanLast(mul(slope, weight)));
          return mul(sub(mul(dy, weight), along), inverse!);
        }),
        plain(() => reduceSum(slope, lead)),
      ];
    }),
  });
  return y!;
}

/** Cosines and sines by position, [positions, rotated / 2] each, and the positions of the tokens, [B, T] int64. */
export interface RotaryTables {
  cos: Value;
  sin: Value;
  positions: Value;
}

/**
 * Rotary position embedding (2104.09864), half-rotation: component i of a head pairs with i + headDim/2.
 * Its transpose is the rotation by the opposite angle. x [B, T, heads · headDim]
 */
export function rope(x: Value, { cos, sin, positions }: RotaryTables): Value {
  return x.graph.op({
    op: 'RotaryEmbedding',
    domain: 'com.microsoft',
    inputs: [x, positions, cos, sin],
    shape: x.shape,
    vjp: vjp((dy) => [plain(() => rope(dy, { cos, sin: neg(sin), positions })), null, null, null]),
  });
}

/** Softmax over the last axis. */
export function softmax(x: Value): Value {
  const y = x.graph.op({
    op: 'Softmax',
    inputs: [x],
    shape: x.shape,
    attributes: { axis: { int: -1 } },
    vjp: vjp((dy) => [
      plain(() => mul(y, sub(dy, reduceSum(mul(dy, y), [x.shape.length - 1], true)))),
    ]),
  });
  return y;
}

/**
 * softmax(scale · q kᵀ + bias) v with grouped heads: the G query heads that share a key head are rows of one product,
 * so keys are never repeated, and G comes before T so that the bias is added in long runs. The gradient of the scores
 * is P∘(dP − rowsum(dy∘y)) (2205.14135, appendix B.2): that row sum runs over d values and not over S.
 * @param q [B, K, G, T, d]
 * @param k [B, K, S, d]
 * @param v [B, K, S, d]
 * @param bias added to the scores, [B, 1, 1, T, S]: 0 where visible, very negative where not; no gradient
 * @returns [B, K, G, T, d]
 */
export function attend(q: Value, k: Value, v: Value, bias: Value, scale: number): Value {
  const [B, K, G, T, d] = q.shape as [Dim, Dim, Dim, Dim, Dim];
  const S = k.shape[2]!;
  const rows = product([G, T]);
  const queries = reshape(q, [B, K, rows, d]);
  const scores = matmul(queries, k, { transB: true, alpha: scale });
  const weights = reshape(softmax(add(reshape(scores, [B, K, G, T, S]), bias)), [B, K, rows, S]);
  const y = q.graph.op({
    op: 'FusedMatMul',
    domain: 'com.microsoft',
    inputs: [weights, v],
    shape: [B, K, rows, d],
    wrt: [queries, k, v],
    vjp: vjp((dy) => {
      let dScores: Value | null = null;
      const scoreGrad = (): Value =>
        (dScores ??= mul(weights, sub(matmul(dy, v, { transB: true }), reduceSum(mul(dy, y), [3], true))));
      return [
        plain(() => matmul(scoreGrad(), k, { alpha: scale })),
        plain(() => matmul(scoreGrad(), queries, { transA: true, alpha: scale })),
        plain(() => matmul(weights, dy, { transA: true })),
      ];
    }),
  });
  return reshape(y, q.shape);
}

/**
 * Σ_m weights[m] · −log softmax(hidden[m] · headᵀ)[targets[m]], and the single terms. The logits [M, V] are the
 * largest tensor of a training step: the backward pass reuses the probabilities, subtracts one at the targets, and
 * puts the row weights on the [M, D] side of both products.
 * @param hidden [M, D]
 * @param head [V, D]
 * @param targets [M, 1] int32
 * @param weights [M, 1]; 0 for rows that only fill up
 * @returns loss (scalar) and nll [M, 1] in nats; gradients flow through the loss alone
 */
export function crossEntropy(
  hidden: Value,
  head: Value,
  targets: Value,
  weights: Value,
): { loss: Value; nll: Value } {
  const g = hidden.graph;
  const probabilities = softmax(gemm(hidden, head, null, false, true));
  const likelihood = g.op({
    op: 'GatherElements',
    inputs: [probabilities, targets],
    shape: targets.shape,
    attributes: { axis: { int: 1 } },
  });
  // A probability that underflows would make the loss infinite and hide everything else.
  const nll = neg(log(elementwise('Max', likelihood, g.scalar(1e-37))));
  const loss = g.op({
    op: 'ReduceSum',
    inputs: [mul(nll, weights), g.ints([0, 1])],
    shape: [],
    attributes: { keepdims: { int: 0 } },
    wrt: [hidden, head],
    vjp: vjp((dy) => {
      const residual = g.op({
        op: 'ScatterElements',
        inputs: [probabilities, targets, sub(likelihood, g.scalar(1))],
        shape: probabilities.shape,
        attributes: { axis: { int: 1 } },
      });
      const rowWeights = mul(weights, dy);
      return [
        plain(() => mul(gemm(residual, head, null, false, false), rowWeights)),
        (into) => gemm(residual, mul(hidden, rowWeights), into, true, false),
      ];
    }),
  });
  return { loss, nll };
}
