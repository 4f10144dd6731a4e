/** A denoiser that says at each position what it was told to say, whatever stands around. */
import type { Layout, ModelConfig } from '../src/model/config.ts';
import type { Denoiser, KvCache, Statistics } from '../src/model/denoiser.ts';

/** Probability of the token; the rest is spread over all others. */
export interface Said {
  id: number;
  probability: number;
}

export const SCRIPT_EOS = 0;
export const SCRIPT_MASK = 15;
const V = 16;

/** @param say by the position of a row */
export function scriptedDenoiser(
  layout: Layout,
  say: (position: number, ids: Int32Array) => Said,
  facts: Partial<ModelConfig> = {},
): Denoiser {
  const config: ModelConfig = {
    modelType: 'scripted',
    layout,
    width: 1,
    layers: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 1,
    ffnWidth: 1,
    vocabSize: V,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 10_000,
    contextLength: 256,
    blockLength: layout === 'full' ? 256 : 4,
    tokens: { mask: SCRIPT_MASK, eos: [SCRIPT_EOS], pad: null, bos: null },
    ...facts,
  };
  const createCache = (length = 0): KvCache & { grow: (by: number) => void } => ({
    get length() {
      return length;
    },
    truncate: (to) => void (length = to),
    clone: () => createCache(length),
    grow: (by) => void (length += by),
    sizeBytes: 0,
  });
  return {
    config,
    createCache: () => createCache(),
    forward: (runs, { topK, entropy }) =>
      Promise.resolve(
        runs.map(({ ids, positions, query, cache, write }): Statistics => {
          if (write > 0) (cache as ReturnType<typeof createCache>).grow(write);
          const rows = Array.from(query, (row) => {
            const { id, probability } = say(positions[row], ids);
            return Array.from({ length: V }, (_, other) =>
              other === id ? probability : (1 - probability) / (V - 1),
            );
          });
          const order = rows.map((row) =>
            [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, topK),
          );
          return {
            ids: Int32Array.from(order.flat()),
            logits: Float32Array.from(order.flatMap((ids, i) => ids.map((id) => Math.log(rows[i][id])))),
            logSumExp: new Float32Array(rows.length),
            entropy: Float32Array.from(entropy ? rows : [], (row) =>
              row.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0),
            ),
            sampled: new Int32Array(0),
            sampledLogits: new Float32Array(0),
          };
        }),
      ),
    close: async () => {},
  };
}
