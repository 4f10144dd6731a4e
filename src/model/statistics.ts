/** DECODING.md's statistics of logits, inside the graph: the logits [M, V] themselves never leave it. */
import type { Tensor } from '../graph/session.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { softmax } from '../graph/layers.ts';
import { div, matmul, reshape } from '../graph/ops.ts';
import type { Dim } from '../graph/shape.ts';
import type { ModelConfig } from './config.ts';
import type { Statistics, StatisticsRequest } from './denoiser.ts';

export interface StatisticsVariant {
  /** More than one candidate a row; how many is an input. */
  several: boolean;
  entropy: boolean;
  sample: boolean;
  logitBias: boolean;
}

/** Outputs from which `readStatistics` makes those of DECODING.md. */
export function statistics(
  graph: Graph,
  logits: Value,
  { vocabSize }: ModelConfig,
  { several, entropy, sample }: StatisticsVariant,
): void {
  const [M] = logits.shape as [Dim];
  const C = several ? 'C' : 1;
  const [top, ids] = graph.node({
    op: 'TopK',
    inputs: [logits, several ? graph.input('topK', 'int64', [1]) : graph.ints([1])],
    outputs: [
      { dtype: 'float32', shape: [M, C] },
      { dtype: 'int64', shape: [M, C] },
    ],
    attributes: { axis: { int: 1 }, largest: { int: 1 }, sorted: { int: 1 } },
  }) as [Value, Value];
  graph.output('topLogits', top);
  graph.output('topIds', ids);

  // log Σ exp z = max z − log max softmax(z): the softmax kernel is much quicker than a reduction of its own. The
  // logarithm is taken in JavaScript: the runtime's rounds differently at the end of a vector, so by a row's neighbours.
  const probabilities = softmax(logits);
  const bestProbability = graph.op({
    op: 'ReduceMax',
    inputs: [probabilities, graph.ints([1])],
    shape: [M, 1],
    attributes: { keepdims: { int: 1 } },
  });
  graph.output('bestProbability', bestProbability);
  // H = log Σ exp z − Σ p z. A product a row: a reduction of one row runs otherwise than one of several, and rounds so.
  if (entropy) {
    const column = reshape(probabilities, [M, vocabSize, 1]);
    graph.output('meanLogit', matmul(reshape(logits, [M, 1, vocabSize]), column));
  }
  if (sample) {
    const sampled = draw(graph, logits, M, vocabSize);
    graph.output('sampled', sampled);
    const chosen = graph.op({
      op: 'GatherElements',
      inputs: [logits, sampled],
      shape: [M, 1],
      attributes: { axis: { int: 1 } },
    });
    graph.output('sampledLogits', chosen);
  }
}

/** Inverse-CDF draws from softmax(logits / temperature): the number of tokens whose cumulative probability is <= u. */
function draw(graph: Graph, logits: Value, M: Dim, vocabSize: number): Value {
  const uniforms = graph.input('uniforms', 'float32', [M, 1]);
  const temperature = graph.input('temperature', 'float32', []);
  const p = softmax(div(logits, temperature));
  const cumulative = graph.op({ op: 'CumSum', inputs: [p, graph.ints([1])], shape: p.shape });
  const below = graph.op({
    op: 'LessOrEqual',
    inputs: [cumulative, uniforms],
    shape: p.shape,
    dtype: 'bool',
  });
  const counted = graph.op({
    op: 'Cast',
    inputs: [below],
    shape: p.shape,
    dtype: 'int32',
    attributes: { to: { int: 6 } },
  });
  const count = graph.op({
    op: 'ReduceSum',
    inputs: [counted, graph.ints([1])],
    shape: [M, 1],
    dtype: 'int32',
    attributes: { keepdims: { int: 1 } },
  });
  // A uniform so near 1 that rounding leaves the whole sum below it means the last token.
  const last = graph.constant('last', Int32Array.of(vocabSize - 1), []);
  return graph.op({ op: 'Min', inputs: [count, last], shape: [M, 1], dtype: 'int32' });
}

/** Those statistics of all M rows that were asked for, from the outputs of `statistics`. */
export function readStatistics(
  out: Record<string, Tensor>,
  { topK, entropy, sample, expected }: StatisticsRequest,
): Statistics {
  const floats = (name: string, isThere = true): Float32Array =>
    isThere ? (out[name].data as Float32Array) : new Float32Array(0);
  const logits = floats('topLogits');
  const logSumExp = floats('bestProbability').map((p, row) => logits[row * topK] - Math.log(p));
  return {
    ids: Int32Array.from(out.topIds.data as BigInt64Array, Number),
    logits,
    logSumExp,
    entropy: floats('meanLogit', entropy).map((mean, row) => logSumExp[row] - mean),
    sampled: sample ? (out.sampled.data as Int32Array) : new Int32Array(0),
    sampledLogits: floats('sampledLogits', sample !== undefined),
    ...(expected && { expected: floats('expectedEmbedding') }),
  };
}
