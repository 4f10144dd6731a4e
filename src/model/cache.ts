/**
 * Keys and values of one sequence, [K, capacity, d] for each layer. Capacity grows in steps, so that the graph sees
 * few different shapes and at most `STEP` hidden places.
 */
import { assert } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import type { KvCache } from './denoiser.ts';

/** Places by which a cache grows. */
const STEP = 64;

export interface LayerCache {
  k: Float32Array;
  v: Float32Array;
}

export interface NativeCache extends KvCache {
  readonly capacity: number;
  readonly layers: readonly LayerCache[];
  /** Appends the first `count` of T places of every layer, each [K, T, d]. */
  append(layers: readonly LayerCache[], count: number, T?: number): void;
}

export function createCache(config: ModelConfig): NativeCache {
  const { kvHeads: K, headDim: d } = config;
  let capacity = STEP;
  let length = 0;
  const empty = (): Float32Array => new Float32Array(K * capacity * d);
  let layers = Array.from({ length: config.layers }, (): LayerCache => ({ k: empty(), v: empty() }));

  /** Copies `count` places of every head from one layout to another. */
  const copy = (
    from: Float32Array,
    fromPlaces: number,
    to: Float32Array,
    toPlaces: number,
    at: number,
    count: number,
  ) => {
    for (let head = 0; head < K; head++) {
      const start = head * fromPlaces * d;
      to.set(from.subarray(start, start + count * d), (head * toPlaces + at) * d);
    }
  };

  const grow = (wanted: number): void => {
    const before = capacity;
    capacity = Math.ceil(wanted / STEP) * STEP;
    layers = layers.map(({ k, v }) => {
      const grown = { k: empty(), v: empty() };
      copy(k, before, grown.k, capacity, 0, length);
      copy(v, before, grown.v, capacity, 0, length);
      return grown;
    });
  };

  return {
    get length() {
      return length;
    },
    get capacity() {
      return capacity;
    },
    get layers() {
      return layers;
    },
    get sizeBytes() {
      return config.layers * 2 * K * capacity * d * 4;
    },
    append: (added, count, T = count) => {
      if (length + count > capacity) grow(length + count);
      added.forEach(({ k, v }, layer) => {
        copy(k, T, layers[layer].k, capacity, length, count);
        copy(v, T, layers[layer].v, capacity, length, count);
      });
      length += count;
    },
    truncate: (to) => {
      assert(to <= length, `cannot truncate ${length} positions to ${to}`);
      length = to;
    },
    clone: () => {
      const twin = createCache(config);
      const view = layers.map(({ k, v }) => {
        const part = { k: new Float32Array(K * length * d), v: new Float32Array(K * length * d) };
        copy(k, capacity, part.k, length, 0, length);
        copy(v, capacity, part.v, length, 0, length);
        return part;
      });
      if (length > 0) twin.append(view, length);
      return twin;
    },
  };
}
