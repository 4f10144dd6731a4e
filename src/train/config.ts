/** A training run as data: one schema validates it, fills in every default and gives the type. */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { LAYOUTS, type ModelConfig } from '../model/config.ts';

const positive = z.number().int().positive();
const share = z.number().min(0).max(1);

const modelSchema = z.strictObject({
  layout: z.enum(LAYOUTS as [string, ...string[]]).describe('who sees whom'),
  width: positive.default(256),
  layers: positive.default(8),
  heads: positive.default(4),
  kvHeads: positive.default(2),
  headDim: positive.default(64),
  ffnWidth: positive.default(640),
  tiedHead: z.boolean().default(true),
  normEps: z.number().positive().default(1e-6),
  ropeTheta: z.number().positive().default(10000),
  contextLength: positive.default(1024).describe('positions the finished model is meant for'),
  blockLength: positive
    .default(8)
    .describe('tokens denoised together by default; causal 1, full the whole context'),
});

const certaintySchema = z
  .strictObject({
    weight: z.number().min(0).default(1).describe('what the entropy of a right guess counts beside its nll'),
    temperature: z.number().positive().default(1).describe('1: CAP (LLaDA2.0); 0.5: dParallel'),
  })
  .nullable()
  .default(null)
  .describe('asks for certainty where the guess is right, so that fewer forwards do; null: no such term');

const leastMasked = share
  .default(0)
  .describe(
    'smallest masked share of a block at the end of the run; grows from 0 in a line, above 0 no bound',
  );

const objectiveSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('autoregressive') }),
  z.strictObject({
    kind: z.literal('maskedDiffusion'),
    masking: z
      .enum(['exactCount', 'bernoulli', 'trajectory'])
      .default('exactCount')
      .describe('trajectory: what the model itself is surest of stands first'),
    schedule: z.enum(['linear', 'cosine']).default('linear').describe('with bernoulli masking'),
    leastMasked,
    certainty: certaintySchema,
  }),
  z.strictObject({
    kind: z.literal('blockDiffusion'),
    blockLengths: z.array(positive).min(1).default([4, 8, 16, 32]).describe('one is drawn for each step'),
    masking: z
      .enum(['exactCount', 'bernoulli', 'suffix', 'trajectory'])
      .default('exactCount')
      .describe('suffix: the end of a block, with gaps; trajectory: gaps where the model itself is sure'),
    schedule: z.enum(['linear', 'cosine']).default('linear'),
    ownRate: share
      .default(0)
      .describe(
        'share of the blocks that are masked whole and are to become not the text but what the model itself would write there, best token after best token (causalContext)',
      ),
    arWeight: z.number().min(0).default(1).describe('weight of the next-token loss (causalContext)'),
    leastMasked,
    certainty: certaintySchema,
  }),
]);

const dataSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('text'),
    shards: z.string().describe('folder made by `tintype corpus tokenize`'),
    tokenizer: z.string().describe('folder with tokenizer.json'),
    fimRate: share.default(0.5).describe('share of pieces turned into fill-in-the-middle'),
    spmRate: share.default(0.5).describe('share of those with the suffix first, as inference has it'),
  }),
  z.strictObject({
    kind: z.literal('sudoku'),
    size: z.union([z.literal(4), z.literal(6), z.literal(9)]).default(6),
  }),
]);

export const trainSchema = z.strictObject({
  name: z.string().min(1),
  model: modelSchema,
  objective: objectiveSchema,
  data: dataSchema,
  batch: z
    .strictObject({
      rows: positive.default(4).describe('rows of one micro-batch'),
      length: positive.default(256).describe('tokens of one row'),
      microBatches: positive.default(4).describe('micro-batches of one step'),
      stages: z
        .array(z.strictObject({ fromTokens: positive, rows: positive, length: positive }))
        .default([])
        .describe(
          'other shapes from so many tokens on: short rows are cheap, a last stage of long ones teaches the whole context',
        ),
    })
    .prefault({}),
  optimizer: z
    .strictObject({
      kind: z.enum(['adamw', 'muon']).default('muon'),
      learningRate: z.number().positive().default(3e-3),
      muonLearningRate: z.number().positive().default(1e-2),
      beta1: share.default(0.9),
      beta2: share.default(0.95),
      epsilon: z.number().positive().default(1e-8),
      weightDecay: z.number().min(0).default(0.1),
      muonMomentum: share.default(0.95),
      clipNorm: z.number().positive().default(1),
    })
    .prefault({}),
  schedule: z
    .strictObject({
      warmupTokens: z.number().min(0).default(200_000),
      totalTokens: positive
        .default(10_000_000)
        .describe('tokens of the data, counted once per row and not per stream'),
      decayTokens: z
        .number()
        .min(0)
        .default(2_000_000)
        .describe('the last tokens, over which the rate falls to 0 in a line'),
    })
    .prefault({}),
  init: z.string().nullable().default(null).describe('checkpoint folder to start from; null: random'),
  ema: share
    .nullable()
    .default(null)
    .describe('decay a step of an exponential moving average of the weights; null: none'),
  seed: z.number().int().default(1),
  threads: positive.nullable().default(null).describe('null: one a core'),
  checkpointMinutes: z.number().positive().default(5),
  logEverySteps: positive.default(10),
});

