/**
 * The graph that decoding steps through: new tokens of several sequences over their caches, statistics out. At the size
 * of a small model a step costs as much in nodes as in arithmetic, so everything here is about having few of them.
 *
 * Tokens of all sequences are rows of one product (no padding); attention alone is done sequence by sequence. The cache
 * is neither concatenated nor copied: an output of this graph is written straight into the memory behind the cached
 * places (`native.ts` binds it there), and attention reads that memory as one longer input. That is sound because
 * what writes keys and values is the same node that hands on the queries, or comes before it.
 *
 * Query heads are reordered when the weights are read: head k·G + g moves to g·K + k, so a token's queries are G rows of
 * K heads, each row like a key of the cache, and a group shares a key head as further rows of one product.
 */
import { Graph, type Value } from '../graph/graph.ts';
import { rmsNorm, rope, type RotaryTables, scaledAttention, skipRmsNorm } from '../graph/layers.ts';
import { add, concat, div, gatherAxis, mul, reshape, split, splitBy } from '../graph/ops.ts';
import { product, type Dim } from '../graph/shape.ts';
import { hasQkNorm, type ModelConfig, NOISE_FEATURES } from './config.ts';
import { expectedEmbedding, withValues } from './gemma.ts';
import type { Gemma } from './gemma-shapes.ts';
import { headKinds, headsOf } from './heads.ts';
import type { FloatTensor, Weights } from './quantize.ts';
import { queryScale, rotaryRows, rotaryTables } from './rotary.ts';
import { statistics, type StatisticsVariant } from './statistics.ts';
import { constantWeights } from './step-weights.ts';
import { attentionScale, projections, QKV, qkvBiases, transformer, type Attention } from './transformer.ts';

export type Tensors = ReadonlyMap<string, FloatTensor>;

export interface SteppingVariant extends StatisticsVariant {
  /** Sequences of one run. */
  runs: number;
  /**
   * Where fewer sequences than that come, a place that is left over is given a copy of a token in attention alone, and no
   * row in the products: worth its nodes where one graph, which is one copy of a large model's weights, serves any number.
   */
  idle: boolean;
  /** Whether attention is masked; where everybody sees everything it need not be. */
  masked: boolean;
  /** Keys and values are written behind the cache in place; else the graph joins them. */
  inPlace: boolean;
  /** Does without what only the CPU's kernels take: a row of norm weights for each head. */
  portable: boolean;
}

/** Names of a sequence's inputs and outputs. */
export const named = {
  pastK: (layer: number, run: number): string => `pastK${layer}_${run}`,
  pastV: (layer: number, run: number): string => `pastV${layer}_${run}`,
  k: (layer: number, run: number): string => `k${layer}_${run}`,
  v: (layer: number, run: number): string => `v${layer}_${run}`,
  /** One for each kind of layer (`heads.ts`). */
  mask: (kind: number, run: number): string => `mask${kind}_${run}`,
  lastMask: (run: number): string => `lastMask${run}`,
  parts: (kind: number): string => `parts${kind}`,
};

/** Parts one below the other. [1, T0, W], [1, T1, W], … to [1, rows, W] */
const stacked = (parts: readonly Value[], rows: Dim): Value => {
  const [{ graph, shape }] = parts;
  if (parts.length === 1) return parts[0];
  return graph.op({
    op: 'Concat',
    inputs: parts,
    shape: shape.with(1, rows),
    attributes: { axis: { int: 1 } },
  });
};

/**
 * Inputs: N tokens (`ids`, `positions`), those M of them whose statistics are wanted (`rows`), and for each sequence r
 * its caches [1, S, K·d], where S counts the new tokens too if written in place, and for each kind of layer a `mask` [G·T, S], with `lastMask`
 * [G·M, S] for the last layer, which computes the wanted rows only. With several sequences also how many rows of queries, keys
 * and values each has (`parts`, for each kind, and `lastParts`); where places may be idle, which rows attention is to see
 * (`spread`, `lastSpread`) and which of what comes out of it are tokens (`kept`, `lastKept`). A model that is told noise levels has what stands for
 * them (`noise`, for each token) and what its log scores have beside the head's output (`scoreOffset`, for each wanted row).
 */
