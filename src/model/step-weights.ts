/**
 * Weights of the stepping graph: constants, joined where they multiply the same input, query heads reordered, in
 * whatever precision they come.
 */
import { assert } from '../errors.ts';
import type { ConstantData, DType, Graph, Value } from '../graph/graph.ts';
import { add, gatherRows, linear } from '../graph/ops.ts';
import { asBytes, linearNBits, linearRows, type RowBytes } from '../graph/quantized.ts';
import { type ModelConfig, parameterShapes } from './config.ts';
import { headBias } from './dit.ts';
import { softcapped } from './gemma.ts';
import { headsOf, layerOf } from './heads.ts';
import { joined } from './join.ts';
import {
  asColumns,
  type FloatTensor,
  inBlocks,
  isByRow,
  isQuantized,
  type QuantizedTensor,
  type Weight,
  type Weights,
} from './quantize.ts';
import { projections } from './transformer.ts';

export interface StepWeights {
  /** A parameter in floating point. */
  constant: (name: string) => Value;
  /** Tokens [.., N] to rows of the embedding [.., N, D]. */
  embed: (ids: Value) => Value;
  /** x Wᵀ for each name; `join`: in one product, the results side by side. */
  project: (x: Value, names: readonly string[], options?: { join?: boolean }) => Value[];
  /** Biases side by side, as the joined product of their weights. */
  bias: (names: readonly string[]) => Value;
  /** The q and k norms of one layer, a row a head. [1, H + K, d] */
  headNorm: (layer: number) => Value;
  /** Hidden states [M, D] to logits [M, V]. */
  head: (hidden: Value) => Value;
}

/**
 * Whatever has the size of a weight is deferred, and its name says what it is made of: a file of converted weights
 * (`converted.ts`) is written from one such graph and serves them all. Raise `CONVERTED_VERSION` when a name comes to
 * stand for other numbers.
 * @param portable products in blocks alone, which other devices than the CPU have
 */
export function constantWeights(
  graph: Graph,
  config: ModelConfig,
  weights: Weights,
  { portable }: { portable: boolean },
): StepWeights {
  const { heads: H } = config;
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
      value = deferred(name, 'float32', shapes.get(name)!, () => floats(name).data);
      made.set(name, value);
    }
    return value;
  };

  const deferred = (name: string, dtype: DType, shape: readonly number[], make: () => ConstantData): Value =>
    graph.constant(name, { dtype, make }, shape);

  const bytes = new Map<Value, RowBytes>();
  /** What several products multiply becomes bytes once. */
  const bytesOf = (x: Value): RowBytes => {
    let known = bytes.get(x);
    if (!known) bytes.set(x, (known = asBytes(x)));
    return known;
  };

  const multiplyQuantized = (x: Value, name: string, given: readonly QuantizedTensor[]): Value => {
    const byRow = isByRow(name, given[0]);
    const parts = byRow && portable ? given.map(inBlocks) : given;
    const rows = parts.reduce((n, { shape }) => n + shape[0], 0);
    const [{ shape, bits, block }] = parts;
    const columns = shape[1];
    const packed = (): Uint8Array => joined(parts.map((part) => part.packed));
    const scales = (shape: readonly number[]): Value =>
      deferred(`${name}.scales`, 'float32', shape, () => joined(parts.map((part) => part.scales)));
    if (byRow && !portable) {
      const turned = (): Int8Array => asColumns({ shape: [rows, columns], packed: packed() });
      const weights = deferred(name, 'int8', [columns, rows], turned);
      return linearRows(bytesOf(x), { weights, scales: scales([rows]) });
    }
    const blocks = Math.ceil(columns / block);
    return linearNBits(x, {
      packed: deferred(name, 'uint8', [rows, blocks, (block * bits) / 8], packed),
      scales: scales([rows, blocks]),
      columns,
      bits,
      block,
    });
  };

  const multiply = (x: Value, name: string, parts: readonly Weight[]): Value => {
    if (parts.every(isQuantized)) return multiplyQuantized(x, name, parts);
    const shape = [parts.reduce((n, part) => n + part.shape[0], 0), parts[0].shape[1]];
    const make = (): Float32Array => joined((parts as FloatTensor[]).map((part) => part.data));
    return linear(x, deferred(name, 'float32', shape, make));
  };

  return {
    constant,
    embed: (ids) => {
      const name = 'model.embed_tokens.weight';
      const { halves } = floats(name);
      if (!halves) return gatherRows(constant(name), ids);
      const rows = gatherRows(
        deferred(name, halves.dtype, shapes.get(name)!, () => halves.data),
        ids,
      );
      return graph.op({ op: 'Cast', inputs: [rows], shape: rows.shape, attributes: { to: { int: 1 } } });
    },
    project: (x, names, { join = false } = {}) => {
      const parts = names.map((name) => reordered(name, weights.get(name)!, config));
      return join
        ? [multiply(x, names.join('+'), parts)]
        : names.map((name, i) => multiply(x, name, [parts[i]]));
    },
    bias: (names) => {
      const parts = names.map((name) => reordered(name, floats(name), config) as FloatTensor);
      const length = parts.reduce((n, { shape }) => n + shape[0], 0);
      return deferred(names.join('+'), 'float32', [length], () => joined(parts.map((part) => part.data)));
    },
    headNorm: (layer) => {
      const { kvHeads: K, headDim: d } = headsOf(config, layer);
      return deferred(`headNorm${layer}`, 'float32', [1, H + K, d], () => {
        const [q, k] = projections(layer, ['self_attn.q_norm', 'self_attn.k_norm']).map(
          (name) => floats(name).data,
        ) as [Float32Array, Float32Array];
        const rows = new Float32Array((H + K) * d);
        for (let j = 0; j < H + K; j++) rows.set(j < H ? q : k, j * d);
        return rows;
      });
    },
    head: (hidden) => {
      const head = weights.get('lm_head.weight');
      const isEmbedding = !head || (config.tiedHead && !isQuantized(head));
      const logits = isEmbedding
        ? linear(hidden, constant('model.embed_tokens.weight'))
        : multiply(hidden, 'lm_head.weight', [head]);
      if (config.gemma) return softcapped(config, logits);
      return config.dit ? add(logits, headBias(config, constant('lm_head.bias'))) : logits;
    },
  };
}

/** Query heads in the order of the stepping graph: rows of q and of its bias, columns of o. */
function reordered(name: string, weight: Weight, config: ModelConfig): Weight {
  const isQ = /\.q_proj\.(weight|bias)$/.test(name);
  if (!isQ && !name.endsWith('.o_proj.weight')) return weight;
  const { heads: H } = config;
  const { kvHeads: K, headDim: d } = headsOf(config, layerOf(name));
  const G = H / K;
  if (G === 1 || K === 1) return weight;
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
  // Getters, since a spread would read weights that are deferred.
  if (!isQuantized(weight)) {
    return {
      shape: weight.shape,
      get data() {
        return permute(weight.data);
      },
    };
  }
  const { shape, bits, block } = weight;
  const isWhole = !isQ && isByRow(name, weight);
  assert(isQ || isWhole || d % block === 0, `${name}: a block spans two heads`);
  return {
    shape,
    bits,
    block,
    get packed() {
      return permute(weight.packed);
    },
    get scales() {
      return isWhole ? weight.scales : permute(weight.scales);
    },
  };
}
