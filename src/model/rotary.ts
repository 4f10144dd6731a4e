/** What positions do to queries and keys, as tables: half-rotation (2104.09864), stretched or not (YaRN, 2309.00071). */
import type { Graph, Value } from '../graph/graph.ts';
import type { RotaryTables } from '../graph/layers.ts';
import { gatherRows, mul, reshape } from '../graph/ops.ts';
import type { ModelConfig, Yarn } from './config.ts';

/** cos and sin of position · frequency, [positions, r/2] each, r = rotaryDim; angles in f64, stored as f32. */
export function rotaryTables(
  graph: Graph,
  config: ModelConfig,
  positions: Value,
  length: number,
): RotaryTables {
  const { headDim, rotaryDim = headDim, yarn } = config;
  const half = rotaryDim / 2;
  const factor = yarn?.attentionFactor ?? 1;
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (const [i, frequency] of frequencies(config).entries()) {
    for (let p = 0; p < length; p++) {
      const angle = Math.fround(p * frequency);
      cos[p * half + i] = factor * Math.cos(angle);
      sin[p * half + i] = factor * Math.sin(angle);
    }
  }
  return {
    cos: graph.constant('cos', cos, [length, half]),
    sin: graph.constant('sin', sin, [length, half]),
    positions,
    isPartial: rotaryDim < headDim,
  };
}

/** theta^(−2i/r), rounded as torch does it, so that far positions stay in step with it. [r/2] */
function frequencies({
  headDim,
  rotaryDim = headDim,
  ropeTheta,
  yarn,
}: Pick<ModelConfig, 'headDim' | 'rotaryDim' | 'ropeTheta' | 'yarn'>): Float32Array {
  const half = rotaryDim / 2;
  const plain = Float32Array.from({ length: half }, (_, i) => 1 / Math.fround(ropeTheta ** (i / half)));
  if (!yarn) return plain;
  const [low, high] = mixedRange(yarn, ropeTheta, rotaryDim);
  return plain.map((frequency, i) => {
    const divided = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (frequency / yarn.factor) * divided + frequency * (1 - divided);
  });
}

/** From which component on frequencies are mixed, and from which on they are divided. */
function mixedRange(
  { betaFast, betaSlow, originalLength }: Yarn,
  theta: number,
  r: number,
): [number, number] {
  /** The component that turns so often within the original context. */
  const component = (turns: number): number =>
    (r * Math.log(originalLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(0, Math.floor(component(betaFast)));
  const high = Math.min(r - 1, Math.ceil(component(betaSlow)));
  return [low, high === low ? high + 0.001 : high];
}

/**
 * The same made in the graph for the positions at hand, since tables over a long context with wide heads would not fit.
 * `order` counts the rows, [1, N]. Pairs beyond `turning` stay as they are: the proportional rotation of Gemma's full layers.
 */
export function rotaryRows(
  graph: Graph,
  { theta, headDim, turning = headDim / 2 }: { theta: number; headDim: number; turning?: number },
  { positions, order }: { positions: Value; order: Value },
): RotaryTables {
  const half = headDim / 2;
  const plain = frequencies({ headDim, ropeTheta: theta }).fill(0, turning);
  const rows = graph.op({
    op: 'Cast',
    inputs: [reshape(positions, ['N', 1])],
    shape: ['N', 1],
    attributes: { to: { int: 1 } },
  });
  const angles = mul(rows, graph.constant('frequencies', plain, [1, half])); // [N, half]
  const [cos, sin] = ['Cos', 'Sin'].map((op) => graph.op({ op, inputs: [angles], shape: angles.shape }));
  return { cos, sin, positions: order };
}

/** What queries are multiplied by, for each token, [B, T, 1]; null where by nothing. */
export function queryScale(
  { yarn, contextLength }: ModelConfig,
  { cos, positions }: RotaryTables,
): Value | null {
  if (!yarn || yarn.queryBeta === 0) return null;
  const length = Math.max(contextLength, cos.shape[0] as number);
  const scales = Float32Array.from({ length }, (_, position) => {
    return 1 + yarn.queryBeta * Math.log(1 + Math.floor(position / yarn.originalLength));
  });
  return gatherRows(cos.graph.constant('queryScale', scales, [length, 1]), positions);
}
