/**
 * What a transformer is made of, each with its vector–Jacobian product beside it, like `ops.ts`. ONNX Runtime's own
 * operators (domain com.microsoft) and composites with a gradient of their own are used where they save passes over
 * memory.
 */
import type { Value } from './graph.ts';
import {
  add,
  elementwise,
  gemm,
  log,
  matmul,
  meanLast,
  mul,
  neg,
  plain,
  reduceSum,
  reshape,
  sigmoid,
  sub,
  vjp,
} from './ops.ts';
import { product, type Dim } from './shape.ts';

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
      const unit = mul(x, inverse); // x / rms(x)
      const slope = mul(dy, unit);
      const lead = x.shape.slice(0, -1).map((_, i) => i);
      return [
        plain(() => {
          // dx = (dy∘w − unit · mean(dy∘w∘unit)) / rms(x)
          const along = mul(unit, meanLast(mul(slope, weight)));
          return mul(sub(mul(dy, weight), along), inverse);
        }),
        plain(() => reduceSum(slope, lead)),
      ];
    }),
  });
  return y;
}

/** x · Φ(x) with tanh for the normal distribution Φ (1606.08415, section 2), that is x · sigmoid(x (a + b x²)). */
export function gelu(x: Value): Value {
  const g = x.graph;
  const a = 2 * Math.sqrt(2 / Math.PI);
  const b = 0.044715 * a;
  return g.op({
    op: 'Gelu',
    inputs: [x],
    shape: x.shape,
    attributes: { approximate: 'tanh' },
    vjp: vjp((dy) => [
      plain(() => {
        const square = mul(x, x);
        const s = sigmoid(mul(x, add(mul(square, g.scalar(b)), g.scalar(a))));
        // y' = s + x s (1 − s) (a + 3 b x²)
        const slope = add(mul(square, g.scalar(3 * b)), g.scalar(a));
        return mul(dy, add(s, mul(mul(x, slope), mul(s, sub(g.scalar(1), s)))));
      }),
    ]),
  });
}

/** (x − mean) / √(variance + epsilon) ∘ weight over the last axis (1607.06450), without a shift: RMSNorm of what is centred. */
export const layerNorm = (x: Value, weight: Value, epsilon: number): Value =>
  rmsNorm(sub(x, meanLast(x)), weight, epsilon);

/** Cosines and sines by position, [positions, rotated / 2] each, and the positions of the tokens, [B, T] int64. */
export interface RotaryTables {
  cos: Value;
  sin: Value;
  positions: Value;
  /** Heads have more components than turn; those behind them pass. */
  isPartial?: boolean;
}

/**
 * Rotary position embedding (2104.09864), half-rotation: component i of a head pairs with i + rotated/2.
 * Its transpose is the rotation by the opposite angle. x [B, T, heads · headDim]; `heads` is read where tables are partial
 */
export function rope(x: Value, tables: RotaryTables, heads: number): Value {
  const { cos, sin, positions, isPartial } = tables;
  const rotated = 2 * (cos.shape[1] as number);
  return x.graph.op({
    op: 'RotaryEmbedding',
    domain: 'com.microsoft',
    inputs: [x, positions, cos, sin],
    shape: x.shape,
    attributes: isPartial ? { num_heads: { int: heads }, rotary_embedding_dim: { int: rotated } } : {},
    vjp: vjp((dy) => [plain(() => rope(dy, { ...tables, sin: neg(sin) }, heads)), null, null, null]),
  });
}

