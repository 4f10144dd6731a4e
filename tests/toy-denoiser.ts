/**
 * A denoiser without weights: hashes stand for numbers. It has two layers whose "attention" is a sum over all visible
 * positions, so what a position predicts depends on exactly who saw whom, in the context as well as in the block, and
 * a cache that is used wrongly changes the text. Integer sums do not depend on their order: equal is equal, bit for bit.
 */
import { assert } from '../src/errors.ts';
import type { Layout, ModelConfig } from '../src/model/config.ts';
import type { AttentionPattern, Denoiser, ForwardRun, KvCache, Statistics } from '../src/model/denoiser.ts';

export interface ToyOptions {
  layout: Layout;
  blockLength?: number;
  vocabSize?: number;
  contextLength?: number;
  /** Another seed is another model. */
  seed?: number;
  /** Never predicts the end of text. */
  endless?: boolean;
  /** Called before each forward that computes something. */
  onForward?: (runs: readonly ForwardRun[]) => void | Promise<void>;
}

export const TOY_EOS = 0;
export const TOY_MASK = 1;

interface ToyCache extends KvCache {
  /** Hashes of each position at the input and after the first layer. */
  states: [number, number][];
}

/** murmur3's finaliser over a running word. */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ (b + 0x9e3779b9), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Whether row q sees row k, both inside one run. */
function isVisible(pattern: AttentionPattern, positions: Int32Array, q: number, k: number): boolean {
  if (pattern.kind === 'full') return true;
  if (pattern.kind === 'causal') return k <= q;
  if (pattern.kind === 'explicit') throw new Error('the toy has no explicit patterns');
  if (pattern.kind === 'anchored') {
    if (q < pattern.clean) return k <= q;
    const first = blockStart(pattern, q);
    return k < pattern.clean ? positions[k] < positions[first] : blockStart(pattern, k) === first;
  }
  const block = (row: number): number => Math.floor((positions[row] - pattern.origin) / pattern.blockLength);
  return block(k) <= block(q);
}

/** First row of the block that holds row q, behind the clean ones. */
function blockStart(
  { clean, blocks = [] }: Extract<AttentionPattern, { kind: 'anchored' }>,
  q: number,
): number {
  let start = clean;
  for (const rows of blocks) {
    if (q < start + rows) break;
    start += rows;
  }
  return start;
}

/** How many places of the cache row q sees. */
const visiblePlaces = (pattern: AttentionPattern, positions: Int32Array, q: number, length: number): number =>
  pattern.kind === 'anchored' && q >= pattern.clean
    ? Math.min(length, positions[blockStart(pattern, q)])
    : length;

function createToyCache(states: [number, number][] = []): ToyCache {
  return {
    states,
    get length() {
      return states.length;
    },
    truncate(length) {
      assert(length <= states.length, 'a cache cannot be cut to more than it holds');
      states.length = length;
    },
    clone: () => createToyCache([...states]),
    get sizeBytes() {
      return states.length * 16;
    },
  };
}

export function createToyDenoiser(options: ToyOptions): Denoiser {
  const { layout, vocabSize = 24, contextLength = 256, seed = 1, endless = false, onForward } = options;
  const blockLength =
    layout === 'causal' ? 1 : layout === 'full' ? contextLength : (options.blockLength ?? 4);
  const config: ModelConfig = {
    modelType: 'toy',
    layout,
    width: 1,
    layers: 2,
    heads: 1,
    kvHeads: 1,
    headDim: 1,
    ffnWidth: 1,
    vocabSize,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 10_000,
    contextLength,
    blockLength,
    tokens: { mask: layout === 'causal' ? null : TOY_MASK, eos: [TOY_EOS], pad: null, bos: null },
  };

  /** Final hash of each row of a run. [T] */
  function compute({ ids, positions, attention, cache, write }: ForwardRun): number[] {
    const past = (cache as ToyCache | null)?.states ?? [];
    const layer = (own: number[], cached: number[]): number[] => {
      return own.map((state, q) => {
        const prefix = cached
          .slice(0, visiblePlaces(attention, positions, q, cached.length))
          .reduce((sum, other) => (sum + other) >>> 0, 0);
        const visible = own.filter((_, k) => isVisible(attention, positions, q, k));
        return mix(
          state,
          visible.reduce((sum, other) => (sum + other) >>> 0, prefix),
        );
      });
    };
    const input = Array.from(ids, (id, row) => mix(mix(seed, id), positions[row]));
    const middle = layer(
      input,
      past.map(([first]) => first),
    );
    const output = layer(
      middle,
      past.map(([, second]) => second),
    );
    if (write > 0) {
      assert(cache !== null, 'a run that writes needs a cache');
      const kept = input.slice(0, write).map((state, row): [number, number] => [state, middle[row]]);
      (cache as ToyCache).states.push(...kept);
    }
    return output;
  }

  /** Gumbel noise for logits: now and then one token stands out. [V] */
  function logitsOf(hash: number): number[] {
    return Array.from({ length: vocabSize }, (_, id) => {
      if (endless && id === TOY_EOS) return -30;
      return Math.fround(-2 * Math.log(-Math.log((mix(hash, id) + 0.5) / 2 ** 32)));
    });
  }

  return {
    config,
    createCache: () => createToyCache(),
    async forward(runs, want) {
      await onForward?.(runs);
      let drawn = 0;
      let biased = 0;
      return runs.map((run): Statistics => {
        assert(
          run.ids.every((id) => id >= 0 && id < vocabSize),
          'ids are inside the vocabulary',
        );
        const output = compute(run);
        const result = {
          ids: [],
          logits: [],
          logSumExp: [],
          entropy: [],
          sampled: [],
          sampledLogits: [],
        } as Record<Exclude<keyof Statistics, 'expected'>, number[]>;
        for (const row of run.query) {
          const bias = want.logitBias?.subarray(biased, (biased += vocabSize));
          const logits = logitsOf(output[row]).map((logit, id) => logit + (bias?.[id] ?? 0));
          const best = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b).slice(0, want.topK);
          const logSumExp = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
          result.ids.push(...best);
          result.logits.push(...best.map((id) => logits[id]));
          result.logSumExp.push(logSumExp);
          if (want.entropy) {
            const expected = logits.reduce((sum, logit) => sum + Math.exp(logit - logSumExp) * logit, 0);
            result.entropy.push(logSumExp - expected);
          }
          if (want.sample) {
            const { temperature, uniforms } = want.sample;
            const weights = logits.map((logit) => Math.exp(logit / temperature));
            let rest = uniforms[drawn++] * weights.reduce((sum, weight) => sum + weight, 0);
            const id = weights.findIndex((weight) => (rest -= weight) < 0);
            result.sampled.push(id);
            result.sampledLogits.push(logits.at(id)!);
          }
        }
        return {
          ids: Int32Array.from(result.ids),
          logits: Float32Array.from(result.logits),
          logSumExp: Float32Array.from(result.logSumExp),
          entropy: Float32Array.from(result.entropy),
          sampled: Int32Array.from(result.sampled),
          sampledLogits: Float32Array.from(result.sampledLogits),
        };
      });
    },
    close: async () => {},
  };
}
