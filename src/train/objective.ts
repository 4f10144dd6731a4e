/** From a batch to scoring inputs: draws the corruption that the run's objective asks for. */
import { corrupt } from '../diffusion/corrupt.ts';
import { createSchedule } from '../diffusion/schedule.ts';
import { assert } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Rng } from '../rng.ts';
import type { TokenBatch } from './batch.ts';
import type { TrainConfig } from './config.ts';
import {
  autoregressiveInputs,
  blockDiffusionInputs,
  maskedDiffusionInputs,
  type ScoringInputs,
} from './rows.ts';

export interface Objective {
  /** Copies of each row that the graph runs. */
  streams: 1 | 2;
  /** Draws what all micro-batches of a step share; call once a step. */
  beginStep(rng: Rng): void;
  prepare(batch: TokenBatch, rng: Rng): ScoringInputs;
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

export function createObjective(objective: TrainConfig['objective'], model: ModelConfig): Objective {
  const maskTokenId = model.tokens.mask;
  if (objective.kind === 'autoregressive') {
    return { streams: 1, beginStep: () => {}, prepare: autoregressiveInputs };
  }
  assert(maskTokenId !== null, 'a diffusion model needs a mask token');
  const schedule = createSchedule({ name: objective.schedule });
  const masking = objective.masking;
  if (objective.kind === 'maskedDiffusion') {
    return {
      streams: 1,
      beginStep: () => {},
      prepare: (batch, rng) => {
        const eligible = eligibleTokens(batch, null, false);
        const noise = corrupt(batch.ids, {
          eligible,
          groups: rowGroups(batch),
          masking,
          schedule,
          maskTokenId,
          rng,
        });
        return maskedDiffusionInputs(batch, noise);
      },
    };
  }
  const layout = model.layout === 'blockCausal' ? 'blockCausal' : 'causalContext';
  let blockLength = objective.blockLengths[0];
  return {
    streams: 2,
    beginStep: (rng) => {
      blockLength = objective.blockLengths[rng.int(objective.blockLengths.length)]!;
    },
    prepare: (batch, rng) => {
      const blocks = assignBlocks(batch, blockLength, rng);
      const eligible = eligibleTokens(batch, blocks, layout === 'causalContext');
      const groups = blockGroups(batch, blocks);
      const noise = corrupt(batch.ids, { eligible, groups, masking, schedule, maskTokenId, rng });
      return blockDiffusionInputs(batch, noise, blocks, layout, objective.arWeight);
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
