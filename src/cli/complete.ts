/** `tintype complete`: the text that belongs at a cursor. */
import { readFile, writeFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import pc from 'picocolors';
import { streamCompletion } from '../decode/complete.ts';
import type { Completion, CompletionStream, Gap } from '../decode/complete.ts';
import type { DecodeEvent, DoneEvent } from '../decode/events.ts';
import { createFilm } from '../decode/film.ts';
import type { Frame } from '../decode/film.ts';
import { TintypeError } from '../errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { parseCursor, splitAtCursor } from './cursor.ts';
import { addDecodeOptions, decodeOptionsOf, samplerHelp } from './decode-options.ts';
import type { DecodeFlags } from './decode-options.ts';
import { interruptSignal } from './interrupt.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { toInteger } from './options.ts';
import { printJson } from './output.ts';
import { drawRun } from '../decode/picture.ts';
import { createFrameView, surroundings } from './show.ts';
import type { FrameView } from './show.ts';
import { bundledModel, openTextModel } from './text-model.ts';
import { addTunedOption, noteTuned, tunedDefaults, type TunedFlags } from './tuned.ts';

interface CompleteFlags extends DecodeFlags, LoadFlags, TunedFlags {
  model?: string;
  threads?: number;
  prefix?: string;
  suffix?: string;
  show?: boolean;
  pace?: number;
  json?: boolean;
  svg?: string;
}

const HELP = `
The place counts lines and columns from 1. With "-" the text comes from --prefix and --suffix; without --prefix
standard input is the prefix, and without --suffix the prefix is simply continued. Of a text that is longer than the
context of the model, what is nearest to the cursor is kept. Only the completion is printed on standard output.

--show marks tokens by state: ▒▒ masked, inverse just committed, underlined committed, plain settled; where the output
is no terminal, one line a forward, with [brackets] around what it committed. A small model is
faster than the eye: --pace 300 shows three forwards a second.

Examples:
  tintype complete docs/sample.ts:4:1 --max-tokens 28 --threshold 0.6 --show --pace 300
  tintype complete - --prefix 'const sum = (a: number, b: number) => ' --suffix ';' --max-tokens 16
  tintype complete docs/sample.ts:4:1 --policy fixedSteps --steps 2 --json > run.json
  tintype complete docs/sample.ts:4:1 --svg run.svg`;

export function register(program: Command): void {
  const command = program
    .command('complete')
    .description('complete the text at a cursor')
    .argument('<place>', 'FILE:LINE:COLUMN, or - with --prefix and --suffix')
    .option('--model <dir>', 'a model folder or GGUF file (default: the bundled tintype-code)')
    .option('--prefix <text>', 'with -: text before the cursor')
    .option('--suffix <text>', 'with -: text after the cursor');
  addTunedOption(addDecodeOptions(addLoadOptions(command)))
    .option('--threads <n>', 'threads that compute (default: one a core)', (text: string) =>
      toInteger('--threads', text, 1, 256),
    )
    .option('--show', 'show the text develop')
    .option(
      '--pace <ms>',
      'with --show: show every forward for so long, once all are computed',
      (text: string) => toInteger('--pace', text, 1, 60_000),
    )
    .option('--json', 'print one JSON document with every event')
    .option('--svg <file>', 'draw the run into a picture')
    .addHelpText('after', () => `${samplerHelp()}\n${HELP}`)
    .action(complete);
}

async function complete(place: string, flags: CompleteFlags): Promise<void> {
  const signal = interruptSignal();
  // Once without defaults, so that a flag that makes no sense is refused before anything is read.
  decodeOptionsOf(flags);
  if (flags.pace !== undefined && (flags.show !== true || flags.json === true)) {
    throw new TintypeError('bad_option', { what: '--pace is for what --show shows', next: 'add --show' });
  }
  const gap = await readGap(place, flags);
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
  const { tokenizer } = model;
  try {
    const completion = streamCompletion(model, gap, { ...options, signal });
    const { prompt } = completion;
    const promptTokens = prompt.ids.length;
    noteDropped({ promptTokens, dropped: prompt.dropped });
    const isShown = flags.show === true && flags.json !== true;
    const view = isShown
      ? createFrameView(process.stdout, tokenizer, surroundings(gap.prefix, gap.suffix))
      : null;
    const { events, frames, done } = await follow(completion, flags.pace === undefined ? view : null);
    if (flags.pace !== undefined && view !== null) await replay(frames, view, flags.pace, signal);
    const text = completion.text(done);

    if (flags.svg !== undefined) {
      await writeFile(flags.svg, drawRun(frames, tokenizer, `${model.id}: ${summaryOf(done)}`));
    }
    if (flags.json) {
      const run = { promptTokens, dropped: prompt.dropped, options, events: withText(events, tokenizer) };
      printJson({ model: model.id, text, ...run });
    } else if (!isShown || !process.stdout.isTTY) {
      process.stdout.write(isShown ? `\n${text}\n` : process.stdout.isTTY ? `${text}\n` : text);
    }
    if (process.stderr.isTTY) process.stderr.write(`${pc.dim(summaryOf(done))}\n`);
    if (done.reason === 'aborted') signal.throwIfAborted();
  } finally {
    await model.close();
  }
}

/** Reads a run to its end, drawing each frame as it comes. */
export async function follow(
  { canvas, events: stream }: CompletionStream,
  view: FrameView | null,
): Promise<{ events: DecodeEvent[]; frames: Frame[]; done: DoneEvent }> {
  const film = createFilm(canvas);
  const events: DecodeEvent[] = [];
  const frames: Frame[] = [];
  for await (const event of stream) {
    events.push(event);
    const frame = film(event);
    if (frame !== null) {
      frames.push(frame);
      view?.draw(frame);
    }
  }
  return { events, frames, done: events.at(-1) as DoneEvent };
}

/** Draws a finished run slowly, so that its times are those of the model. Rejects where the signal aborts. */
async function replay(
  frames: readonly Frame[],
  view: FrameView,
  paceMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const frame of frames) {
    view.draw(frame);
    if (frame.step !== null) await sleep(paceMs, undefined, { signal });
  }
}

