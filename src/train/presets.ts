/** The recipes of the bundled models. `tintype train --preset NAME --print-config` prints one with every default. */
import type { z } from 'zod';
import type { trainSchema } from './config.ts';

type Preset = z.input<typeof trainSchema>;

const TEXT: Preset['data'] = { kind: 'text', shards: 'data/ts/train', tokenizer: 'data/ts/tokenizer' };

const CODE_OPTIMIZER: Preset['optimizer'] = { kind: 'muon', learningRate: 4e-3, muonLearningRate: 6e-3 };

/** After the shared phase: short rows first, the whole context while the learning rate decays. */
const CODE_BRANCH: Preset['schedule'] = {
  warmupTokens: 50_000,
  totalTokens: 1_500_000,
  decayTokens: 600_000,
};

const CODE_BATCH: Preset['batch'] = {
  rows: 4,
  length: 256,
  microBatches: 4,
  stages: [{ fromTokens: 1_300_000, rows: 1, length: 1024 }],
};

const CODE_CONTINUED: Preset['schedule'] = {
  warmupTokens: 100_000,
  totalTokens: 4_000_000,
  decayTokens: 1_400_000,
};

const CODE_CONTINUED_BATCH: Preset['batch'] = {
  rows: 4,
  length: 256,
  microBatches: 4,
  stages: [
    { fromTokens: 1_900_000, rows: 2, length: 512 },
    { fromTokens: 3_600_000, rows: 1, length: 1024 },
  ],
};

const SUDOKU_MODEL = {
  width: 96,
  layers: 4,
  heads: 4,
  kvHeads: 4,
  headDim: 24,
  ffnWidth: 256,
  ropeTheta: 100,
};

export const PRESETS = {
  /** The stable phase that `code` and `code-ar` branch from: autoregressive, no decay. */
  'code-base': {
    name: 'tintype-code-base',
    model: { layout: 'causal' },
    objective: { kind: 'autoregressive' },
    data: TEXT,
    batch: { rows: 4, length: 256, microBatches: 4 },
    optimizer: CODE_OPTIMIZER,
    schedule: { warmupTokens: 200_000, totalTokens: 1_000_000_000, decayTokens: 0 },
  },
  /** Block diffusion over a causal context, from the shared phase. */
  code: {
    name: 'tintype-code',
    model: { layout: 'causalContext', blockLength: 8 },
    objective: { kind: 'blockDiffusion', blockLengths: [4, 8, 8, 16], arWeight: 1 },
    data: TEXT,
    batch: CODE_BATCH,
    optimizer: CODE_OPTIMIZER,
    schedule: CODE_BRANCH,
    init: 'runs/code-base/model',
  },
  /** The twin: the same tokens again, autoregressive to the end. */
  'code-ar': {
    name: 'tintype-code-ar',
    model: { layout: 'causal' },
    objective: { kind: 'autoregressive' },
    data: TEXT,
    batch: CODE_BATCH,
    optimizer: CODE_OPTIMIZER,
    schedule: CODE_BRANCH,
    init: 'runs/code-base/model',
  },
  /** `code` taken up again after its decay: warmed up anew, rows that grow to the whole context, more gaps suffix first. */
  'code-continued': {
    name: 'tintype-code',
    model: { layout: 'causalContext', blockLength: 8 },
    objective: { kind: 'blockDiffusion', blockLengths: [4, 8, 8, 16], arWeight: 1 },
    data: { ...TEXT, spmRate: 0.8 },
    batch: CODE_CONTINUED_BATCH,
    optimizer: CODE_OPTIMIZER,
    schedule: CODE_CONTINUED,
    init: 'models/tintype-code',
    seed: 2,
  },
  /** The twin: the same tokens again. */
  'code-ar-continued': {
    name: 'tintype-code-ar',
    model: { layout: 'causal' },
    objective: { kind: 'autoregressive' },
    data: { ...TEXT, spmRate: 0.8 },
    batch: CODE_CONTINUED_BATCH,
    optimizer: CODE_OPTIMIZER,
    schedule: CODE_CONTINUED,
    init: 'models/tintype-code-ar',
    seed: 2,
  },
  /** Fills the blanks of a 6x6 sudoku in any order. */
  sudoku: {
    name: 'tintype-sudoku',
    model: { layout: 'full', ...SUDOKU_MODEL, contextLength: 37 },
    objective: { kind: 'maskedDiffusion' },
    data: { kind: 'sudoku', size: 6 },
    batch: { rows: 128, length: 37, microBatches: 1 },
    optimizer: { kind: 'muon', learningRate: 3e-3, muonLearningRate: 1e-2, weightDecay: 0.05 },
    schedule: { warmupTokens: 100_000, totalTokens: 6_000_000, decayTokens: 2_000_000 },
  },
  /** Its twin writes the solved grid from left to right after reading the puzzle. */
  'sudoku-ar': {
    name: 'tintype-sudoku-ar',
    model: { layout: 'causal', ...SUDOKU_MODEL, contextLength: 74 },
    objective: { kind: 'autoregressive' },
    data: { kind: 'sudoku', size: 6 },
    batch: { rows: 64, length: 74, microBatches: 1 },
    optimizer: { kind: 'muon', learningRate: 3e-3, muonLearningRate: 1e-2, weightDecay: 0.05 },
    schedule: { warmupTokens: 100_000, totalTokens: 6_000_000, decayTokens: 2_000_000 },
  },
  /** Fewer forwards from `code`: `tintype distill` fills in the model that it is given. */
  'code-distill': {
    name: 'tintype-code-distill',
    model: { layout: 'causalContext', blockLength: 8 },
    objective: { kind: 'blockDiffusion', blockLengths: [4, 8], ownRate: 0.7 },
    data: { ...TEXT, spmRate: 0.8 },
    batch: { rows: 2, length: 512, microBatches: 4 },
    optimizer: { kind: 'muon', learningRate: 3e-3, muonLearningRate: 4.5e-3 },
    schedule: { warmupTokens: 50_000, totalTokens: 1_700_000, decayTokens: 1_200_000 },
    init: 'models/tintype-code',
  },
  /** Fewer forwards from `sudoku`. */
  'sudoku-distill': {
    name: 'tintype-sudoku-distill',
    model: { layout: 'full', ...SUDOKU_MODEL, contextLength: 37 },
    objective: {
      kind: 'maskedDiffusion',
      masking: 'trajectory',
      leastMasked: 0.5,
      certainty: { weight: 1, temperature: 1 },
    },
    data: { kind: 'sudoku', size: 6 },
    batch: { rows: 128, length: 37, microBatches: 1 },
    optimizer: { kind: 'muon', learningRate: 1.5e-3, muonLearningRate: 4e-3, weightDecay: 0.05 },
    schedule: { warmupTokens: 30_000, totalTokens: 1_500_000, decayTokens: 1_500_000 },
    init: 'models/tintype-sudoku',
  },
} satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;
