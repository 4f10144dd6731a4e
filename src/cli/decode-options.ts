/** The options of decoding on the command line. Ranges and defaults live in `decode/options.ts` alone. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { CompleteOptions } from '../decode/complete.ts';
import {
  completionOptionsSchema,
  decodeOptionsSchema,
  parseOptions,
  POLICY_NAMES,
} from '../decode/options.ts';

/** What commander collects. */
export interface DecodeFlags {
  maxTokens?: number;
  context?: number;
  blockLength?: number;
  policy?: (typeof POLICY_NAMES)[number];
  threshold?: number;
  steps?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  seed?: number;
}

/** A number, or the text that is none, which the schema then refuses with the range. */
const numberOf = (text: string): number | string =>
  text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);

export function addDecodeOptions(command: Command): Command {
  return command
    .option('--max-tokens <n>', 'most tokens to write (default: 64)', numberOf)
    .option(
      '--context <n>',
      'most prompt tokens (default: what the context of the model has room for)',
      numberOf,
    )
    .option('--block-length <n>', "positions denoised together (default: the model's)", numberOf)
    .addOption(
      new Option('--policy <name>', 'what a forward commits (default: confidenceThreshold)').choices(
        POLICY_NAMES,
      ),
    )
    .option(
      '--threshold <p>',
      'confidenceThreshold: commit from here; above 1 is one token a forward (default: 0.9)',
      numberOf,
    )
    .option('--steps <n>', 'fixedSteps and random: forwards a block (default: one a token)', numberOf)
    .option('--temperature <t>', '0 takes the best token (default: 0)', numberOf)
    .option('--top-p <p>', 'sample from the fewest tokens that reach this probability', numberOf)
    .option('--top-k <k>', 'sample from the k best tokens', numberOf)
    .option('--seed <n>', 'same seed, same text (default: 0)', numberOf);
}

/** Errors: `bad_option`, before a model is loaded. */
export function decodeOptionsOf(flags: DecodeFlags): CompleteOptions {
  const { maxTokens, context: contextTokens } = flags;
  const { blockLength, policy, threshold, steps, temperature, topP, topK, seed } = flags;
  return {
    ...parseOptions(completionOptionsSchema, { maxTokens, contextTokens }),
    ...parseOptions(decodeOptionsSchema, {
      blockLength,
      policy,
      threshold,
      steps,
      temperature,
      topP,
      topK,
      seed,
    }),
  };
}
