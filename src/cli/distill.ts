/**
 * `tintype distill`: goes on training a diffusion model so that it needs fewer forwards. A thin front to the trainer:
 * the model's own folder gives architecture and weights, a preset gives the recipe for its layout, and the two halves
 * of that recipe can be chosen: what is asked for beside the likelihood (`--method`), and which canvases it is asked on
 * (`--masking`). Everything else, exact resumption too, is `tintype train`.
 */
import { Option, type Command } from 'commander';
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { describeCheckpoint } from '../model/hf.ts';
import { parseTrainConfig, type TrainConfig } from '../train/config.ts';
import { PRESETS } from '../train/presets.ts';
import { SUDOKU_TOKENS } from '../train/sudoku-rows.ts';
import { whole } from './options.ts';
import { addRunOptions, resumedConfig, runInWorker, type RunFlags } from './train.ts';

/** What each method changes of the objective. */
const METHODS = {
  /** Certain of what is right: LLaDA2.0 (2512.15745). */
  cap: { ownRate: 0, certainty: { weight: 1, temperature: 1 } },
  /** The same, sharper: dParallel (2509.26488). */
  certainty: { ownRate: 0, certainty: { weight: 2, temperature: 0.5 } },
  /** Most blocks become, from nothing, what the model itself would write there token by token. */
  own: { ownRate: 0.7, certainty: null },
  /** The masks alone. */
  none: { ownRate: 0, certainty: null },
} as const;

const MASKINGS = ['exactCount', 'suffix', 'trajectory'] as const;

export interface DistillFlags extends RunFlags {
  model?: string;
  method?: keyof typeof METHODS;
  masking?: (typeof MASKINGS)[number];
  data?: string;
  tokenizer?: string;
  tokens?: number;
  threads?: number;
  seed?: number;
  printConfig?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('distill')
    .description('go on training a diffusion model so that it needs fewer forwards')
    .option('--model <dir>', 'the diffusion model to start from')
    .addOption(
      new Option(
        '--method <name>',
        'what makes guesses sure: cap, certainty (sharper, stronger), own (learn from what it writes itself), none',
      ).choices(Object.keys(METHODS)),
    )
    .addOption(
      new Option(
        '--masking <name>',
        'canvases: any subset, the end of a block, or what the model itself would not have committed yet',
      ).choices(MASKINGS),
    )
    .option('--data <dir>', 'tokenised shards (text models)')
    .option('--tokenizer <dir>', 'folder with tokenizer.json (default: of the model)')
    .option('--tokens <n>', 'tokens to train on in all; the rate falls to 0 over them', whole('--tokens', 1));
  addRunOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  tintype distill --model models/tintype-sudoku --out runs/sudoku-distill
  tintype distill --model models/tintype-code --tokens 300000 --out runs/code-distill
  tintype distill --out runs/code-distill --resume

The trade is more tokens a forward for some certainty: compare both models over thresholds
(tintype eval fim --threshold 0.9, 0.7, 0.5; tintype eval sudoku --nfe 12,4,2,1) before keeping one.`,
    )
    .action(async (flags: DistillFlags) => {
      const config = await readConfig(flags);
      if (flags.printConfig) process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
      else await runInWorker(config, flags);
    });
}

async function readConfig(flags: DistillFlags): Promise<TrainConfig> {
  if (flags.resume && flags.out) return resumedConfig(flags.out, flags.threads);
  if (!flags.model) {
    throw new TintypeError('bad_option', {
      what: 'nothing to distill',
      wanted: '--model DIR, or --resume --out DIR',
    });
  }
  const { config } = await describeCheckpoint(flags.model);
  return distillConfig(config, flags.model, flags);
}

/** The recipe for a model's layout, with the model filled in. @throws TintypeError `unsupported`, `bad_config` */
export function distillConfig(model: ModelConfig, dir: string, flags: DistillFlags): TrainConfig {
  const preset = presetFor(model, dir);
  const { schedule, data, batch } = preset;
  const tokens = flags.tokens ?? schedule.totalTokens;
  const { width, layers, heads, kvHeads, headDim, ffnWidth } = model;
  const { tiedHead, normEps, ropeTheta, contextLength, blockLength, layout } = model;
  const shape = { width, layers, heads, kvHeads, headDim, ffnWidth };
  return parseTrainConfig({
    ...preset,
    model: { ...shape, layout, tiedHead, normEps, ropeTheta, contextLength, blockLength },
    objective: {
      ...preset.objective,
      // What a block would become token by token is told by causal rows, which this layout lacks.
      ...(layout === 'blockCausal' ? { masking: 'trajectory', ...METHODS.cap } : {}),
      ...(flags.method === undefined ? {} : methodFor(layout, flags.method)),
      ...(flags.masking === undefined ? {} : { masking: flags.masking }),
      ...(layout === 'full' ? {} : { blockLengths: [Math.ceil(blockLength / 2), blockLength] }),
    },
    data:
      data.kind === 'text'
        ? { ...data, shards: flags.data ?? data.shards, tokenizer: flags.tokenizer ?? dir }
        : { ...data, size: Math.sqrt(contextLength - 1) },
    batch: { ...batch, length: data.kind === 'text' ? Math.min(batch.length, contextLength) : contextLength },
    schedule: {
      ...schedule,
      warmupTokens: Math.min(schedule.warmupTokens, tokens / 10),
      totalTokens: tokens,
      decayTokens: Math.min(schedule.decayTokens, tokens),
    },
    init: dir,
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  });
}

/** Only blocks over a context have a continuation: elsewhere nothing is said of it, or it is refused. */
function methodFor(layout: ModelConfig['layout'], method: keyof typeof METHODS) {
  const { ownRate, certainty } = METHODS[method];
  return layout === 'full' && ownRate === 0 ? { certainty } : { ownRate, certainty };
}

function presetFor({ layout, modelType, vocabSize }: ModelConfig, dir: string) {
  if (layout === 'full' && vocabSize === SUDOKU_TOKENS.vocabSize) return PRESETS['sudoku-distill'];
  if (layout === 'causalContext' || (layout === 'blockCausal' && modelType === 'tintype')) {
    return PRESETS['code-distill'];
  }
  throw new TintypeError('unsupported', {
    what: `there is no recipe that distills the model in ${dir}`,
    got: `a ${modelType} model of layout ${layout}`,
    wanted: 'causalContext or blockCausal for text, full for sudoku',
    next: 'a configuration of your own works with `tintype train --config`: objective.certainty and objective.masking',
  });
}
