/**
 * Classifier-free guidance as the LLaDA line does it: everything is looked at twice, once with the given tokens masked, and
 * the logits are un + (scale + 1)(cond − un). Needs the logits of the whole vocabulary, so it is slow; the official code
 * pays the same price on a GPU.
 */
import type { Denoiser, Statistics, StatisticsRequest } from '../../model/denoiser.ts';
import type { Context } from '../context.ts';

export interface Guidance {
  scale: number;
  /** The canvas without what was given. */
  withoutGiven: (ids: Int32Array) => Int32Array;
  /** Model calls of one look: both canvases in one batch, or one after the other. */
  calls: 1 | 2;
}

export function createGuidedContext(
  denoiser: Denoiser,
  make: (denoiser: Denoiser) => Context,
  { scale, withoutGiven, calls }: Guidance,
): Context {
  const [given, blind] = [make(denoiser), make(denoiser)];
  const V = denoiser.config.vocabSize;
  return {
    get length() {
      return given.length;
    },
    ...(given.keep
      ? {
          async keep(request, want) {
            await blind.keep!({ ...request, ids: withoutGiven(request.ids) }, want);
            return given.keep!(request, want);
          },
        }
      : {}),
    async look(look, want) {
      const all = { topK: V, entropy: false };
      const cond = await given.look(look, all);
      const un = await blind.look({ ...look, ids: withoutGiven(look.ids) }, all);
      const rows = look.query.length;
      const [a, b] = [denseLogits(cond.statistics, rows, V), denseLogits(un.statistics, rows, V)];
      const logits = a.map((conditional, i) =>
        Math.fround(b[i] + Math.fround((scale + 1) * Math.fround(conditional - b[i]))),
      );
      want.logitBias?.forEach((bias, i) => (logits[i] += bias));
      return {
        statistics: statisticsOf(logits, rows, V, want),
        positions: cond.positions,
        forwards: calls,
      };
    },
    truncate() {},
    release: () => null,
  };
}

/** All logits in id order, from candidates with k = V. [M, V] */
function denseLogits({ ids, logits }: Statistics, rows: number, V: number): Float32Array {
  const out = new Float32Array(rows * V);
  ids.forEach((id, i) => (out[Math.floor(i / V) * V + id] = logits[i]));
  return out;
}

/** DECODING.md's statistics of logits [M, V], here and not in the graph. */
function statisticsOf(
  logits: Float32Array,
  M: number,
  V: number,
  { topK, entropy, sample }: StatisticsRequest,
): Statistics {
  const out: Statistics = {
    ids: new Int32Array(M * topK),
    logits: new Float32Array(M * topK),
    logSumExp: new Float32Array(M),
    entropy: new Float32Array(entropy ? M : 0),
    sampled: new Int32Array(sample ? M : 0),
    sampledLogits: new Float32Array(sample ? M : 0),
  };
  for (let row = 0; row < M; row++) {
    const z = logits.subarray(row * V, (row + 1) * V);
    const order = Array.from(z.keys()).sort((a, b) => z[b] - z[a] || a - b);
    out.ids.set(order.slice(0, topK), row * topK);
    out.logits.set(
      order.slice(0, topK).map((id) => z[id]),
      row * topK,
    );
    const most = z[order[0]];
    const logSumExp = most + Math.log(z.reduce((sum, x) => sum + Math.exp(x - most), 0));
    out.logSumExp[row] = logSumExp;
    if (entropy) {
      out.entropy[row] = z.reduce((sum, x) => sum + Math.exp(x - logSumExp) * (logSumExp - x), 0);
    }
    if (sample) {
      const weights = z.map((x) => Math.exp((x - most) / sample.temperature));
      let rest = sample.uniforms[row] * weights.reduce((a, b) => a + b, 0);
      const drawn = weights.findIndex((weight) => (rest -= weight) < 0);
      out.sampled[row] = drawn === -1 ? V - 1 : drawn;
      out.sampledLogits[row] = z[out.sampled[row]];
    }
  }
  return out;
}
