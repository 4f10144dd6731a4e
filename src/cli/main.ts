#!/usr/bin/env node
/** `tintype`: one file a command, each of which registers itself; this one lists them and ends well. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { register as registerBench } from './bench.ts';
import { register as registerChat } from './chat.ts';
import { register as registerComplete } from './complete.ts';
import { register as registerCorpus } from './corpus.ts';
import { register as registerDistill } from './distill.ts';
import { register as registerEval } from './eval.ts';
import { register as registerExport } from './export.ts';
import { reflow } from './help.ts';
import { register as registerInfill } from './infill.ts';
import { register as registerInspect } from './inspect.ts';
import { register as registerKeys } from './keys.ts';
import { describeError } from './output.ts';
import { register as registerModels } from './models.ts';
import { register as registerPlot } from './plot.ts';
import { register as registerPull } from './pull.ts';
import { register as registerQuantize } from './quantize.ts';
import { register as registerServe } from './serve.ts';
import { register as registerTrain } from './train.ts';
import { register as registerTune } from './tune.ts';
import { register as registerUsage } from './usage.ts';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

const program = new Command('tintype')
  .description(`${description}.`)
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print the help of a command')
  .showSuggestionAfterError()
  // Thrown errors are printed once, below, in the same form as all others.
  .configureOutput({
    outputError: () => {},
    writeOut: (text) => process.stdout.write(reflow(text, Math.min(process.stdout.columns || 80, 100))),
  })
  .exitOverride();

/** By what one wants, as `tintype --help` lists them. */
const COMMANDS = {
  'Write with a model:': [registerComplete, registerInfill, registerChat],
  'Serve it:': [registerServe, registerKeys, registerUsage],
  'Train one:': [registerTrain, registerDistill, registerPlot, registerCorpus],
  'Measure it:': [registerEval, registerBench, registerTune],
  'Fetch, look at and convert models:': [
    registerPull,
    registerModels,
    registerInspect,
    registerQuantize,
    registerExport,
  ],
};
for (const [heading, registers] of Object.entries(COMMANDS)) {
  program.commandsGroup(heading);
  for (const register of registers) register(program);
}

program.addHelpText(
  'after',
  `
Environment:
  TINTYPE_DEBUG=1  print where an error came from
  NO_COLOR=1       print without colour

"tintype help <command>" has examples.`,
);

// `tintype ... | head` closes the pipe early, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  // Help and version arrive here too, already printed.
  if (error instanceof CommanderError && error.exitCode === 0) process.exit(0);
  if (error instanceof CommanderError && error.code === 'commander.help') process.exit(2);
  const json = process.argv.includes('--json');
  const { text, status } = describeError(error, { json, debug: process.env.TINTYPE_DEBUG === '1' });
  process.stderr.write(`${text}\n`);
  process.exit(status);
}
