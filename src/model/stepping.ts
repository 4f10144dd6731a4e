/**
 * The graph that decoding steps through: new tokens over a cached prefix, statistics out. The cache is an input that
 * is never concatenated or copied inside the graph: scores against the prefix and scores among the new tokens are two
 * products under one softmax.
 */
import { Graph, type Value } from '../graph/graph.ts';
import { softmax } from '../graph/layers.ts';
import {
  add,
  concat,
  div,
  gatherRows,
  linear,
  log,
  matmul,
  mul,
  reduceSum,
  reshape,
  split,
  sub,
} from '../graph/ops.ts';
import { product, sum, type Dim } from '../graph/shape.ts';
import { parameterShapes, type ModelConfig } from './config.ts';
import { attentionScale, rotaryTables, transformer, type Attention, type Project } from './transformer.ts';

export interface SteppingVariant {
  topK: number;
  entropy: boolean;
  sample: boolean;
  logitBias: boolean;
}

export type Tensors = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

/**
 * Inputs with named dimensions: B sequences, T new tokens each, P places of cache, M queried rows. Attention rows are
 * (query head of its group, token), so `bias` holds G copies of the tokens' rows.
 */
export function buildSteppingGraph(config: ModelConfig, tensors: Tensors, variant: SteppingVariant): Graph {
  const graph = new Graph();
  const { kvHeads: K, headDim, width: D, contextLength } = config;
  const [B, T, P, M] = ['B', 'T', 'P', 'M'];
  const ids = graph.input('ids', 'int32', [B, T]);
  const positions = graph.input('positions', 'int64', [B, T]);
  // Towards the cache, where it hides places that are not filled, and among the new tokens.
  const G = config.heads / K;
  const rows = product([G, T]);
  const bias = graph.input('bias', 'float32', [B, 1, rows, sum([P, T])]);
  // How many places of cache and how many tokens, where scores are split again; fed, since no shape tells it.
  const sizes = graph.input('sizes', 'int64', [2]);
  const queried = graph.input('rows', 'int32', [M]);

  const { constant, project } = constantWeights(graph, config, tensors);
  const scale = attentionScale(config);

  const attention: Attention = ({ q, k, v }, layer) => {
    graph.output(`k${layer}`, k);
    graph.output(`v${layer}`, v);
    const pastK = graph.input(`pastK${layer}`, 'float32', [B, K, P, headDim]);
    const pastV = graph.input(`pastV${layer}`, 'float32', [B, K, P, headDim]);
    const queries = reshape(q, [B, K, rows, headDim]);
    const scores = [pastK, k].map((keys) => matmul(queries, keys, { transB: true, alpha: scale }));
    const weights = softmax(add(concat(scores, 3), bias));
    const [onPast, onNew] = graph.node({
      op: 'Split',
      inputs: [weights, sizes],
      outputs: scores.map(({ shape }) => ({ dtype: 'float32', shape })),
      attributes: { axis: { int: 3 } },
    }) as [Value, Value];
    return reshape(add(matmul(onPast, pastV), matmul(onNew, v)), q.shape);
  };

  const embedding = constant('model.embed_tokens.weight');
  const hidden = transformer(config, gatherRows(embedding, ids), {
    vector: constant,
    project,
    attention,
    rotary: rotaryTables(graph, config, positions, contextLength),
  });
  const head = config.tiedHead ? embedding : constant('lm_head.weight');
  let logits = linear(gatherRows(reshape(hidden, [product([B, T]), D]), queried), head);
  if (variant.logitBias) logits = add(logits, graph.input('logitBias', 'float32', [M, config.vocabSize]));
  statistics(graph, logits, config, variant);
  return graph;
}

/** Weights inside the graph; those that multiply the same input become one matrix and one product. */
function constantWeights(graph: Graph, config: ModelConfig, tensors: Tensors) {
  const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const made = new Map<string, Value>();
  const constant = (name: string): Value => {
    let value = made.get(name);
    if (!value) {
      value = graph.constant(name, tensors.get(name)!.data, shapes.get(name)!);
      made.set(name, value);
    }
    return value;
  };
  const project: Project = (x, names) => {
    if (names.length === 1) return [linear(x, constant(names[0]))];
    const parts = names.map((name) => tensors.get(name)!.data);
    const rows = names.map((name) => shapes.get(name)![0]);
    const total = rows.reduce((a, b) => a + b, 0);
    const joined = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    const fused = graph.constant(names.join('+'), joined, [total, shapes.get(names[0])![1]]);
    return split(linear(x, fused), x.shape.length - 1, rows);
  };
  return { constant, project };
}

/** Outputs of DECODING.md's statistics: never the logits [M, V] themselves. */
function statistics(
  graph: Graph,
  logits: Value,
  { vocabSize }: ModelConfig,
  { topK, entropy, sample }: SteppingVariant,
): void {
  const [M] = logits.shape as [Dim];
  const [top, ids] = graph.node({
    op: 'TopK',
    inputs: [logits, graph.ints([topK])],
    outputs: [
      { dtype: 'float32', shape: [M, topK] },
      { dtype: 'int64', shape: [M, topK] },
    ],
    attributes: { axis: { int: 1 }, largest: { int: 1 }, sorted: { int: 1 } },
  }) as [Value, Value];
  graph.output('topLogits', top);
  graph.output('topIds', ids);

  // log Σ exp z = max z − log max softmax(z): the softmax kernel is much quicker than a reduction of its own.
  const best = topK === 1 ? top : split(top, 1, [1, topK - 1])[0];
  const probabilities = softmax(logits);
  const bestProbability = graph.op({
    op: 'ReduceMax',
    inputs: [probabilities, graph.ints([1])],
    shape: [M, 1],
    attributes: { keepdims: { int: 1 } },
  });
  const logSumExp = sub(best, log(bestProbability));
  graph.output('logSumExp', logSumExp);
  // H = log Σ exp z − Σ p z
  if (entropy) graph.output('entropy', sub(logSumExp, reduceSum(mul(probabilities, logits), [1], true)));
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
