/**
 * Weights of the stepping graph: constants, joined where they multiply the same input, query heads reordered, in
 * whatever precision they come.
 */
import { assert } from '../errors.ts';
import type { Graph, Value } from '../graph/graph.ts';
import { linear, linearNBits, split } from '../graph/ops.ts';
import { type ModelConfig, parameterShapes } from './config.ts';
import { joined } from './join.ts';
import { type FloatTensor, isQuantized, type Weight, type Weights } from './quantize.ts';
import { projections } from './transformer.ts';

export interface StepWeights {
  /** A parameter in floating point. */
  constant: (name: string) => Value;
  /** x Wᵀ for each name, in one product; `join` leaves the results side by side. */
  project: (x: Value, names: readonly string[], options?: { join?: boolean }) => Value[];
  /** Biases side by side, as the joined product of their weights. */
  bias: (names: readonly string[]) => Value;
  /** The q and k norms of one layer, a row a head. [1, H + K, d] */
  headNorm: (layer: number) => Value;
  /** Hidden states [M, D] to logits [M, V]. */
  head: (hidden: Value) => Value;
}

export function constantWeights(graph: Graph, config: ModelConfig, weights: Weights): StepWeights {
  const { heads: H, kvHeads: K, headDim: d } = config;
  const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const made = new Map<string, Value>();

  const floats = (name: string): FloatTensor => {
    const weight = weights.get(name);
    assert(weight && !isQuantized(weight), `${name} in floating point`);
    return weight;
  };
  const constant = (name: string): Value => {
    let value = made.get(name);
    if (!value) {
      value = graph.constant(name, floats(name).data, shapes.get(name)!);
      made.set(name, value);
    }
    return value;
  };

  const multiply = (x: Value, name: string, parts: readonly Weight[]): Value => {
    const rows = parts.reduce((n, { shape }) => n + shape[0], 0);
    const columns = parts[0].shape[1];
    if (parts.every(isQuantized)) {
      const [{ bits, block }] = parts;
      const blocks = Math.ceil(columns / block);
      const packed = joined(parts.map((part) => part.packed));
      const scales = joined(parts.map((part) => part.scales));
      const blobBytes = (block * bits) / 8;
      return linearNBits(x, {
        packed: graph.constant(name, packed, [rows, blocks, blobBytes]),
        scales: graph.constant(`${name}.scales`, scales, [rows, blocks]),
        columns,
        bits,
        block,
      });
    }
    const data = joined((parts as FloatTensor[]).map((part) => part.data));
    return linear(x, graph.constant(name, data, [rows, columns]));
  };

  return {
    constant,
    project: (x, names, { join = false } = {}) => {
      const parts = names.map((name) => reordered(name, weights.get(name)!, config));
      const fused = multiply(x, names.join('+'), parts);
      if (join || names.length === 1) return [fused];
      return split(
        fused,
        x.shape.length - 1,
        parts.map(({ shape }) => shape[0]),
      );
    },
    bias: (names) => {
      const parts = names.map((name) => reordered(name, floats(name), config) as FloatTensor);
      const data = joined(parts.map((part) => part.data));
      return graph.constant(names.join('+'), data, [data.length]);
    },
    headNorm: (layer) => {
      const [q, k] = projections(layer, ['self_attn.q_norm', 'self_attn.k_norm']).map(
        (name) => floats(name).data,
      ) as [Float32Array, Float32Array];
      const rows = new Float32Array((H + K) * d);
      for (let j = 0; j < H + K; j++) rows.set(j < H ? q : k, j * d);
      return graph.constant(`headNorm${layer}`, rows, [1, H + K, d]);
    },
    head: (hidden) => {
      const head = weights.get('lm_head.weight');
      if (!head || (config.tiedHead && !isQuantized(head))) {
        return linear(hidden, constant('model.embed_tokens.weight'));
      }
      return multiply(hidden, 'lm_head.weight', [head]);
    },
  };
}

/** Query heads in the order of the stepping graph: rows of q and of its bias, columns of o. */
function reordered(name: string, weight: Weight, { heads: H, kvHeads: K, headDim: d }: ModelConfig): Weight {
  const G = H / K;
  const isQ = /\.q_proj\.(weight|bias)$/.test(name);
  if (G === 1 || K === 1 || !(isQ || name.endsWith('.o_proj.weight'))) return weight;
  // One row of o is H heads; q as a whole is one row of H heads.
  const lines = isQ ? 1 : weight.shape[0];
  const permute = <A extends Float32Array | Uint8Array>(data: A): A => {
    const out = data.slice() as A;
    const chunk = data.length / lines / H;
    for (let line = 0; line < lines; line++) {
      for (let j = 0; j < H; j++) {
        // Head j of the new order, g·K + k, was head k·G + g.
        const was = (line * H + (j % K) * G + Math.floor(j / K)) * chunk;
        out.set(data.subarray(was, was + chunk), (line * H + j) * chunk);
      }
    }
    return out;
  };
  if (!isQuantized(weight)) return { ...weight, data: permute(weight.data) };
  assert(isQ || d % weight.block === 0, `${name}: a block spans two heads`);
  return { ...weight, packed: permute(weight.packed), scales: permute(weight.scales) };
}
