/** Pieces as tensors: what the stepping graph reads, and the memory of the caches that it writes. */
import type { Runtime, Tensor } from '../graph/session.ts';
import { createCache, type NativeCache } from './cache.ts';
import { type ModelConfig, NOISE_FEATURES } from './config.ts';
import type { StatisticsRequest } from './denoiser.ts';
import { noiseFeatures, noiseOfMasks, scoreOffset } from './dit.ts';
import { headKinds, headsOf, placeWidth } from './heads.ts';
import type { Piece } from './pieces.ts';
import { runMask } from './run-mask.ts';
import { named, type SteppingVariant } from './stepping.ts';

type Named = Record<string, Tensor>;

export interface Feeder {
  feed(
    pieces: readonly Piece[],
    want: StatisticsRequest,
    variant: SteppingVariant,
  ): { feeds: Named; fetches?: Named };
  /** Moves new keys and values behind the caches' places, unless the graph wrote them there. */
  collect(pieces: readonly Piece[], out: Named): void;
}

const upTo = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

/** @param inPlace see `SteppingVariant` */
export function createFeeder(
  { Tensor }: Runtime,
  config: ModelConfig,
  { inPlace }: { inPlace: boolean },
): Feeder {
  const { width: D, heads, vocabSize: V } = config;
  const widths = Array.from({ length: config.layers }, (_, layer) => placeWidth(config, layer));
  const kinds = headKinds(config);

  const masks = ({ attention, positions, cache, rows }: Piece, run: number, feeds: Named): void => {
    const [T, P] = [positions.length, cache.length];
    for (const { kind, kvHeads, window } of kinds) {
      const G = heads / kvHeads;
      const maskOf = (queries: Int32Array): Tensor =>
        new Tensor('float32', runMask(attention, positions, queries, { G, length: P, window }), [
          G * queries.length,
          P + T,
        ]);
      const mask = maskOf(upTo(T));
      feeds[named.mask(kind, run)] = mask;
      if (kind === headsOf(config, config.layers - 1).kind)
        feeds[named.lastMask(run)] = rows.length === T ? mask : maskOf(rows);
    }
  };

  /** Which rows are of a canvas, and what was expected there (`gemma.ts`). */
  const canvas = (pieces: readonly Piece[], N: number): Named => {
    const isCanvas = new Float32Array(N);
    const expected = new Float32Array(N * D);
    let n = 0;
    for (const { ids, attention, expected: known } of pieces) {
      const first = attention.kind === 'anchored' ? attention.clean : ids.length;
      isCanvas.fill(1, n + Math.min(first, ids.length), n + ids.length);
      if (known) expected.set(known, n * D);
      n += ids.length;
    }
    return {
      isCanvas: new Tensor('float32', isCanvas, [1, N, 1]),
      expected: new Tensor('float32', expected, [1, N, D]),
    };
  };

  const caches = ({ cache, positions }: Piece, run: number, feeds: Named, fetches: Named): void => {
    const [T, P] = [positions.length, cache.length];
    cache.reserve(T);
    for (const [layer, { k, v }] of cache.layers.entries()) {
      const width = widths[layer];
      const places = (x: Float32Array, from: number, to: number): Tensor =>
        new Tensor('float32', x.subarray(from * width, to * width), [1, to - from, width]);
      feeds[named.pastK(layer, run)] = places(k, 0, inPlace ? P + T : P);
      feeds[named.pastV(layer, run)] = places(v, 0, inPlace ? P + T : P);
      if (!inPlace) continue;
      fetches[named.k(layer, run)] = places(k, P, P + T);
      fetches[named.v(layer, run)] = places(v, P, P + T);
    }
  };

  const idleCaches: NativeCache[] = [];
  const idlePieces = (count: number): Piece[] =>
    Array.from({ length: count }, (_, i) => ({
      ids: Int32Array.of(0),
      positions: Int32Array.of(0),
      attention: { kind: 'full' },
      cache: (idleCaches[i] ??= createCache(config)),
      rows: Int32Array.of(0),
      expected: undefined,
      from: 0,
      asked: 0,
    }));

  return {
    feed: (tokens, want, { runs, idle, masked, sample, logitBias: biased }) => {
      const pieces = [...tokens, ...idlePieces(runs - tokens.length)];
      // An idle piece is a row of its own where the graph does not know of idle places.
      const inRows = idle ? tokens : pieces;
      const N = inRows.reduce((n, { ids }) => n + ids.length, 0);
      const M = inRows.reduce((m, { rows }) => m + rows.length, 0);
      const ids = new Int32Array(N);
      const positions = new BigInt64Array(N);
      const queried = new Int32Array(M);
      // Rows that nobody asked for keep zeros here.
      const uniforms = new Float32Array(sample ? M : 0);
      const logitBias = new Float32Array(want.logitBias ? M * V : 0);
      const isTold = config.dit?.isToldNoise ?? false;
      const noise = new Float32Array(isTold ? N * NOISE_FEATURES : 0);
      const offsets = new Float32Array(isTold ? M : 0);
      const feeds: Named = {};
      const fetches: Named = {};
      let [n, m] = [0, 0];
      for (const [run, piece] of pieces.entries()) {
        const { rows, from, asked } = piece;
        if (masked) masks(piece, run, feeds);
        caches(piece, run, feeds, fetches);
        if (run >= inRows.length) continue;
        ids.set(piece.ids, n);
        for (let t = 0; t < piece.ids.length; t++) positions[n + t] = BigInt(piece.positions[t]);
        for (let i = 0; i < rows.length; i++) queried[m + i] = n + rows[i];
        if (want.sample) uniforms.set(want.sample.uniforms.subarray(from, from + asked), m);
        if (want.logitBias) logitBias.set(want.logitBias.subarray(from * V, (from + asked) * V), m * V);
        if (isTold) {
          const masks = piece.ids.reduce((count, id) => count + Number(id === config.tokens.mask), 0);
          const level = piece.noise ?? noiseOfMasks(masks, piece.ids.length);
          const features = noiseFeatures(level);
          for (let t = 0; t < piece.ids.length; t++) noise.set(features, (n + t) * NOISE_FEATURES);
          offsets.fill(scoreOffset(level, config), m, m + rows.length);
        }
        n += piece.ids.length;
        m += rows.length;
      }
      if (isTold) {
        feeds.noise = new Tensor('float32', noise, [1, N, NOISE_FEATURES]);
        feeds.scoreOffset = new Tensor('float32', offsets, [M, 1]);
      }
      feeds.ids = new Tensor('int32', ids, [1, N]);
      feeds.positions = new Tensor('int64', positions, [1, N]);
      feeds.topK = new Tensor('int64', BigInt64Array.of(BigInt(want.topK)), [1]);
      feeds.rows = new Tensor('int32', queried, [M]);
      if (pieces.length > 1) {
        const own = pieces.map((piece) => piece.ids.length);
        const parts = (queries: number[]): Tensor =>
          new Tensor('int64', BigInt64Array.from([...queries, ...own, ...own], BigInt), [3 * pieces.length]);
        for (const { kind, kvHeads } of kinds)
          feeds[named.parts(kind)] = parts(own.map((count) => (heads / kvHeads) * count));
        const { kvHeads } = headsOf(config, config.layers - 1);
        feeds.lastParts = parts(pieces.map((piece) => (heads / kvHeads) * piece.rows.length));
      }
      if (idle) {
        // Idle places come last, and look at the first token.
        const none = new Int32Array(pieces.length - tokens.length);
        const spread = Int32Array.of(...upTo(N), ...none);
        const lastSpread = Int32Array.of(...queried, ...none);
        feeds.spread = new Tensor('int32', spread, [spread.length]);
        feeds.lastSpread = new Tensor('int32', lastSpread, [lastSpread.length]);
        feeds.kept = new Tensor('int32', upTo(N), [N]);
        feeds.lastKept = new Tensor('int32', upTo(M), [M]);
      }
      if (biased) {
        feeds.logitBias = want.logitBias
          ? new Tensor('float32', logitBias, [M, V])
          : new Tensor('float32', Float32Array.of(0), [1, 1]);
      }
      if (config.gemma) {
        Object.assign(feeds, canvas(inRows, N));
        feeds.order = new Tensor(
          'int64',
          BigInt64Array.from({ length: N }, (_, n) => BigInt(n)),
          [1, N],
        );
      }
      if (config.noise === 'uniform')
        feeds.logitTemperature = new Tensor('float32', Float32Array.of(want.logitTemperature ?? 1), []);
      if (sample) {
        feeds.uniforms = new Tensor('float32', uniforms, [M, 1]);
        feeds.temperature = new Tensor('float32', Float32Array.of(want.sample?.temperature ?? 1), []);
      }
      return inPlace ? { feeds, fetches } : { feeds };
    },

    collect: (pieces, out) => {
      if (inPlace) return;
      for (const [run, { cache }] of pieces.entries()) {
        for (const [layer, { k, v }] of cache.layers.entries()) {
          const at = cache.length * widths[layer];
          k.set(out[named.k(layer, run)].data as Float32Array, at);
          v.set(out[named.v(layer, run)].data as Float32Array, at);
        }
      }
    },
  };
}
