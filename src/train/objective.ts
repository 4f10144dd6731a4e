/**
 * From a batch to scoring inputs: draws the corruption that the run's objective asks for. Where masks follow a decoder
 * (`trajectory.ts`) the model is asked first, with everything masked, and through `ask` alone: an objective holds no
 * weights.
 */
import { corrupt, type Corrupted } from '../diffusion/corrupt.ts';
import { createSchedule } from '../diffusion/schedule.ts';
import { assert } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ScoringInputs } from '../model/scoring-feeds.ts';
import type { Rng } from '../rng.ts';
import type { TokenBatch } from './batch.ts';
import type { TrainConfig } from './config.ts';
import {
  autoregressiveInputs,
  blockDiffusionInputs,
  continuationInputs,
  maskedDiffusionInputs,
} from './rows.ts';
import { slidingOrder, suffixOrder } from './trajectory.ts';

/** Of each row, under the weights as they are: nats of its target, and its best token. [M] each */
export type Ask = (inputs: ScoringInputs) => Promise<{ nll: Float32Array; guess: Int32Array }>;

export interface Objective {
  /** Copies of each row that the graph runs. */
  streams: 1 | 2;
  /** Temperature of the certainty term; null: the loss has none. */
  certainty: number | null;
  /** How often `prepare` asks the model about each batch. */
  asks: number;
  /** Draws what all micro-batches of a step share; call once a step. @param done share of the run, 0 to 1 */
  beginStep(rng: Rng, done: number): void;
  prepare(batch: TokenBatch, rng: Rng, ask: Ask): Promise<ScoringInputs>;
}

/**
 * Numbers the blocks of each row: a new one every `blockLength` tokens from a random phase (so that the model learns
 * blocks that start anywhere), and at each document's start. Padding makes a block of its own.
 */
export function assignBlocks(
  { rows, length: T, segments }: TokenBatch,
  blockLength: number,
  rng: Rng,
): Int32Array {
  const blocks = new Int32Array(rows * T);
  for (let row = 0; row < rows; row++) {
    let left = 1 + rng.int(blockLength);
    let block = 0;
    for (let t = 0; t < T; t++) {
      const at = row * T + t;
      if (t > 0 && (left === 0 || segments[at] !== segments[at - 1])) {
        block++;
        left = blockLength;
      }
      blocks[at] = block;
      left--;
    }
  }
  return blocks;
}

/**
 * Tokens that may be masked: the answer, without padding. With `anchored` the first token of each block stays clean,
 * because decoding over a causal context gets it for free from the last causal logits.
 */
function eligibleTokens(
  { ids, segments, answer }: TokenBatch,
  blocks: Int32Array | null,
  anchored: boolean,
): Uint8Array {
  return Uint8Array.from(ids, (_, at) => {
    if (segments[at] === -1 || (answer && !answer[at])) return 0;
    if (anchored && (at === 0 || blocks![at] !== blocks![at - 1])) return 0;
    return 1;
  });
}

/** What `corrupt` masks when it masks everything: the canvas before the first commit. */
function allMasked(batch: TokenBatch, eligible: Uint8Array, maskTokenId: number): Corrupted {
  const masked = Int32Array.from(eligible.keys()).filter((at) => eligible[at] === 1);
  const noisy = batch.ids.map((id, at) => (eligible[at] ? maskTokenId : id));
  return { noisy, masked, weights: new Float32Array(masked.length).fill(1), eligible: masked.length };
}

/** Nats of the truth at every eligible token when all of them are masked; 0 elsewhere. [B·T] */
async function askBlind(
  batch: TokenBatch,
  eligible: Uint8Array,
  maskTokenId: number,
  toInputs: (noise: Corrupted) => ScoringInputs,
  ask: Ask,
): Promise<Float32Array> {
  const noise = allMasked(batch, eligible, maskTokenId);
  const nll = new Float32Array(batch.ids.length);
  if (noise.masked.length === 0) return nll;
  const { nll: found } = await ask(toInputs(noise));
  noise.masked.forEach((at, row) => (nll[at] = found[row]));
  return nll;
}

/** Rounds of `ownContinuation`: the first so many tokens of each block are exact. Each costs a third of a step. */
export const OWN_ROUNDS = 3;

/** 1 for the tokens of about `rate` of all blocks. [B·T] */
function drawBlocks({ length: T }: TokenBatch, blocks: Int32Array, rate: number, rng: Rng): Uint8Array {
  const drawn = new Uint8Array(blocks.length);
  for (let at = 0; at < blocks.length; at++) {
    const begins = at % T === 0 || blocks[at] !== blocks[at - 1];
    drawn[at] = begins ? Number(rng.next() < rate) : drawn[at - 1];
  }
  return drawn;
}

