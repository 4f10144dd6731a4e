/** `tintype infill`: fills the marked gaps of a file. */
import { rename, stat, writeFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import type { Command } from 'commander';
import { fillHoles, HOLE, infillText } from '../decode/complete.ts';
import { TintypeError } from '../errors.ts';
import { noteDropped, readTextFile, withText } from './complete.ts';
import { addDecodeOptions, decodeOptionsOf } from './decode-options.ts';
import type { DecodeFlags } from './decode-options.ts';
import { interruptSignal } from './interrupt.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { toInteger } from './options.ts';
import { printJson } from './output.ts';
import { bundledModel, openTextModel } from './text-model.ts';
import { addTunedOption, noteTuned, tunedDefaults, type TunedFlags } from './tuned.ts';

interface InfillFlags extends DecodeFlags, LoadFlags, TunedFlags {
  model?: string;
  threads?: number;
  inPlace?: boolean;
  json?: boolean;
}

const HELP = `
Gaps are marked ${HOLE}, any number of them, and are filled from the first to the last: each sees all of the text around
it that the context of the model has room for, earlier gaps filled and later ones empty. The filled text goes to
standard output; an interrupted run writes nothing.

Examples:
  tintype infill draft.ts > filled.ts
  tintype infill draft.ts --in-place --max-tokens 32
  echo 'const a = [1, 2, 3]; const last = a${HOLE};' | tintype infill -`;

export function register(program: Command): void {
  const command = program
    .command('infill')
    .description(`fill every ${HOLE} in a file`)
    .argument('<file>', 'a text file, or - for standard input')
    .option('--model <dir>', 'a model folder (default: the bundled tintype-code)');
  addTunedOption(addDecodeOptions(addLoadOptions(command)))
    .option('--threads <n>', 'threads that compute (default: one a core)', (text: string) =>
      toInteger('--threads', text, 1, 256),
    )
    .option('--in-place', 'write the filled text back into the file')
    .option('--json', 'print one JSON document with every event')
    .addHelpText('after', HELP)
    .action(infill);
}

async function infill(file: string, flags: InfillFlags): Promise<void> {
  const signal = interruptSignal();
  // Once without defaults, so that a flag that makes no sense is refused before anything is read.
  decodeOptionsOf(flags);
  if (flags.inPlace && file === '-') {
    throw new TintypeError('bad_option', { what: '--in-place needs a file', got: 'standard input' });
  }
  const text = file === '-' ? await readStream(process.stdin) : await readTextFile(file);
  if (!text.includes(HOLE)) {
    throw new TintypeError('bad_data', {
      what: `there is no gap in ${file}`,
      wanted: `${HOLE} where text is missing`,
    });
  }
  const dir = flags.model ?? bundledModel();
  const tuned = await tunedDefaults(dir, flags.threads, flags);
  const options = decodeOptionsOf(flags, tuned.options);
  const precision = flags.precision ?? tuned.precision;
  const model = await openTextModel(dir, {
    threads: flags.threads,
    draft: flags.draft,
    precision,
    ...loadOptionsOf(flags),
  });
  noteTuned(tuned);
  try {
    const holes: { text: string; promptTokens: number; events: object[] }[] = [];
    for await (const { completion } of infillText(model, text, { ...options, signal })) {
      if (completion.done.reason === 'aborted') signal.throwIfAborted();
      noteDropped(completion);
      const events = withText(completion.events, model.tokenizer);
      holes.push({ text: completion.text, promptTokens: completion.promptTokens, events });
    }
    const filled = fillHoles(
      text,
      holes.map((hole) => hole.text),
    );
    if (flags.inPlace) await replaceFile(file, filled);
    if (flags.json) printJson({ model: model.id, text: filled, options, holes });
    else if (!flags.inPlace) process.stdout.write(filled);
  } finally {
    await model.close();
  }
}

/** The file holds the old text or the new one, whatever happens meanwhile. */
async function replaceFile(file: string, text: string): Promise<void> {
  const beside = `${file}.tintype-${process.pid}`;
  const { mode } = await stat(file);
  await writeFile(beside, text, { mode });
  await rename(beside, file);
}
