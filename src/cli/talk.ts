/** A conversation by lines: where they come from, what Ctrl-C means, which of them are commands. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import pc from 'picocolors';
import { TintypeError } from '../errors.ts';

export interface Talk {
  /** The next line, or null when there are no more. */
  ask(): Promise<string | null>;
  /** Runs something that Ctrl-C stops, and only that. */
  interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T>;
  close(): void;
}

export interface TalkStreams {
  input: Readable & { isTTY?: boolean };
  /** Prompts, echoes and hints. */
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * In a terminal a line is edited after a prompt; Ctrl-C stops what runs, and at the prompt quits when it comes twice in a
 * row. From a pipe every line is taken as it is.
 */
export function createTalk({ input, output }: TalkStreams): Talk {
  const isTerminal = input.isTTY === true && output.isTTY === true;
  const lines = createInterface({
    input,
    ...(isTerminal ? { output } : {}),
    terminal: isTerminal,
    prompt: pc.bold('> '),
  });
  const waiting: string[] = [];
  let ended = false;
  let wake: (() => void) | null = null;
  let running: AbortController | null = null;
  let warned = false;

  const interrupt = (): void => {
    if (running !== null) {
      running.abort(new TintypeError('aborted', { what: 'interrupted' }));
    } else if (warned || !isTerminal) {
      lines.close();
    } else {
      warned = true;
      output.write(`\n${pc.dim('Ctrl-C again quits, as does /exit')}\n`);
      lines.prompt();
    }
  };
  lines.on('line', (line) => {
    waiting.push(line);
    warned = false;
    wake?.();
  });
  lines.on('close', () => {
    ended = true;
    wake?.();
  });
  // A terminal that readline listens to sends no signal; elsewhere one may come.
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);

  return {
    async ask() {
      if (waiting.length === 0 && !ended) {
        if (isTerminal) lines.prompt();
        await new Promise<void>((resolve) => (wake = resolve));
        wake = null;
      }
      return waiting.shift() ?? null;
    },
    async interruptible(run) {
      running = new AbortController();
      try {
        return await run(running.signal);
      } finally {
        running = null;
      }
    },
    close() {
      process.off('SIGINT', interrupt);
      lines.close();
    },
  };
}

/** What a line asks for. */
export type Line =
  | { kind: 'message'; text: string }
  | { kind: 'reset' | 'exit' | 'help' | 'nothing' }
  | { kind: 'unknown'; name: string };

export const TALK_HELP = '/reset forgets the conversation, /exit quits, Ctrl-C stops an answer';

/** A line that begins with a slash is a command; one that begins with two is a message that begins with one. */
export function readLine(line: string): Line {
  const text = line.trim();
  if (text === '') return { kind: 'nothing' };
  if (text.startsWith('//')) return { kind: 'message', text: text.slice(1) };
  if (!text.startsWith('/')) return { kind: 'message', text };
  switch (text) {
    case '/reset':
      return { kind: 'reset' };
    case '/exit':
    case '/quit':
      return { kind: 'exit' };
    case '/help':
      return { kind: 'help' };
    default:
      return { kind: 'unknown', name: text.split(/\s/)[0] };
  }
}