export function buildSteppingGraph(config: ModelConfig, weights: Weights, variant: SteppingVariant): Graph {
  const graph = new Graph();
  const { heads: H, width: D, contextLength, normEps } = config;
  const { runs, idle, masked, inPlace, portable } = variant;
  const ids = graph.input('ids', 'int32', [1, 'N']);
  const positions = graph.input('positions', 'int64', [1, 'N']);
  const rows = graph.input('rows', 'int32', ['M']);
  const spread = idle ? graph.input('spread', 'int32', ['A']) : null;
  const wanted = idle ? graph.input('lastSpread', 'int32', ['lastA']) : rows;
  const kept = idle ? [graph.input('kept', 'int32', ['N']), graph.input('lastKept', 'int32', ['M'])] : null;
  const every = Array.from({ length: runs }, (_, run) => run);
  const T = every.map((run) => (runs > 1 ? `T${run}` : 'N'));
  const M = every.map((run) => (runs > 1 ? `M${run}` : 'M'));
  const S = every.map((run) => `S${run}`);
  const maskOf = (name: string, kvHeads: number, rows: string, run: number): Value | null =>
    masked ? graph.input(name, 'float32', [product([H / kvHeads, rows]), S[run]]) : null;
  const mask = headKinds(config).map(({ kind, kvHeads }) =>
    every.map((run) => maskOf(named.mask(kind, run), kvHeads, T[run], run)),
  );
  const last = headsOf(config, config.layers - 1);
  const partsOf = (name: string): Value | null => (runs > 1 ? graph.input(name, 'int64', [3 * runs]) : null);
  const parts = headKinds(config).map(({ kind }) => partsOf(named.parts(kind)));
  const lastParts = partsOf('lastParts');
  const lastMask = every.map((run) => maskOf(named.lastMask(run), last.kvHeads, M[run], run));

  const { constant, embed, bias, project, headNorm, head } = constantWeights(graph, config, weights, {
    portable,
  });
  const { gemma } = config;
  const rotary = gemma
    ? rotariesOf(gemma, config, graph.input('order', 'int64', [1, 'N']), positions)
    : [rotaryTables(graph, config, positions, contextLength)];
  const scale = queryScale(config, rotary[0]);
  const isTold = config.dit?.isToldNoise ?? false;

  /** One sequence over its cache. q [1, G·T or G·M, K·d], k and v [1, T, K·d] to the shape of q */
  const attendRun = ({ q, k, v }: { q: Value; k: Value; v: Value }, layer: number, run: number): Value => {
    const { kind, kvHeads: K, headDim: d } = headsOf(config, layer);
    const past = (name: string, added: Value): Value => {
      if (inPlace) return graph.input(name, 'float32', [1, S[run], K * d]);
      return concat([graph.input(name, 'float32', [1, `P${run}`, K * d]), added], 1);
    };
    graph.output(named.k(layer, run), k);
    graph.output(named.v(layer, run), v);
    return scaledAttention(q, past(named.pastK(layer, run), k), past(named.pastV(layer, run), v), {
      heads: K,
      scale: attentionScale(config),
      mask: (layer === config.layers - 1 ? lastMask : mask[kind])[run],
    });
  };

  /** The queries of [1, N, (H + K)·d] multiplied by what their positions ask for. */
  const scaled = (qk: Value, sizes: readonly [number, number]): Value => {
    if (!scale) return qk;
    const [q, k] = split(qk, 2, sizes) as [Value, Value];
    return concat([mul(q, scale), k], 2);
  };

  /** [N, H + K, d], each head normalised */
  const normHeads = (heads: Value, layer: number): Value => {
    if (!portable) return rmsNorm(heads, headNorm(layer), normEps);
    const d = heads.shape[2] as number;
    const ones = graph.constant(`headOnes${layer}`, new Float32Array(d).fill(1), [d]);
    return mul(rmsNorm(heads, ones, normEps), headNorm(layer));
  };

  /**
   * What belongs to each sequence. Several are cut apart by one node, so that it has written every key before attention
   * reads the first.
   */
  const perRun = (q: Value, k: Value, v: Value, layer: number): { q: Value; k: Value; v: Value }[] => {
    if (runs === 1) return [{ q, k, v }];
    const isLast = layer === config.layers - 1;
    const { kind, kvHeads: K } = headsOf(config, layer);
    const queries = (isLast ? M : T).map((rows) => product([H / K, rows]));
    const sizes = (isLast ? lastParts : parts[kind])!;
    const cut = splitBy(stacked([q, k, v], 'parts'), 1, sizes, [...queries, ...T, ...T]);
    return every.map((run) => ({ q: cut[run], k: cut[runs + run], v: cut[2 * runs + run] }));
  };

  const attention: Attention = (x, layer) => {
    const { kind, kvHeads: K, headDim: d, valuesAreKeys } = headsOf(config, layer);
    const names = projections(layer, valuesAreKeys ? QKV.slice(0, 2) : QKV);
    const [products] = project(x, names, { join: true }) as [Value];
    const biased = config.qkvBias ? add(products, bias(qkvBiases(layer))) : products;
    const joined = config.gemma ? withValues(config, biased, layer) : biased;
    const [qk, v] = split(joined, 2, [(H + K) * d, K * d]) as [Value, Value];
    const heads = hasQkNorm(config) ? reshape(normHeads(reshape(qk, ['N', H + K, d]), layer), qk.shape) : qk;
    const placed = scaled(rope(heads, rotary[kind], H + K), [H * d, K * d]);
    const isLast = layer === config.layers - 1;
    const seen = (rows: Value): Value => (spread ? gatherAxis(rows, spread, 1) : rows);
    const [q, k] = split(placed, 2, [H * d, K * d]) as [Value, Value];
    const asked = isLast ? gatherAxis(q, wanted, 1) : seen(q);
    const queries = reshape(asked, [1, product([H / K, asked.shape[1]]), K * d]);
    const mixed = perRun(queries, seen(k), seen(v), layer).map((own, run) => attendRun(own, layer, run));
    const y = reshape(stacked(mixed, queries.shape[1]), asked.shape);
    return kept ? gatherAxis(y, kept[isLast ? 1 : 0], 1) : y;
  };

  const hidden = transformer(config, embed(ids), {
    project,
    vector: constant,
    addNorm: (x, delta, weight) =>
      delta
        ? skipRmsNorm(x, delta, constant(weight), normEps)
        : { sum: x, normed: rmsNorm(x, constant(weight), normEps) },
    attention,
    keep: (x) => gatherAxis(x, rows, 1),
    noise: isTold ? graph.input('noise', 'float32', [1, 'N', NOISE_FEATURES]) : null,
    ...(gemma && {
      canvas: {
        rows: graph.input('isCanvas', 'float32', [1, 'N', 1]),
        expected: graph.input('expected', 'float32', [1, 'N', D]),
      },
    }),
  });
  let logits = head(reshape(hidden, ['M', D]));
  if (isTold) logits = add(logits, graph.input('scoreOffset', 'float32', ['M', 1]));
  if (variant.logitBias) {
    // [M, V], or [1, 1] where a graph that can add one need not.
    const bias = graph.input('logitBias', 'float32', ['biasRows', 'biasColumns']);
    logits = graph.op({ op: 'Add', inputs: [logits, bias], shape: logits.shape });
  }
  if (config.noise === 'uniform') logits = div(logits, graph.input('logitTemperature', 'float32', []));
  statistics(graph, logits, config, variant);
  if (gemma) {
    const expected = expectedEmbedding(config, logits, constant('model.embed_tokens.weight'));
    graph.output('expectedEmbedding', expected);
  }
  return graph;
}

/** Of layers with a window, and of full ones. */
const rotariesOf = (
  { full, fullRope }: Gemma,
  { headDim, ropeTheta }: ModelConfig,
  order: Value,
  positions: Value,
): RotaryTables[] => [
  rotaryRows(order.graph, { theta: ropeTheta, headDim }, { positions, order }),
  rotaryRows(order.graph, { ...fullRope, headDim: full.headDim }, { positions, order }),
];
