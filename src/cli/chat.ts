/** `tintype chat`: a conversation with a checkpoint, by its own chat template. */
import type { Command } from 'commander';
import pc from 'picocolors';
import { streamChat } from '../decode/chat.ts';
import type { CompleteOptions } from '../decode/complete.ts';
import type { DoneEvent } from '../decode/events.ts';
import { TintypeError } from '../errors.ts';
import { familyName } from '../model/config.ts';
import type { ChatFormat, ChatMessage } from '../text/chat.ts';
import { follow, summaryOf, withText } from './complete.ts';
import { addDecodeOptions, decodeOptionsOf } from './decode-options.ts';
import type { DecodeFlags } from './decode-options.ts';
import { addLoadOptions, type LoadFlags, loadOptionsOf } from './model-options.ts';
import { toInteger } from './options.ts';
import { describeError, printJson } from './output.ts';
import { createFrameView } from './show.ts';
import { createTalk, readLine, TALK_HELP } from './talk.ts';
import type { Talk } from './talk.ts';
import { bundledModel, openTextModel } from './text-model.ts';
import type { OpenTextModel } from './text-model.ts';
import { addTunedOption, noteTuned, tunedDefaults, type TunedFlags } from './tuned.ts';

interface ChatFlags extends DecodeFlags, LoadFlags, TunedFlags {
  model?: string;
  threads?: number;
  system?: string;
  thinking?: boolean;
  /** False after --no-show. */
  show?: boolean;
  json?: boolean;
}

const HELP = `
The conversation is written as the checkpoint's own chat template says (tokenizer_config.json, chat_template.jinja).
In a terminal the answer is shown as it develops; from a pipe every line is one message, and the answers alone are
printed. ${TALK_HELP}; Ctrl-C twice at the prompt quits. A message that begins with a slash begins with two.
Of a conversation that is longer than the context of the model the oldest turns are left out.

Models answer by this program's own policy, which ends where the text ends; --sampler official answers as the published
code does.

Examples:
  tintype chat --model LLaDA-8B-Instruct
  tintype chat --model SDAR-1.7B-Chat --sampler official --max-tokens 256
  echo 'What is a mask?' | tintype chat --model Dream-7B --system 'Be brief.' --json > talk.json`;

/** Tokens of an answer where nothing else is said. */
const ANSWER_TOKENS = 256;

export function register(program: Command): void {
  const command = program
    .command('chat')
    .description('talk with a model')
    .option('--model <dir>', 'a model folder with a chat template; the bundled models have none')
    .option('--system <text>', 'what the model is told before the conversation')
    .option('--thinking', 'ask for thinking aloud, where the template knows it')
    .option('--no-thinking', 'ask for none (default: what the family expects)');
  addTunedOption(addDecodeOptions(addLoadOptions(command)))
    .option('--threads <n>', 'threads that compute (default: one a core)', (text: string) =>
      toInteger('--threads', text, 1, 256),
    )
    .option('--no-show', 'print answers when they are finished')
    .option('--json', 'print one JSON document with every turn and its events at the end')
    .addHelpText('after', HELP)
    .action(chat);
}

async function chat(flags: ChatFlags): Promise<void> {
  decodeOptionsOf(flags);
  const dir = flags.model ?? bundledModel();
  const tuned = await tunedDefaults(dir, flags.threads, flags);
  const { maxTokens, ...options } = decodeOptionsOf(flags, tuned.options);
  const precision = flags.precision ?? tuned.precision;
  const model = await openTextModel(dir, {
    threads: flags.threads,
    draft: flags.draft,
    precision,
    ...loadOptionsOf(flags),
  });
  try {
    const { config } = model.denoiser;
    // A2D was tuned without thinking (CHECKPOINTS.md 2.7); other templates know best themselves.
    const thinking = flags.thinking ?? (familyName(config).startsWith('a2d') ? false : undefined);
    const format = model.chatFormat({ thinking });
    noteTuned(tuned);
    const length = Math.min(ANSWER_TOKENS, Math.floor(config.contextLength / 2));
    const own = flags.maxTokens === undefined && flags['sampler'] === undefined ? length : maxTokens;
    const talk = createTalk({ input: process.stdin, output: process.stdout });
    try {
      await converse({ model, format, options: { ...options, maxTokens: own }, flags, talk });
    } finally {
      talk.close();
    }
  } finally {
    await model.close();
  }
}

