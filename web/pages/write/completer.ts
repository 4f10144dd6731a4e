/** Asks for ghost text while somebody types, and keeps the server's cache warm where they are. */
import { StateEffect } from '@codemirror/state';
import { ViewPlugin } from '@codemirror/view';
import type { Command, EditorView, ViewUpdate } from '@codemirror/view';
import { createStreamDecoder } from '../../../src/text/stream.ts';
import { createRecording } from '../../runs/recording.ts';
import type { Recording } from '../../runs/recording.ts';
import { RunError } from '../../runs/run.ts';
import type { RunRequest } from '../../runs/run.ts';
import { notice, source } from '../../state.ts';
import { around } from './around.ts';
import { ghostField, isTyped, showGhost } from './ghost.ts';
import { holesOf } from './holes.ts';
import { figures, isPassing, RETRY_MS, settings, sleep, trouble, whenReady } from './state.ts';

/** A machine that needs long for an answer is asked less often. Milliseconds. */
const [SHORTEST_PAUSE, LONGEST_PAUSE, PAUSE_SHARE] = [8, 120, 0.15];
/** The cursor has come to rest. */
const REST_MS = 80;

const askNow = StateEffect.define();
/** Asks for ghost text here, whether or not it is asked for while typing. */
export const askForGhost: Command = (view) => {
  view.dispatch({ effects: askNow.of(null) });
  return true;
};

export const completer = ViewPlugin.fromClass(
  class {
    private readonly view: EditorView;
    private timer = 0;
    private frame = 0;
    private running: AbortController | null = null;
    /** Of recent answers, the newest most. */
    private usualMs = 0;
    private line = -1;

    constructor(view: EditorView) {
      this.view = view;
      this.later(0, (signal) => this.warm(signal));
    }

    update(update: ViewUpdate): void {
      const { state, startState, docChanged, selectionSet, transactions } = update;
      // What is shown fits what was typed, and may still grow.
      if (state.field(ghostField)) return;
      const isAsked = transactions.some((tr) => tr.effects.some((effect) => effect.is(askNow)));
      const isElsewhere = docChanged || selectionSet || isAsked;
      if (isElsewhere || startState.field(ghostField)) this.stop();
      if (!isElsewhere) return;
      const { line } = this;
      this.line = state.doc.lineAt(state.selection.main.head).number;
      const wants = isAsked || (settings.value.ghost && transactions.some(isTyped));
      if (wants && canStandHere(update)) {
        const pauseMs = Math.min(Math.max(this.usualMs * PAUSE_SHARE, SHORTEST_PAUSE), LONGEST_PAUSE);
        this.later(isAsked ? 0 : pauseMs, (signal) => this.complete(signal));
      } else if (settings.value.ghost && this.line !== line) {
        this.later(REST_MS, (signal) => this.warm(signal));
      }
    }

    destroy(): void {
      this.stop();
    }

    private stop(): void {
      clearTimeout(this.timer);
      cancelAnimationFrame(this.frame);
      this.running?.abort();
      this.running = null;
    }

    private later(ms: number, work: (signal: AbortSignal) => Promise<void>): void {
      this.stop();
      const own = new AbortController();
      this.running = own;
      this.timer = window.setTimeout(() => {
        work(own.signal).catch((error: unknown) => {
          if (!own.signal.aborted) trouble.value = error instanceof Error ? error.message : String(error);
        });
      }, ms);
    }

    /** What a model is asked at the cursor. */
    private async request(signal: AbortSignal, maxTokens: number): Promise<RunRequest> {
      const { model, contextLength, options } = await whenReady(signal);
      const { state } = this.view;
      const { head } = state.selection.main;
      return {
        model,
        source: around(state.doc, head, head, holesOf(state), contextLength - maxTokens),
        maxTokens,
        stop: [settings.value.lines === 'one' ? '\n' : '\n\n'],
        options,
      };
    }

    private async warm(signal: AbortSignal): Promise<void> {
      await this.run(signal, 1, () => {});
    }

    private async complete(signal: AbortSignal): Promise<void> {
      const { recording, elapsedMs } = await this.run(signal, settings.value.maxTokens, (base, text) => {
        cancelAnimationFrame(this.frame);
        this.frame = requestAnimationFrame(() => this.show(base, text));
      });
      if (signal.aborted) return;
      this.usualMs = this.usualMs === 0 ? elapsedMs : 0.7 * this.usualMs + 0.3 * elapsedMs;
      trouble.value = null;
      const { completionTokens: tokens, nfe: forwards } = recording.reply!;
      figures.value = { what: 'Completion', tokens, forwards, elapsedMs };
      const text = recording.text!.trimEnd();
      if (text !== '') notice.value = `Suggestion: ${text}`;
    }

    /**
     * Tells what is settled so far, and where it begins, as it grows. Waits for a server that is away, and asks again.
     */
    private async run(
      signal: AbortSignal,
      maxTokens: number,
      tell: (base: number, text: string) => void,
    ): Promise<{ recording: Recording; elapsedMs: number }> {
      for (;;) {
        const recording = createRecording(await this.request(signal, maxTokens));
        const startedMs = performance.now();
        const base = this.view.state.selection.main.head;
        const decoder = createStreamDecoder(recording.vocabulary);
        let text = '';
        try {
          for await (const line of source.value!.run(recording.request, signal)) {
            recording.push(line);
            if (line.type === 'text') tell(base, line.text);
            if (line.type !== 'block') continue;
            text += decoder.push(line.ids);
            tell(base, text.split(recording.request.stop![0], 1)[0]);
          }
          return { recording, elapsedMs: performance.now() - startedMs };
        } catch (error) {
          if (signal.aborted || !(error instanceof RunError && isPassing(error))) throw error;
          await sleep(RETRY_MS);
        }
      }
    }

    /** What is left of a text that begins at `base`, after what was typed since. */
    private show(base: number, text: string): void {
      const { doc, selection } = this.view.state;
      const at = selection.main.head;
      const typed = doc.sliceString(base, at);
      const whole = text.trimEnd();
      if (!selection.main.empty || !whole.startsWith(typed) || whole === typed) return;
      this.view.dispatch({ effects: showGhost.of({ at, text: whole.slice(typed.length) }) });
    }
  },
);

function canStandHere({ state }: ViewUpdate): boolean {
  const { main, ranges } = state.selection;
  return (
    ranges.length === 1 &&
    main.empty &&
    !holesOf(state).some(({ from, to }) => from < main.head && main.head < to)
  );
}
