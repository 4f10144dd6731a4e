/** Weights of the stepping graph: constants, joined where they multiply the same input, query heads reordered. */
import type { Graph, Value } from '../graph/graph.ts';
import { linear } from '../graph/ops.ts';
import { split } from '../graph/ops.ts';
import { parameterShapes, type ModelConfig } from './config.ts';
import { projections } from './transformer.ts';

export type Tensors = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

export interface StepWeights {
  constant: (name: string) => Value;
  /** x Wᵀ for each name, in one product; `join` leaves the results side by side. */
  project: (x: Value, names: readonly string[], options?: { join?: boolean }) => Value[];
  /** The q and k norms of one layer, a row a head: [1, H + K, d] */
  headNorm: (layer: number) => Value;
}

export function constantWeights(graph: Graph, config: ModelConfig, tensors: Tensors): StepWeights {
  const { heads: H, kvHeads: K, headDim: d } = config;
  const G = H / K;
  const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const made = new Map<string, Value>();
  const constant = (name: string): Value => {
    let value = made.get(name);
    if (!value) {
      value = graph.constant(name, ordered(name), shapes.get(name)!);
      made.set(name, value);
    }
    return value;
  };

  /** Where query head j of the reordered weights was. */
  const source = (j: number): number => (j % K) * G + Math.floor(j / K);

  const ordered = (name: string): Float32Array => {
    const { data } = tensors.get(name)!;
    if (G === 1 || K === 1) return data;
    if (name.endsWith('.q_proj.weight')) {
      const chunk = d * config.width;
      const out = new Float32Array(data.length);
      for (let j = 0; j < H; j++) {
        out.set(data.subarray(source(j) * chunk, (source(j) + 1) * chunk), j * chunk);
      }
      return out;
    }
    if (name.endsWith('.o_proj.weight')) {
      const out = new Float32Array(data.length);
      for (let row = 0; row < config.width; row++) {
        const at = row * H * d;
        for (let j = 0; j < H; j++) {
          const from = at + source(j) * d;
          out.set(data.subarray(from, from + d), at + j * d);
        }
      }
      return out;
    }
    return data;
  };

  return {
    constant,
    project: (x, names, { join = false } = {}) => {
      if (names.length === 1) return [linear(x, constant(names[0]))];
      const parts = names.map(ordered);
      const rows = names.map((name) => shapes.get(name)![0]);
      const total = rows.reduce((a, b) => a + b, 0);
      const joined = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
      let at = 0;
      for (const part of parts) {
        joined.set(part, at);
        at += part.length;
      }
      const fused = linear(x, graph.constant(names.join('+'), joined, [total, shapes.get(names[0])![1]]));
      return join ? [fused] : split(fused, x.shape.length - 1, rows);
    },
    headNorm: (layer) => {
      const [q, k] = projections(layer, ['self_attn.q_norm', 'self_attn.k_norm']).map(
        (name) => tensors.get(name)!.data,
      ) as [Float32Array, Float32Array];
      const rows = new Float32Array((H + K) * d);
      for (let j = 0; j < H + K; j++) rows.set(j < H ? q : k, j * d);
      return graph.constant(`headNorm${layer}`, rows, [1, H + K, d]);
    },
  };
}
