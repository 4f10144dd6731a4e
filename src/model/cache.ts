/**
 * Keys and values of one sequence, [capacity, K·d] for each layer (`heads.ts`). Places come first, so that the keys of new tokens are
 * one stretch of memory behind those of the old ones: a forward writes them there itself (`stepping.ts`), and keeping
 * them is a matter of counting. What lies behind `length` is scratch.
 */
import { assert } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import type { KvCache } from './denoiser.ts';
import { placeWidth } from './heads.ts';

/** Places of the smallest cache. */
const SMALLEST = 64;

export interface LayerCache {
  /** [capacity, K·d] */
  k: Float32Array;
  v: Float32Array;
}

export interface NativeCache extends KvCache {
  readonly layers: readonly LayerCache[];
  /** Makes room for `count` places behind `length`. Views of `layers` taken before are stale. */
  reserve(count: number): void;
  /** The `count` places behind `length` hold keys and values that stay. */
  keep(count: number): void;
}

/** Bytes of keys and values of one place. */
export const placeBytes = (config: ModelConfig): number =>
  widthsOf(config).reduce((sum, width) => sum + 2 * width * Float32Array.BYTES_PER_ELEMENT, 0);

/** K·d of each layer. */
const widthsOf = (config: ModelConfig): number[] =>
  Array.from({ length: config.layers }, (_, layer) => placeWidth(config, layer));

export function createCache(config: ModelConfig): NativeCache {
  const widths = widthsOf(config);
  let capacity = 0;
  let length = 0;
  let layers: LayerCache[] = widths.map(() => ({
    k: new Float32Array(0),
    v: new Float32Array(0),
  }));

  const resize = (places: number): void => {
    capacity = places;
    const moved = (from: Float32Array, width: number): Float32Array => {
      const to = new Float32Array(places * width);
      to.set(from.subarray(0, length * width));
      return to;
    };
    layers = layers.map(({ k, v }, i) => ({ k: moved(k, widths[i]), v: moved(v, widths[i]) }));
  };

  const cache: NativeCache = {
    get length() {
      return length;
    },
    get layers() {
      return layers;
    },
    get sizeBytes() {
      return capacity * placeBytes(config);
    },
    reserve: (count) => {
      const wanted = length + count;
      // By half at least, so that a cache that grows token by token is copied a few times only.
      if (wanted > capacity) resize(Math.max(SMALLEST, wanted, Math.ceil(capacity * 1.5)));
    },
    keep: (count) => {
      assert(length + count <= capacity, `no room for ${count} places behind ${length}`);
      length += count;
    },
    truncate: (to) => {
      assert(to <= length, `cannot truncate ${length} positions to ${to}`);
      length = to;
    },
    clone: () => {
      const twin = createCache(config);
      twin.reserve(length);
      twin.layers.forEach(({ k, v }, layer) => {
        k.set(layers[layer].k.subarray(0, length * widths[layer]));
        v.set(layers[layer].v.subarray(0, length * widths[layer]));
      });
      twin.keep(length);
      return twin;
    },
  };
  return cache;
}