/** The same events, each committed token with its text. */
export const withText = (events: readonly DecodeEvent[], tokenizer: Tokenizer): object[] =>
  events.map((event) =>
    event.type === 'commit'
      ? { ...event, tokens: event.tokens.map((token) => ({ ...token, text: tokenizer.show(token.id) })) }
      : event,
  );

/** Says on stderr what of the text the model did not see. */
export function noteDropped({ promptTokens, dropped }: Pick<Completion, 'promptTokens' | 'dropped'>): void {
  const parts = [
    dropped.prefixTokens > 0 ? `the first ${dropped.prefixCharacters} characters before the gap` : '',
    dropped.suffixTokens > 0 ? `the last ${dropped.suffixCharacters} characters after it` : '',
  ].filter((part) => part !== '');
  if (parts.length === 0) return;
  const asked = promptTokens + dropped.prefixTokens + dropped.suffixTokens;
  process.stderr.write(
    `${pc.yellow('note:')} the text has ${asked} tokens and the prompt room for ${promptTokens}; left out ${parts.join(' and ')}\n`,
  );
}

/** `12 tokens in 5 forwards (2.4 a forward), 31 ms`. */
export const summaryOf = ({ usefulTokens, nfe, tpf, elapsedMs }: DoneEvent): string =>
  `${usefulTokens} tokens in ${nfe} forwards (${tpf.toFixed(1)} a forward), ${elapsedMs.toFixed(0)} ms`;

async function readGap(place: string, { prefix, suffix }: CompleteFlags): Promise<Gap> {
  if (place === '-') return { prefix: prefix ?? (await readStream(process.stdin)), suffix: suffix ?? null };
  if (prefix !== undefined || suffix !== undefined) {
    throw new TintypeError('bad_option', {
      what: '--prefix and --suffix stand for a file',
      got: place,
      wanted: '- as the place',
    });
  }
  const cursor = parseCursor(place);
  return splitAtCursor(await readTextFile(cursor.file), cursor);
}

/** Errors: `not_found`; `bad_data` for what is no UTF-8 text. */
export async function readTextFile(file: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new TintypeError('not_found', {
      what: `cannot read ${file}`,
      got: (cause as Error).message,
      cause,
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TintypeError('bad_data', { what: `${file} is not a text file`, wanted: 'valid UTF-8', cause });
  }
}