export type TrainConfig = z.infer<typeof trainSchema>;

/** Validates; errors name the key, what it got and what it takes. @throws TintypeError `bad_config` */
export function parseTrainConfig(input: unknown): TrainConfig {
  const result = trainSchema.safeParse(input);
  if (!result.success) {
    const issues = result.error.issues.map(
      ({ path, message }) => `${path.join('.') || 'the whole file'}: ${message}`,
    );
    throw new TintypeError('bad_config', {
      what: 'the training configuration is not valid',
      got: issues.join('; '),
      next: '`tintype train --preset code --print-config` prints a complete one',
    });
  }
  const config = result.data;
  const wantedObjective = {
    causal: 'autoregressive',
    full: 'maskedDiffusion',
    blockCausal: 'blockDiffusion',
    causalContext: 'blockDiffusion',
  }[config.model.layout as ModelConfig['layout']];
  if (config.objective.kind !== wantedObjective) {
    throw new TintypeError('bad_config', {
      what: `layout ${config.model.layout} cannot be trained by this objective`,
      got: config.objective.kind,
      wanted: wantedObjective,
    });
  }
  const { objective, model } = config;
  if (objective.kind === 'blockDiffusion' && objective.ownRate > 0 && model.layout !== 'causalContext') {
    throw new TintypeError('bad_config', {
      what: 'only a causal context tells what the model itself would write',
      got: `objective.ownRate ${objective.ownRate} with layout ${model.layout}`,
      wanted: 'layout causalContext, or ownRate 0',
    });
  }
  if (config.model.heads % config.model.kvHeads !== 0) {
    throw new TintypeError('bad_config', {
      what: 'model.kvHeads must divide model.heads',
      got: `${config.model.kvHeads} and ${config.model.heads}`,
    });
  }
  const longest = Math.max(config.batch.length, ...config.batch.stages.map(({ length }) => length));
  if (longest > config.model.contextLength) {
    throw new TintypeError('bad_config', {
      what: 'rows of batch.length are longer than model.contextLength',
      got: String(longest),
      wanted: `at most ${config.model.contextLength}`,
    });
  }
  return config;
}

/** The model that a run trains; vocabulary and special tokens come from its data. */
export function modelConfigOf(
  { model }: TrainConfig,
  vocabulary: { vocabSize: number; tokens: ModelConfig['tokens'] },
): ModelConfig {
  const layout = model.layout as ModelConfig['layout'];
  const blockLength = layout === 'causal' ? 1 : layout === 'full' ? model.contextLength : model.blockLength;
  return {
    ...model,
    ...vocabulary,
    layout,
    blockLength,
    modelType: layout === 'causal' ? 'qwen3' : 'tintype',
  };
}

/** Share of the peak learning rate after `tokens`: warm-up, stable, linear decay (2405.18392). */
export function learningRateShare(
  { warmupTokens, totalTokens, decayTokens }: TrainConfig['schedule'],
  tokens: number,
): number {
  const warm = warmupTokens > 0 ? Math.min(1, tokens / warmupTokens) : 1;
  const left = decayTokens > 0 ? Math.min(1, Math.max(0, totalTokens - tokens) / decayTokens) : 1;
  return Math.min(warm, left);
}

/** Rows of a micro-batch and their length after `tokens`. */
export function batchShape(
  { rows, length, stages }: TrainConfig['batch'],
  tokens: number,
): { rows: number; length: number } {
  const stage = stages.findLast(({ fromTokens }) => tokens >= fromTokens);
  return stage ? { rows: stage.rows, length: stage.length } : { rows, length };
}