/** Softmax over the last axis. */
export function softmax(x: Value): Value {
  const y = x.graph.op({
    op: 'Softmax',
    inputs: [x],
    shape: x.shape,
    attributes: { axis: { int: -1 } },
    vjp: vjp((dy) => [plain(() => mul(y, sub(dy, reduceSum(mul(dy, y), [x.shape.length - 1], true))))]),
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
  const S = k.shape[2];
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

/** Asks for a term that rewards being sure where the model is right; see `crossEntropy`. */
export interface Certainty {
  /** [M, 1]; 0 for rows that need not be sure. */
  weights: Value;
  /** The entropy is of softmax(logits / temperature). */
  temperature: number;
}

/**
 * Σ_m weights[m] · −log softmax(hidden[m] · headᵀ)[targets[m]], and the single terms. The logits [M, V] are the
 * largest tensor of a training step: the backward pass reuses the probabilities, subtracts one at the targets, and
 * puts the row weights on the [M, D] side of both products.
 *
 * With `certainty` the loss also has Σ_m certainty.weights[m] · 1[the target is the best guess] · entropy(row m): CAP
 * (LLaDA2.0, 2512.15745) at temperature 1, certainty forcing (dParallel, 2509.26488) at 0.5. What is right becomes
 * sure; what is wrong is left as unsure as it was. The indicator counts as a constant.
 * @param hidden [M, D]
 * @param head [V, D]
 * @param targets [M, 1] int32
 * @param weights [M, 1]; 0 for rows that only fill up
 * @returns loss (scalar), nll [M, 1] in nats and, with `certainty`, the probability of the best guess [M, 1];
 *   gradients flow through the loss alone
 */
export function crossEntropy(
  hidden: Value,
  head: Value,
  targets: Value,
  weights: Value,
  certainty: Certainty | null = null,
): { loss: Value; nll: Value; best: Value | null } {
  const g = hidden.graph;
  const logits = gemm(hidden, head, null, false, true);
  const probabilities = softmax(logits);
  const likelihood = g.op({
    op: 'GatherElements',
    inputs: [probabilities, targets],
    shape: targets.shape,
    attributes: { axis: { int: 1 } },
  });
  // A probability that underflows would make the loss infinite and hide everything else.
  const nll = neg(log(elementwise('Max', likelihood, g.scalar(TINY))));
  const sure = certainty && rightEntropy(logits, probabilities, likelihood, certainty);
  const terms = mul(nll, weights);
  const loss = g.op({
    op: 'ReduceSum',
    inputs: [sure ? add(terms, sure.terms) : terms, g.ints([0, 1])],
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
      // Two row weights do not factor out of one product, so with `certainty` they go to the [M, V] side.
      const dLogits = sure ? add(mul(residual, weights), sure.slope()) : residual;
      const rowWeights = sure ? dy : mul(weights, dy);
      return [
        plain(() => mul(gemm(dLogits, head, null, false, false), rowWeights)),
        (into) => gemm(dLogits, mul(hidden, rowWeights), into, true, false),
      ];
    }),
  });
  return { loss, nll, best: sure ? sure.best : null };
}

/** The smallest probability whose logarithm is taken. */
const TINY = 1e-37;

/**
 * weight · 1[right] · H(q), q = softmax(z / τ), for each row; dH/dz = −q∘(log q + H) / τ.
 * @returns terms [M, 1], the gradient of their sum by z [M, V], and the best probability at temperature 1 [M, 1]
 */
function rightEntropy(
  logits: Value,
  probabilities: Value,
  likelihood: Value,
  { weights, temperature }: Certainty,
): { terms: Value; slope: () => Value; best: Value } {
  const g = logits.graph;
  const q = temperature === 1 ? probabilities : softmax(mul(logits, g.scalar(1 / temperature)));
  const logQ = log(elementwise('Max', q, g.scalar(TINY)));
  const entropy = neg(reduceSum(mul(q, logQ), [1], true));
  const best = g.op({
    op: 'ReduceMax',
    inputs: [probabilities, g.ints([1])],
    shape: likelihood.shape,
    attributes: { keepdims: { int: 1 } },
  });
  const isRight = g.op({
    op: 'GreaterOrEqual',
    inputs: [likelihood, best],
    shape: best.shape,
    dtype: 'bool',
  });
  const gate = mul(
    weights,
    g.op({ op: 'Cast', inputs: [isRight], shape: best.shape, attributes: { to: { int: ONNX_FLOAT } } }),
  );
  return {
    terms: mul(gate, entropy),
    slope: () => mul(mul(q, add(logQ, entropy)), mul(gate, g.scalar(-1 / temperature))),
    best,
  };
}

/** float32 in ONNX's list of types. */
const ONNX_FLOAT = 1;

/** x + delta, and that normalised as by `rmsNorm`, in one node. Inference only. */
export function skipRmsNorm(
  x: Value,
  delta: Value,
  weight: Value,
  epsilon: number,
): { sum: Value; normed: Value } {
  const like = { dtype: 'float32', shape: x.shape } as const;
  const statistic = { dtype: 'float32', shape: x.shape.with(-1, 1) } as const;
  const [normed, , , sum] = x.graph.node({
    op: 'SkipSimplifiedLayerNormalization',
    domain: 'com.microsoft',
    inputs: [x, delta, weight],
    outputs: [like, statistic, statistic, like],
    attributes: { epsilon },
  }) as [Value, Value, Value, Value];
  return { sum, normed };
}

/**
 * softmax(scale · q kᵀ + mask) v with heads side by side in the last axis, strided in place: nothing is transposed.
 * q [1, T, heads · d], k and v [1, S, heads · d], mask [T, S] to [1, T, heads · d]. Inference only.
 */
export function scaledAttention(
  q: Value,
  k: Value,
  v: Value,
  { heads, scale, mask }: { heads: number; scale: number; mask: Value | null },
): Value {
  return q.graph.op({
    op: 'Attention',
    inputs: mask ? [q, k, v, mask] : [q, k, v],
    shape: q.shape,
    attributes: { q_num_heads: { int: heads }, kv_num_heads: { int: heads }, scale },
  });
}
