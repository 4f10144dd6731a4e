/**
 * Optimizers over the flat parameter buffer. AdamW is a plain loop: 6M parameters take about 30 ms, less than the
 * calls into a runtime would. Muon (Keller Jordan 2024) replaces the update of a matrix by the nearest orthogonal one,
 * found by five Newton–Schulz steps of matrix products, which run on ONNX Runtime, all layers at once.
 */
import { Graph, type Value } from '../graph/graph.ts';
import { add, matmul, mul } from '../graph/ops.ts';
import { createSession, type Runtime, type Session, type SessionOptions } from '../graph/session.ts';
import type { ModelConfig } from '../model/config.ts';
import { createParameters, type Parameter, type Parameters } from '../model/parameters.ts';

export interface OptimizerConfig {
  kind: 'adamw' | 'muon';
  /** Peak, of AdamW; with Muon that of embedding and norms. */
  learningRate: number;
  /** Peak, of the matrices under Muon. Updates have the size of AdamW's, so rates carry over (2502.16982). */
  muonLearningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled; matrices only. */
  weightDecay: number;
  muonMomentum: number;
  /** Gradients are scaled down to this global L2 norm. */
  clipNorm: number;
}

export interface Optimizer {
  /** First moments (Muon: momentum) and second moments, in the form of the parameters. */
  readonly moments: readonly [Parameters, Parameters];
  /**
   * One update in place.
   * @param scale multiplies the gradients first (1 / number of micro-batches)
   * @param rate share of the peak learning rate, 0 … 1
   * @returns the gradients' global norm before clipping
   */
  update(parameters: Parameters, gradients: Parameters, scale: number, rate: number): Promise<number>;
  /** Updates done; AdamW's bias correction depends on it. */
  step: number;
  close(): Promise<void>;
}

/** √Σ g², summed in f64. */
export function globalNorm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

interface AdamwStep {
  learningRate: number;
  weightDecay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  step: number;
  /** Multiplies every gradient. */
  scale: number;
}

/** AdamW (1711.05101, algorithm 2) on one stretch of the buffers. */
export function adamw(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  { learningRate, weightDecay, beta1, beta2, epsilon, step, scale }: AdamwStep,
): void {
  const stepSize = learningRate / (1 - beta1 ** step);
  const secondScale = 1 / Math.sqrt(1 - beta2 ** step);
  const keep = 1 - learningRate * weightDecay;
  for (let i = 0; i < p.length; i++) {
    const grad = g[i] * scale;
    const first = (m[i] = beta1 * m[i] + (1 - beta1) * grad);
    const second = (v[i] = beta2 * v[i] + (1 - beta2) * grad * grad);
    p[i] = keep * p[i] - (stepSize * first) / (Math.sqrt(second) * secondScale + epsilon);
  }
}

/** Coefficients of Muon's quintic: they push every singular value towards 1 fast, at the price of precision. */
const QUINTIC = [3.4445, -4.775, 2.0315] as const;
const NEWTON_SCHULZ_STEPS = 5;

/** X [N, r, c], Frobenius norms <= 1, to nearly U Vᵀ. The polynomial runs on the smaller side's Gram matrix. */
function orthogonalise(x: Value, tall: boolean): Value {
  const g = x.graph;
  const [a, b, c] = QUINTIC.map((k) => g.scalar(k)) as [Value, Value, Value];
  for (let i = 0; i < NEWTON_SCHULZ_STEPS; i++) {
    const gram = tall ? matmul(x, x, { transA: true }) : matmul(x, x, { transB: true });
    const poly = add(mul(gram, b), matmul(mul(gram, c), gram));
    x = add(mul(x, a), tall ? matmul(x, poly) : matmul(poly, x));
  }
  return x;
}

/** Matrices of one shape, orthogonalised together. */
interface MuonGroup {
  members: Parameter[];
  shape: [number, number];
  /** [N, r, c] */
  stack: Float32Array;
  session: Session;
}