/**
 * Every block of the text as the model itself would go on from the clean text before it: best token after best token,
 * as it would write them one at a time. All blocks of all rows go on side by side, in rounds: each asks about every
 * token at once, given the tokens before it as they are (Jacobi decoding, 2305.10427), so round n makes the n-th token of
 * each block exact, and later ones are right wherever the text agrees with the model. A block that is denoised towards
 * this knows in one forward what the causal rows would have said in many: fewer forwards, the same text.
 */
export async function ownContinuation(
  batch: TokenBatch,
  eligible: Uint8Array,
  blocks: Int32Array,
  ask: Ask,
): Promise<Int32Array> {
  const ids = batch.ids.slice();
  const places = Int32Array.from(eligible.keys()).filter((at) => eligible[at] === 1);
  for (let round = 0; round < OWN_ROUNDS && places.length > 0; round++) {
    const { guess } = await ask(continuationInputs(batch, ids, places, blocks));
    places.forEach((at, row) => (ids[at] = guess[row]));
  }
  return ids;
}

export function createObjective(objective: TrainConfig['objective'], model: ModelConfig): Objective {
  const maskTokenId = model.tokens.mask;
  if (objective.kind === 'autoregressive') {
    return {
      streams: 1,
      certainty: null,
      asks: 0,
      beginStep: () => {},
      prepare: async (batch) => autoregressiveInputs(batch),
    };
  }
  assert(maskTokenId !== null, 'a diffusion model needs a mask token');
  const certaintyWeight = objective.certainty?.weight ?? null;
  // Orders are told from the left or by the model; `corrupt` itself knows counts.
  const masking = objective.masking === 'bernoulli' ? 'bernoulli' : 'exactCount';
  const shared = { masking, schedule: createSchedule({ name: objective.schedule }), maskTokenId } as const;
  const common = {
    certainty: objective.certainty?.temperature ?? null,
    asks:
      Number(objective.masking === 'trajectory') +
      (objective.kind === 'blockDiffusion' && objective.ownRate > 0 ? OWN_ROUNDS : 0),
  };
  let leastMasked = 0;

  if (objective.kind === 'maskedDiffusion') {
    return {
      ...common,
      streams: 1,
      beginStep: (_, done) => void (leastMasked = objective.leastMasked * done),
      prepare: async (batch, rng, ask) => {
        const eligible = eligibleTokens(batch, null, false);
        const groups = rowGroups(batch);
        const toInputs = (noise: Corrupted, certainty: number | null = null): ScoringInputs =>
          maskedDiffusionInputs(batch, noise, certainty);
        const order = common.asks > 0 ? await askBlind(batch, eligible, maskTokenId, toInputs, ask) : null;
        const noise = corrupt(batch.ids, { ...shared, eligible, groups, rng, order, leastMasked });
        return toInputs(noise, certaintyWeight);
      },
    };
  }
  const layout = model.layout === 'blockCausal' ? 'blockCausal' : 'causalContext';
  let blockLength = objective.blockLengths[0];
  return {
    ...common,
    streams: 2,
    beginStep: (rng, done) => {
      blockLength = objective.blockLengths[rng.int(objective.blockLengths.length)]!;
      leastMasked = objective.leastMasked * done;
    },
    prepare: async (batch, rng, ask) => {
      const blocks = assignBlocks(batch, blockLength, rng);
      const eligible = eligibleTokens(batch, blocks, layout === 'causalContext');
      const groups = blockGroups(batch, blocks);
      const own = objective.ownRate > 0 ? drawBlocks(batch, blocks, objective.ownRate, rng) : null;
      const goal = own
        ? await ownContinuation(
            batch,
            eligible.map((may, at) => may & own[at]),
            blocks,
            ask,
          )
        : batch.ids;
      const toInputs = (noise: Corrupted, arWeight: number, certainty: number | null = null): ScoringInputs =>
        blockDiffusionInputs(batch, noise, blocks, layout, arWeight, { certainty, goal });
      let order: Float32Array | null = null;
      if (objective.masking === 'suffix') order = suffixOrder(eligible, groups, rng);
      if (objective.masking === 'trajectory') {
        const wanted = { ...batch, ids: goal };
        const nll = await askBlind(wanted, eligible, maskTokenId, (noise) => toInputs(noise, 0), ask);
        order = layout === 'causalContext' ? slidingOrder(eligible, groups, nll, rng) : nll;
      }
      const noise = corrupt(goal, { ...shared, eligible, groups, rng, order, leastMasked, whole: own });
      return toInputs(noise, objective.arWeight, certaintyWeight);
    },
  };
}

/** Padding belongs to no document and is never masked, so a row may be one group. */
function rowGroups({ rows, length }: TokenBatch): Int32Array {
  return Int32Array.from({ length: rows * length }, (_, at) => Math.floor(at / length));
}

/** Blocks are numbered within their row; groups must differ between rows too. */
function blockGroups({ length }: TokenBatch, blocks: Int32Array): Int32Array {
  return blocks.map((block, at) => Math.floor(at / length) * length + block);
}
