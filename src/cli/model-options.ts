/** Options for what a model folder does not say, or says wrongly. */
import { type Command, Option } from 'commander';
import { LAYOUTS, type Layout } from '../model/config.ts';
import type { Overrides } from '../model/config-json.ts';
import { FAMILIES } from '../model/families.ts';
import { modelPath } from '../model/library.ts';
import { whole } from './options.ts';

export interface ModelFlags {
  family?: string;
  layout?: Layout;
  maskToken?: number;
  tokenizer?: string;
}

const UNTOLD = 'Where the files of a model do not tell:';

/** Adds --family, --layout, --mask-token and --tokenizer. */
export function addModelOptions(command: Command): Command {
  const options = [
    new Option('--family <family>', 'what the model is').choices(FAMILIES.map(({ id }) => id)),
    new Option('--layout <layout>', 'who sees whom').choices(LAYOUTS),
    new Option('--mask-token <id>', 'the mask').argParser(whole('--mask-token', 0)),
    new Option('--tokenizer <dir>', 'folder with the tokenizer, also where another is meant'),
  ];
  for (const option of options) command.addOption(option.helpGroup(UNTOLD));
  return command;
}

/** Of commands that run the model. */
export interface LoadFlags extends ModelFlags {
  unpacked?: boolean;
}

/** Adds --unpacked to those above. The 1.8 was measured at 1.7B on two cores, with 8 rows (LOG.md). */
export const addLoadOptions = (command: Command): Command =>
  addModelOptions(command).option(
    '--unpacked',
    'f32: use weights as they lie in their file; a large model loads sooner and takes less memory, steps up to 1.8 times as long',
  );

/** The block length of a model; commands that decode have an option of that name of their own. */
export const addBlockLength = (command: Command): Command =>
  command.option('--block-length <n>', 'positions denoised together', whole('--block-length', 1));

export const overridesOf = ({ family, layout, maskToken, tokenizer }: ModelFlags): Overrides => ({
  family,
  layout,
  maskTokenId: maskToken,
  tokenizer: tokenizer === undefined ? undefined : modelPath(tokenizer),
});

/** What loading a model is told by these flags. */
export const loadOptionsOf = (flags: LoadFlags): { overrides: Overrides; packed: boolean } => ({
  overrides: overridesOf(flags),
  packed: flags.unpacked !== true,
});
