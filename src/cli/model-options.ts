/** Options for what a model folder does not say, or says wrongly. */
import { type Command, Option } from 'commander';
import { LAYOUTS, type Layout } from '../model/config.ts';
import type { Overrides } from '../model/config-json.ts';
import { FAMILIES } from '../model/families.ts';
import { whole } from './options.ts';

export interface ModelFlags {
  family?: string;
  layout?: Layout;
  maskToken?: number;
}

/** Adds --family, --layout and --mask-token. */
export function addModelOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--family <family>', 'what the model is, where its files do not tell').choices(
        FAMILIES.map(({ id }) => id),
      ),
    )
    .addOption(new Option('--layout <layout>', 'who sees whom, where the files do not tell').choices(LAYOUTS))
    .option('--mask-token <id>', 'the mask, where the files do not tell', whole('--mask-token', 0));
}

/** The block length of a model; commands that decode have an option of that name of their own. */
export const addBlockLength = (command: Command): Command =>
  command.option('--block-length <n>', 'positions denoised together', whole('--block-length', 1));

export const overridesOf = ({ family, layout, maskToken }: ModelFlags): Overrides => ({
  family,
  layout,
  maskTokenId: maskToken,
});