interface Conversation {
  model: OpenTextModel;
  format: ChatFormat;
  options: CompleteOptions;
  flags: ChatFlags;
  talk: Talk;
}

/** One turn of the transcript that --json prints. */
interface Turn {
  user: string;
  assistant: string;
  promptTokens: number;
  events: object[];
}

/** Reads lines and answers them until there are no more. Errors of a turn end it; from a pipe they end everything. */
async function converse({ model, format, options, flags, talk }: Conversation): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && flags.json !== true;
  const beginning: ChatMessage[] =
    flags.system === undefined ? [] : [{ role: 'system', content: flags.system }];
  let messages = [...beginning];
  const turns: Turn[] = [];
  const hint = (text: string): unknown => process.stderr.write(`${pc.dim(text)}\n`);
  if (isTerminal) hint(TALK_HELP);

  for (let line = await talk.ask(); line !== null; line = await talk.ask()) {
    const meant = readLine(line);
    if (meant.kind === 'exit') break;
    if (meant.kind === 'reset') {
      messages = [...beginning];
      if (isTerminal) hint('forgotten');
    } else if (meant.kind === 'help') {
      hint(TALK_HELP);
    } else if (meant.kind === 'unknown') {
      const what = `there is no command ${meant.name}`;
      if (!isTerminal) throw new TintypeError('bad_option', { what, wanted: TALK_HELP });
      hint(`${what}: ${TALK_HELP}`);
    } else if (meant.kind === 'message') {
      const asked: ChatMessage[] = [...messages, { role: 'user', content: meant.text }];
      try {
        const turn = await talk.interruptible((signal) =>
          answer(model, format, asked, { ...options, signal }, { isTerminal, flags }),
        );
        turns.push({ user: meant.text, ...turn });
        // Of an answer that was stopped what stands is part of the conversation; of one that did not begin, nothing.
        if (turn.assistant !== '') messages = [...asked, { role: 'assistant', content: turn.assistant }];
      } catch (error) {
        if (!isTerminal || !(error instanceof TintypeError)) throw error;
        process.stderr.write(`${describeError(error).text}\n`);
      }
    }
  }
  if (flags.json) printJson({ model: model.id, system: flags.system ?? null, options, turns });
}

async function answer(
  model: OpenTextModel,
  format: ChatFormat,
  messages: readonly ChatMessage[],
  options: CompleteOptions,
  { isTerminal, flags }: { isTerminal: boolean; flags: ChatFlags },
): Promise<Omit<Turn, 'user'>> {
  const run = streamChat(model, format, messages, options);
  const promptTokens = run.prompt.ids.length;
  if (run.droppedMessages > 0) {
    process.stderr.write(
      `${pc.yellow('note:')} the conversation is too long; left out its first ${run.droppedMessages} messages\n`,
    );
  }
  const isShown = isTerminal && flags.show !== false;
  const view = isShown ? createFrameView(process.stdout, model.tokenizer, { before: '', after: '' }) : null;
  const { events, done } = await follow(run, view);
  const assistant = run.text(done).trim();
  if (!isShown && flags.json !== true) process.stdout.write(`${assistant}\n`);
  if (isTerminal) process.stderr.write(`${pc.dim(endOf(done))}\n`);
  return { assistant, promptTokens, events: withText(events, model.tokenizer) };
}

const endOf = (done: DoneEvent): string =>
  `${done.reason === 'aborted' ? 'stopped, ' : ''}${summaryOf(done)}`;
