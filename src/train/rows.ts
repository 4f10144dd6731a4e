/**
 * From a batch of tokens to what the scoring graph eats: streams, visibility, and which row predicts which token
 * with which weight. One function per training loss; the corruption has been done before.
 */
import type { Layout } from '../model/config.ts';
import { twoStreams, type ScoringInputs } from '../model/scoring-feeds.ts';
import { cleanBias, noisyBias } from '../model/visibility.ts';
import type { TokenBatch } from './batch.ts';

/** What corruption made of a batch. */
export interface NoisyBatch {
  /** Ids with masks. [B, T] */
  noisy: Int32Array;
  /** Flat positions that are masked, ascending. [M] */
  masked: Int32Array;
  /** Loss weight of each masked position, by the schedule. [M] */
  weights: Float32Array;
  /** Tokens that could have been masked: what the loss is a mean over. */
  eligible: number;
}

interface Rows {
  rows: number[];
  targets: number[];
  weights: number[];
}

/** Rows that predict the next token: same document, and part of the answer. */
function nextTokenRows(batch: TokenBatch, rowLength: number, scale: number): Rows {
  const { rows: B, length: T, ids, segments, answer } = batch;
  const out: Rows = { rows: [], targets: [], weights: [] };
  for (let row = 0; row < B; row++) {
    for (let t = 0; t + 1 < T; t++) {
      const at = row * T + t;
      if (segments[at] === -1 || segments[at + 1] !== segments[at]) continue;
      if (answer && !answer[at + 1]) continue;
      out.rows.push(row * rowLength + t);
      out.targets.push(ids[at + 1]);
    }
  }
  const weight = scale / Math.max(1, out.rows.length);
  out.weights = out.rows.map(() => weight);
  return out;
}

/** Rows that predict what a mask hides, in a stream that starts `offset` into each row of `rowLength`. */
function maskedRows(batch: TokenBatch, noise: NoisyBatch, rowLength: number, offset: number): Rows {
  const T = batch.length;
  const scale = 1 / Math.max(1, noise.eligible);
  return {
    rows: Array.from(noise.masked, (at) => Math.floor(at / T) * rowLength + offset + (at % T)),
    targets: Array.from(noise.masked, (at) => batch.ids[at]),
    weights: Array.from(noise.weights, (weight) => weight * scale),
  };
}

function assemble(diffusion: Rows | null, autoregressive: Rows | null, certainty: number | null) {
  const parts = [diffusion, autoregressive].filter((part) => part !== null);
  const weights = Float32Array.from(parts.flatMap((part) => part.weights));
  const diffusionRows = diffusion?.rows.length ?? 0;
  return {
    lossRows: Int32Array.from(parts.flatMap((part) => part.rows)),
    targets: Int32Array.from(parts.flatMap((part) => part.targets)),
    weights,
    certaintyWeights:
      certainty === null
        ? null
        : weights.map((weight, row) => (row < diffusionRows ? certainty * weight : 0)),
    diffusionRows,
  };
}

/** Mean −log p(next token). */
export function autoregressiveInputs(batch: TokenBatch): ScoringInputs {
  return {
    ids: batch.ids,
    bias: cleanBias('causal', batch),
    noisyBias: null,
    ...assemble(null, nextTokenRows(batch, batch.length, 1), null),
  };
}

/**
 * Masked diffusion over whole documents: every position sees every other (MDLM, LLaDA).
 * @param certainty what the entropy of a right guess counts beside its nll; null: the loss has no such term
 */
export function maskedDiffusionInputs(
  batch: TokenBatch,
  noise: NoisyBatch,
  certainty: number | null = null,
): ScoringInputs {
  return {
    ids: noise.noisy,
    bias: cleanBias('full', batch),
    noisyBias: null,
    ...assemble(maskedRows(batch, noise, batch.length, 0), null, certainty),
  };
}

/**
 * Block diffusion with the clean prefix visible. For `causalContext` the clean stream carries the autoregressive
 * loss too, times `arWeight`; for `blockCausal` it only serves as context.
 * @param goal what the noisy blocks are to become; the text itself by default [B, T]
 */
export function blockDiffusionInputs(
  batch: TokenBatch,
  noise: NoisyBatch,
  blocks: Int32Array,
  layout: Extract<Layout, 'blockCausal' | 'causalContext'>,
  arWeight: number,
  { certainty = null, goal = batch.ids }: { certainty?: number | null; goal?: Int32Array } = {},
): ScoringInputs {
  const { rows: B, length: T } = batch;
  const ids = twoStreams(batch.ids, noise.noisy, batch);
  const packed = { rows: B, length: T, segments: batch.segments, blocks };
  const autoregressive =
    layout === 'causalContext' && arWeight > 0 ? nextTokenRows(batch, 2 * T, arWeight) : null;
  return {
    ids,
    bias: cleanBias(layout, packed),
    noisyBias: noisyBias(packed),
    ...assemble(maskedRows({ ...batch, ids: goal }, noise, 2 * T, T), autoregressive, certainty),
  };
}

/**
 * Asks for the token after each of the places before `places`, in blocks that go on from the clean text as `ids` say:
 * the noisy stream read causally, so that it predicts what the clean one would. Nothing is learned from it.
 * @param ids [B, T]
 * @param places flat positions, none the first of its block [M]
 */
export function continuationInputs(
  batch: TokenBatch,
  ids: Int32Array,
  places: Int32Array,
  blocks: Int32Array,
): ScoringInputs {
  const { rows: B, length: T, segments } = batch;
  const packed = { rows: B, length: T, segments, blocks };
  return {
    ids: twoStreams(batch.ids, ids, batch),
    bias: cleanBias('causalContext', packed),
    noisyBias: noisyBias(packed, 'causal'),
    lossRows: places.map((at) => Math.floor(at / T) * 2 * T + T + (at % T) - 1),
    targets: places.map((at) => ids[at]),
    weights: new Float32Array(places.length),
    certaintyWeights: null,
    diffusionRows: places.length,
  };
}
