/** The options of decoding on the command line. Ranges and defaults live in `decode/options.ts` alone. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { CompleteOptions } from '../decode/complete.ts';
import { CACHE_MODES } from '../decode/context.ts';
import { withDefaults } from '../decode/defaults.ts';
import {
  completionOptionsSchema,
  decodeOptionsSchema,
  defaultPolicy,
  MODES,
  parseOptions,
  POLICY_NAMES,
} from '../decode/options.ts';
import { SAMPLER_CHOICES } from '../decode/official/choose.ts';
import { SAMPLER_NAMES, SAMPLERS } from '../decode/official/samplers.ts';
import { SAMPLER_PARAMETERS } from '../decode/official/values.ts';
import { POLICIES, POLICY_PARAMETERS } from '../decode/policies/index.ts';
import type { PolicyParameter } from '../decode/policies/index.ts';
import { TintypeError } from '../errors.ts';
import { PRECISIONS } from '../model/quantize.ts';
import type { Precision } from '../model/quantize.ts';
import type { Draft } from './text-model.ts';

/** What commander collects, by the names that the schema knows, and a few of its own. */
export interface DecodeFlags {
  maxTokens?: number;
  context?: number;
  draft?: Draft;
  precision?: Precision;
  stop?: string[];
  logitBias?: string;
  schema?: string;
  regex?: string;
  [option: string]: unknown;
}

/** A number, or the text that is none, which the schema then refuses with the range. */
const numberOf = (text: string): number | string =>
  text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);

const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** `0.9; edit: 0.7`: the default of a parameter in each policy that reads it. */
function defaultsOf(parameter: string): string {
  const entries: Record<string, { defaults: Record<string, string | number | null> }> = POLICIES;
  return Object.entries(entries)
    .filter(([, { defaults }]) => parameter in defaults)
    .map(([policy, { defaults }]) => `${policy} ${defaults[parameter] ?? 'one a position'}`)
    .join(', ');
}

/** Every published sampler with its line and its defaults. They are many, so the help of one command has them. */
export function samplerHelp(): string {
  const lines = SAMPLER_NAMES.map((name) => {
    const { doc, rule, stepsOf, defaults } = SAMPLERS[name];
    const values = Object.entries(defaults).map(([key, value]) =>
      key === 'steps'
        ? `steps of the ${stepsOf} ${value ?? 'one a position'}`
        : `${key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`,
    );
    return `  ${name} (${rule}): ${doc}\n      ${values.join(', ')}`;
  });
  return `\nSamplers, with the rule that each follows and its published defaults:\n${lines.join('\n')}`;
}

function choiceOf<T extends string>(option: string, got: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === got);
  if (choice !== undefined) return choice;
  throw new TintypeError('bad_option', { what: `${option} is not usable`, got, wanted: choices.join(', ') });
}

/** @param except options, such as `--seed`, that mean something else to this command */
export function addDecodeOptions(command: Command, except: readonly string[] = []): Command {
  for (const option of decodeOptions()) if (!except.includes(option.long!)) command.addOption(option);
  return command;
}

/** Whether a command line says anything of how to decode, by options that are not among these. */
export const saysHow = (flags: Record<string, unknown>, except: readonly string[]): boolean =>
  decodeOptions().some(
    (option) => !except.includes(option.long!) && flags[option.attributeName()] !== undefined,
  );

