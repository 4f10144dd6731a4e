/**
 * What stands between two normalisations besides attention: SwiGLU, or a mixture of many small ones of which each token
 * takes a few, with or without one that all take (CHECKPOINTS.md 2.3, 2.4).
 */
import { dispatch, filled, pick, topK } from '../graph/experts.ts';
import type { Value } from '../graph/graph.ts';
import { softmax } from '../graph/layers.ts';
import { add, div, mul, reduceSum, reshape, sigmoid, silu, split } from '../graph/ops.ts';
import { product, type Dim } from '../graph/shape.ts';
import { isMixtureLayer, type Mixture, type ModelConfig } from './config.ts';
import type { TransformerParts } from './transformer.ts';
import { HIDDEN } from './visibility.ts';

type Parts = Pick<TransformerParts, 'project' | 'vector'>;

/** The feed-forward part of a layer. x [.., D] to [.., D] */
export function feedForward(config: ModelConfig, x: Value, layer: number, parts: Parts): Value {
  const at = `model.layers.${layer}.mlp`;
  if (!isMixtureLayer(config, layer)) return gated(x, at, parts);
  const mixture = config.mixture!;
  const rows = reshape(x, [product(x.shape.slice(0, -1)), config.width]);
  const mixed = reshape(mix(mixture, rows, route(mixture, rows, at, parts), at, parts), x.shape);
  return mixture.sharedWidth > 0 ? add(mixed, gated(x, `${at}.shared_experts`, parts)) : mixed;
}

/** down(activate(gate x) ∘ up x) */
export function gated(x: Value, at: string, { project }: Pick<Parts, 'project'>, activate = silu): Value {
  const [gate, up] = project(x, [`${at}.gate_proj.weight`, `${at}.up_proj.weight`]) as [Value, Value];
  return project(mul(activate(gate), up), [`${at}.down_proj.weight`])[0];
}

/** Which experts each row takes, and how much of each. [N, k] both */
export interface Routed {
  picked: Value;
  weights: Value;
}

/** x [N, D] to [N, D] */
export function mix(
  { experts, width }: Mixture,
  x: Value,
  { picked, weights }: Routed,
  at: string,
  { project }: Pick<Parts, 'project'>,
  activate = silu,
): Value {
  const { rows, perExpert, combine } = dispatch(x, picked, experts);
  const names = (expert: number, leaf: string): string => `${at}.experts.${expert}.${leaf}.weight`;
  const inner = perExpert(rows, (stretch, expert) => {
    return project(stretch, [names(expert, 'gate_proj'), names(expert, 'up_proj')], { join: true })[0];
  });
  // [R, I] each
  const [gate, up] = split(inner, 1, [width, width]) as [Value, Value];
  const out = perExpert(mul(activate(gate), up), (stretch, expert) => {
    return project(stretch, [names(expert, 'down_proj')])[0];
  });
  return combine(out, weights);
}

/** x [N, D] */
function route(mixture: Mixture, x: Value, at: string, parts: Parts): Routed {
  const { perToken, router, scale } = mixture;
  const logits = parts.project(x, [`${at}.gate.weight`])[0]; // [N, E]
  const g = x.graph;
  if (router !== 'sigmoidGroups') {
    const { values, indices } = topK(softmax(logits), perToken);
    return { picked: indices, weights: scaled(router === 'softmax' ? values : shares(values, 0), scale) };
  }
  const scores = sigmoid(logits);
  // The bias and the groups decide which experts, the scores alone how much of each.
  const ranked = inBestGroups(mixture, add(scores, parts.vector(`${at}.gate.expert_bias`)));
  const { indices } = topK(ranked, perToken);
  return { picked: indices, weights: scaled(shares(pick(scores, indices), 1e-20), scale) };

  function scaled(weights: Value, by: number): Value {
    return by === 1 ? weights : mul(weights, g.scalar(by));
  }
}

/** Parts of their sum. [N, k] */
export function shares(weights: Value, epsilon: number): Value {
  const sum = reduceSum(weights, [1], true);
  return div(weights, epsilon === 0 ? sum : add(sum, weights.graph.scalar(epsilon)));
}

/** Hides the scores outside the best groups; a group is as good as its two best scores together. [N, E] */
function inBestGroups({ experts, groups, groupsPerToken }: Mixture, scores: Value): Value {
  if (groupsPerToken === groups) return scores;
  const [N] = scores.shape as [Dim, number];
  const size = experts / groups;
  const grouped = reshape(scores, [N, groups, size]);
  const best = reduceSum(topK(grouped, Math.min(2, size)).values, [2]); // [N, G]
  const { indices } = topK(best, groupsPerToken);
  const hidden = scores.graph.op({
    op: 'ScatterElements',
    inputs: [filled(best, HIDDEN), indices, filled({ ...indices, dtype: 'float32' }, 0)],
    shape: best.shape,
    attributes: { axis: { int: 1 } },
  });
  return reshape(add(grouped, reshape(hidden, [N, groups, 1])), [N, experts]);
}