async function createMuonGroups(
  runtime: Runtime,
  matrices: readonly Parameter[],
  options: SessionOptions,
): Promise<MuonGroup[]> {
  const byShape = new Map<string, Parameter[]>();
  for (const matrix of matrices) {
    const key = matrix.shape.join('x');
    byShape.set(key, [...(byShape.get(key) ?? []), matrix]);
  }
  return Promise.all(
    [...byShape.values()].map(async (members): Promise<MuonGroup> => {
      const shape = members[0].shape as [number, number];
      const [rows, columns] = shape;
      const graph = new Graph();
      graph.output(
        'y',
        orthogonalise(graph.input('x', 'float32', [members.length, ...shape]), rows > columns),
      );
      const session = await createSession(runtime, graph, options);
      return { members, shape, stack: new Float32Array(members.length * rows * columns), session };
    }),
  );
}

export async function createOptimizer(
  runtime: Runtime,
  model: ModelConfig,
  config: OptimizerConfig,
  options: SessionOptions = {},
): Promise<Optimizer> {
  const first = createParameters(model);
  const second = createParameters(model);
  // Embedding and head are tables, not maps between like spaces: Muon leaves them to AdamW.
  const isMuon = ({ name, shape }: Parameter): boolean =>
    config.kind === 'muon' && shape.length === 2 && name.startsWith('model.layers.');
  const groups = await createMuonGroups(runtime, first.list.filter(isMuon), options);

  const muon = async (parameters: Parameters, gradients: Parameters, scale: number, rate: number) => {
    const learningRate = config.muonLearningRate * rate;
    const keep = 1 - learningRate * config.weightDecay;
    for (const { members, shape, stack, session } of groups) {
      const size = shape[0] * shape[1];
      for (const [index, { name, data: momentum }] of members.entries()) {
        const grad = gradients.get(name).data;
        const out = stack.subarray(index * size, (index + 1) * size);
        for (let i = 0; i < size; i++) {
          const g = (1 - config.muonMomentum) * scale * grad[i];
          momentum[i] = config.muonMomentum * momentum[i] + g;
          // Nesterov's look-ahead.
          out[i] = g + config.muonMomentum * momentum[i];
        }
        const norm = globalNorm(out) + 1e-7;
        for (let i = 0; i < size; i++) out[i] = out[i] / norm;
      }
      const x = new runtime.Tensor('float32', stack, [members.length, ...shape]);
      const y = (await session.run({ x })).y.data as Float32Array;
      // An orthogonal matrix has entries of RMS 1/√(longer side); AdamW's updates have about 0.2 (2502.16982, eq. 4).
      const stepSize = learningRate * 0.2 * Math.sqrt(Math.max(...shape));
      for (const [index, { name }] of members.entries()) {
        const p = parameters.get(name).data;
        const base = index * size;
        for (let i = 0; i < size; i++) p[i] = keep * p[i] - stepSize * y[base + i];
      }
    }
  };

  const optimizer: Optimizer = {
    moments: [first, second],
    step: 0,
    update: async (parameters, gradients, scale, rate) => {
      optimizer.step++;
      const norm = globalNorm(gradients.flat) * scale;
      const clipped = scale * Math.min(1, config.clipNorm / (norm + 1e-6));
      for (const parameter of parameters.list) {
        if (isMuon(parameter)) continue;
        const { name, shape, data } = parameter;
        adamw(data, gradients.get(name).data, first.get(name).data, second.get(name).data, {
          ...config,
          learningRate: config.learningRate * rate,
          weightDecay: shape.length === 2 ? config.weightDecay : 0,
          step: optimizer.step,
          scale: clipped,
        });
      }
      if (groups.length > 0) await muon(parameters, gradients, clipped, rate);
      return norm;
    },
    close: async () => {
      for (const { session } of groups) await session.close();
    },
  };
  return optimizer;
}
