/**
 * The graph that scores given tokens, for training and for likelihoods. It does not know objectives: which rows of
 * which stream predict which token with which weight, and who sees whom, are inputs. With one stream it is an
 * ordinary transformer; with two, a clean and a noisy copy of the same text run side by side and the noisy one also
 * attends to the clean one (BD3-LM 2503.09573, SDAR 2510.06303).
 */
import { TintypeError } from '../errors.ts';
import { Graph, type Value } from '../graph/graph.ts';
import { attend, crossEntropy } from '../graph/layers.ts';
import { add, concat, gatherRows, gemm, linear, mul, reshape, split } from '../graph/ops.ts';
import { familyName, parameterShapes, type ModelConfig } from './config.ts';
import { headBias } from './dit.ts';
import { rotaryTables } from './rotary.ts';
import { attentionScale, headwise, plainAddNorm, transformer, type Project } from './transformer.ts';

type Mix = Parameters<typeof headwise>[2];

export interface ScoringGraph {
  graph: Graph;
  /** Parameters, inputs of the graph under their published names. */
  parameters: ReadonlyMap<string, Value>;
  loss: Value;
  nll: Value;
}

export interface ScoringShape {
  rows: number;
  length: number;
  streams: 1 | 2;
  /** Temperature of the certainty term (`crossEntropy`); null: the loss has none. */
  certainty?: number | null;
  /** Says which token each row would predict. */
  guesses?: boolean;
}

/**
 * Inputs: `ids` [B, S] int32 and `positions` [B, S] int64 with S = T or 2T (clean, then noisy); `bias` [B,1,1,T,T];
 * with two streams `noisyBias` [B,1,1,T,2T]; `lossRows` [M] int32 into the flattened [B·S]; `targets` [M,1] int32;
 * `weights` [M,1]; with certainty `certaintyWeights` [M,1]. Outputs: `loss` (scalar, Σ weight · nll and the certainty
 * term), `nll` [M,1] nats; with certainty `best` [M,1], the probability of the best guess; with guesses `guess` [M],
 * the best token. Errors: `unsupported`.
 */
export function buildScoringGraph(
  config: ModelConfig,
  { rows: B, length: T, streams, certainty = null, guesses = false }: ScoringShape,
): ScoringGraph {
  if (config.gemma) {
    throw new TintypeError('unsupported', {
      what: 'models with this block decode, but texts cannot be scored by them or taught to them',
      got: `family ${familyName(config)}`,
      next: 'use a model of another family',
    });
  }
  const graph = new Graph();
  const parameters = new Map(
    parameterShapes(config).map(({ name, shape }) => [name, graph.input(name, 'float32', shape)]),
  );
  const weight = (name: string): Value => parameters.get(name)!;
  const S = streams * T;
  const ids = graph.input('ids', 'int32', [B, S]);
  const positions = graph.input('positions', 'int64', [B, S]);
  const bias = graph.input('bias', 'float32', [B, 1, 1, T, T]);
  const lossRows = graph.input('lossRows', 'int32', ['M']);
  const targets = graph.input('targets', 'int32', ['M', 1]);
  const weights = graph.input('weights', 'float32', ['M', 1]);
  const scale = attentionScale(config);

  const oneStream: Mix = ({ q, k, v }) => attend(q, k, v, bias, scale);
  let mix = oneStream;
  if (streams === 2) {
    const noisyBias = graph.input('noisyBias', 'float32', [B, 1, 1, T, 2 * T]);
    mix = ({ q, k, v }) => {
      const [cleanQ, noisyQ] = split(q, 3, [T, T]) as [Value, Value];
      const [cleanK] = split(k, 2, [T, T]) as [Value, Value];
      const [cleanV] = split(v, 2, [T, T]) as [Value, Value];
      return concat([attend(cleanQ, cleanK, cleanV, bias, scale), attend(noisyQ, k, v, noisyBias, scale)], 3);
    };
  }

  const embedding = weight('model.embed_tokens.weight');
  const project: Project = (x, names, { join = false } = {}) => {
    const products = names.map((name) => linear(x, weight(name)));
    return join ? [concat(products, x.shape.length - 1)] : products;
  };
  // The operator wants tables at least as long as the row, though positions stop at T.
  const rotary = rotaryTables(graph, config, positions, S);
  const hidden = transformer(config, gatherRows(embedding, ids), {
    project,
    vector: weight,
    addNorm: plainAddNorm(weight, config),
    attention: headwise(config, { vector: weight, project, rotary }, mix),
  });
  const plainHead = config.tiedHead ? embedding : weight('lm_head.weight');
  const plainRows = gatherRows(reshape(hidden, [B * S, config.width]), lossRows);
  // A bias of the head is one more column, which meets a one.
  const ones = (): Value => add(mul(weights, graph.scalar(0)), graph.scalar(1)); // [M, 1]
  const [scored, head] = config.dit
    ? [
        concat([plainRows, ones()], 1),
        concat([plainHead, reshape(headBias(config, weight('lm_head.bias')), [config.vocabSize, 1])], 1),
      ]
    : [plainRows, plainHead];
  const sureness =
    certainty === null
      ? null
      : { weights: graph.input('certaintyWeights', 'float32', ['M', 1]), temperature: certainty };
  const { loss, nll, best } = crossEntropy(scored, head, targets, weights, sureness);
  graph.output('loss', loss);
  graph.output('nll', nll);
  if (best) graph.output('best', best);
  if (guesses) {
    const logits = gemm(scored, head, null, false, true);
    const guess = graph.op({
      op: 'ArgMax',
      inputs: [logits],
      shape: ['M'],
      dtype: 'int64',
      attributes: { axis: { int: 1 }, keepdims: { int: 0 } },
    });
    graph.output('guess', guess);
  }
  return { graph, parameters, loss, nll };
}