function decodeOptions(): readonly Option[] {
  const command = new Command();
  command
    .optionsGroup('What to write:')
    .option('--max-tokens <n>', 'most tokens to write (default: 64)', numberOf)
    .option(
      '--context <n>',
      'most prompt tokens (default: what the context of the model has room for)',
      numberOf,
    )
    .option(
      '--stop <text>',
      'the text ends before this; may be given several times',
      (text: string, all?: string[]) => [...(all ?? []), text],
    )
    .option('--logit-bias <json>', 'added to the logits of tokens: {"id": bias}')
    .option('--schema <file>', 'write JSON that is valid by this JSON Schema')
    .option('--regex <pattern>', 'write text that matches as a whole');
  command
    .optionsGroup('How to decode:')
    .addOption(
      new Option(
        '--mode <mode>',
        'diffusion commits in parallel, verify drafts and keeps what ar would write, ar writes one token at a time',
      ).choices(MODES),
    )
    .option('--block-length <n>', "positions denoised together (default: the model's)", numberOf)
    .option(
      '--redrafts <n>',
      'verify: draft anew behind so many of the drafts that a forward checks; fewer forwards, of more rows (default: 0)',
      numberOf,
    )
    .option(
      '--guesses <n>',
      'verify: where there are fewer drafts, counts guess up to so many; needs no masks (default: 8)',
      numberOf,
    )
    .option(
      '--tolerance <x>',
      'verify: a draft stands too with at least 1 - x of the probability of the best token; not lossless (default: 0)',
      numberOf,
    )
    .option(
      '--bigrams <w>',
      'weight of pairs of tokens where neighbouring masks are filled together (default: 0.6 where the model has bigrams.safetensors, else 0)',
      numberOf,
    )
    .addOption(
      new Option(
        '--draft <who>',
        'who verifies the drafts: the model itself, or its autoregressive twin, the folder MODEL-ar (default: self)',
      ).choices(['self', 'ar']),
    )
    .addOption(
      new Option(
        '--cache <mode>',
        'what is not computed again (default: block, full attention none)',
      ).choices(CACHE_MODES),
    )
    .option('--refresh-every <n>', 'forwards after which an approximate cache is computed anew', numberOf)
    .option('--active-blocks <n>', 'blocks that may be active at once (default: 1)', numberOf)
    .option(
      '--activate-at <share>',
      'a block starts when this share of the one before is committed (default: 0.5)',
      numberOf,
    )
    .option(
      '--grow <n>',
      'full attention: begin with n masks and add n while no end of text is in sight (default: all at once)',
      numberOf,
    )
    .addOption(new Option('--precision <precision>', 'weights in memory (default: f32)').choices(PRECISIONS));
  command
    .optionsGroup('Drawing tokens:')
    .option('--temperature <t>', '0 takes the best token (default: 0)', numberOf)
    .option('--top-p <p>', 'sample from the fewest tokens that reach this probability', numberOf)
    .option('--top-k <k>', 'sample from the k best tokens', numberOf)
    .option('--seed <n>', 'same seed, same text (default: 0)', numberOf);
  command
    .optionsGroup('Policies and their parameters, with the default in each policy that reads them:')
    .addOption(
      new Option(
        '--policy <name>',
        'what a forward commits (default: confidenceThreshold, or fixedSteps with --steps)',
      ).choices(POLICY_NAMES),
    );
  for (const [name, parameter] of Object.entries<PolicyParameter>(POLICY_PARAMETERS)) {
    const option = new Option(
      `${flagOf(name)} <${parameter.type === 'choice' ? 'name' : 'x'}>`,
      `${parameter.doc} (${defaultsOf(name)})`,
    );
    command.addOption(
      parameter.type === 'choice' ? option.choices(parameter.values) : option.argParser(numberOf),
    );
  }
  command
    .optionsGroup('Published samplers:')
    .addOption(
      new Option(
        '--sampler <name>',
        'decode as the published code does, in place of mode, policy and cache; official is the one of the model, and tintype help complete lists all',
      ).argParser((name: string) => choiceOf('--sampler', name, SAMPLER_CHOICES)),
    );
  for (const [name, parameter] of Object.entries(SAMPLER_PARAMETERS)) {
    if (parameter.type === 'flag') command.option(flagOf(name), parameter.doc);
    else command.option(`${flagOf(name)} <x>`, parameter.doc, numberOf);
  }
  return command.options;
}

/**
 * Errors: `bad_option`, before a model is loaded.
 * @param defaults of what the flags leave open; the schema's own come last
 */
export function decodeOptionsOf(flags: DecodeFlags, defaults: CompleteOptions = {}): CompleteOptions {
  const { maxTokens, context: contextTokens, stop, logitBias, schema, regex } = flags;
  const said = Object.fromEntries(Object.keys(decodeOptionsSchema.shape).map((name) => [name, flags[name]]));
  if (schema !== undefined && regex !== undefined) {
    throw new TintypeError('bad_option', {
      what: '--schema and --regex cannot both say what the text is',
      next: 'give one of them; a pattern may stand inside the schema',
    });
  }
  const language =
    schema !== undefined
      ? { schema: jsonOf(schema, readText(schema)) }
      : regex !== undefined
        ? { regex }
        : {};
  const known = flags.draft === 'ar' ? {} : defaults;
  const all: CompleteOptions = withDefaults({ ...said, ...language }, known);
  const { schema: _, regex: __, ...decoding } = all;
  const limits = parseOptions(completionOptionsSchema, { maxTokens, contextTokens });
  return {
    ...limits,
    // A published sampler has a length of its own.
    maxTokens: flags['sampler'] === undefined ? limits.maxTokens : maxTokens,
    ...(stop === undefined ? {} : { stop }),
    ...language,
    ...parseOptions(decodeOptionsSchema, {
      ...decoding,
      policy: decoding.policy ?? defaultPolicy(decoding),
      logitBias: logitBias === undefined ? undefined : jsonOf('--logit-bias', logitBias),
    }),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TintypeError('not_found', {
      what: `cannot read ${file}`,
      got: (cause as Error).message,
      cause,
    });
  }
}

/** @param source where it is from */
function jsonOf(source: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TintypeError('bad_option', {
      what: `${source} is not JSON`,
      got: `${JSON.stringify(text.slice(0, 80))}: ${(cause as Error).message}`,
      cause,
    });
  }
}
