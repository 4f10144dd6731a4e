/** Fills all holes of an editor at once, each with the text around it, while one watches. */
import { signal } from '@preact/signals';
import type { StateEffect } from '@codemirror/state';
import type { EditorView } from '@codemirror/view';
import { createRecording } from '../../runs/recording.ts';
import type { CanvasPiece, Recording } from '../../runs/recording.ts';
import { RunError } from '../../runs/run.ts';
import { notice, prefersStill, source } from '../../state.ts';
import { around } from './around.ts';
import { draw, fillingOf, holesOf } from './holes.ts';
import type { Filling, Hole } from './holes.ts';
import { figures, isPassing, RETRY_MS, settings, sleep, trouble, whenReady } from './state.ts';

/** What is being filled can be given up. */
export const filling = signal<AbortController | null>(null);

/** Every forward is seen for so long, in slow motion; less where more than so many of them wait. */
const [SLOW_MS, MOST_WAITING] = [110, 12];
const LONGEST_START_MS = 1000;
/** A new text may be longer than the old one, and tokens of code are seldom shorter than two characters. */
const [SPARE_TOKENS, CHARACTERS_PER_TOKEN] = [16, 2];

interface Answer {
  id: number;
  text: string;
  recording: Recording;
  /** Asked for the last time, and answered. */
  startedMs: number;
  endedMs: number;
}

export async function fill(view: EditorView): Promise<void> {
  const holes = holesOf(view.state);
  if (holes.length === 0 || filling.value) return;
  const own = new AbortController();
  filling.value = own;
  trouble.value = null;
  const screen = createScreen(view, holes.length);
  const answers = await Promise.all(holes.map(({ id }) => answer(view, id, screen, own.signal)));
  screen.stop();
  filling.value = null;
  const given = own.signal.aborted ? [] : answers.filter((answer) => answer !== null);
  const fillings = given.flatMap(({ id, text, recording }): Filling[] => {
    const hole = holeOf(view, id);
    return hole ? [{ hole, text, pieces: recording.pieces(recording.frames.at(-1)!) }] : [];
  });
  if (fillings.length > 0) view.dispatch(fillingOf(view.state, fillings));
  if (own.signal.aborted) {
    view.dispatch({ effects: holesOf(view.state).map(({ id }) => clear(id)) });
  }
  if (given.length === 0) return;
  const sum = (of: (answer: Answer) => number): number => given.reduce((total, each) => total + of(each), 0);
  figures.value = {
    what: given.length === 1 ? 'Hole' : `${given.length} holes`,
    tokens: sum(({ recording }) => recording.reply!.completionTokens),
    forwards: sum(({ recording }) => recording.reply!.nfe),
    elapsedMs:
      Math.max(...given.map(({ endedMs }) => endedMs)) - Math.min(...given.map(({ startedMs }) => startedMs)),
  };
  notice.value = given.length === 1 ? 'The hole is filled' : `${given.length} holes are filled`;
}

/** What stands before a stop word: the text ends there, whatever follows. */
function before(pieces: CanvasPiece[], stop: string | undefined): CanvasPiece[] {
  const at = stop === undefined ? -1 : pieces.findIndex(({ text }) => text.includes(stop));
  if (at === -1) return pieces;
  const { text } = pieces[at];
  return [...pieces.slice(0, at), { ...pieces[at], text: text.slice(0, text.indexOf(stop!)) }];
}

const holeOf = (view: EditorView, id: number): Hole | undefined =>
  holesOf(view.state).find((hole) => hole.id === id);
const clear = (id: number, problem: string | null = null) => draw.of({ id, pieces: null, problem });

/** The text for one hole; null when it was closed, given up or refused. Waits for a server that is away. */
async function answer(
  view: EditorView,
  id: number,
  screen: Screen,
  signal: AbortSignal,
): Promise<Answer | null> {
  for (;;) {
    try {
      const { model, contextLength, options } = await whenReady(signal);
      const hole = holeOf(view, id);
      if (!hole) return null;
      const { doc } = view.state;
      const old = doc.sliceString(hole.from, hole.to);
      const maxTokens = Math.min(
        Math.ceil(old.length / CHARACTERS_PER_TOKEN) + SPARE_TOKENS,
        Math.floor(contextLength / 4),
      );
      const others = holesOf(view.state).filter((other) => other.id !== id);
      // What was one line stays one.
      const stop = old.includes('\n') ? [] : ['\n'];
      const request = {
        model,
        source: around(doc, hole.from, hole.to, others, contextLength - maxTokens),
        maxTokens,
        stop,
        options,
      };
      const recording = createRecording(request);
      const startedMs = performance.now();
      for await (const line of source.value!.run(request, signal)) {
        const frame = recording.push(line);
        if (frame) screen.show(id, before(recording.pieces(frame), stop[0]));
      }
      const endedMs = performance.now();
      await screen.seen(id, signal);
      return { id, text: recording.text!, recording, startedMs, endedMs };
    } catch (error) {
      if (signal.aborted) return null;
      const known = error instanceof RunError ? error : new RunError('failed', String(error));
      screen.drop(id);
      const isLater = isPassing(known);
      view.dispatch({ effects: clear(id, isLater ? null : known.message) });
      if (!isLater) {
        trouble.value = known.message;
        return null;
      }
      await sleep(RETRY_MS);
    }
  }
}

interface Screen {
  show(id: number, pieces: CanvasPiece[]): void;
  /** What was shown was seen. */
  seen(id: number, signal: AbortSignal): Promise<void>;
  drop(id: number): void;
  stop(): void;
}

/**
 * Draws all holes at most once a frame of the screen; in slow motion each of their states for a while, from when all of
 * them have begun.
 */
function createScreen(view: EditorView, count: number): Screen {
  const waiting = new Map<number, CanvasPiece[][]>();
  const begun = new Set<number>();
  const startedMs = performance.now();
  const paceMs = settings.value.slow && !prefersStill() ? SLOW_MS : 0;
  let timer = 0;
  let drawnMs = -Infinity;
  const tick = (): void => {
    drawnMs = performance.now();
    const effects: StateEffect<unknown>[] = [];
    for (const [id, queue] of waiting) {
      const pieces = paceMs > 0 ? queue.shift() : queue.splice(0).at(-1);
      if (pieces) effects.push(draw.of({ id, pieces, problem: null }));
      if (queue.length === 0) waiting.delete(id);
    }
    if (effects.length > 0) view.dispatch({ effects });
    if (waiting.size > 0) plan();
  };
  const plan = (): void => {
    const longest = Math.max(...Array.from(waiting.values(), ({ length }) => length));
    const leastMs = Math.max(paceMs * Math.min(1, MOST_WAITING / longest), 16);
    const isEarly = paceMs > 0 && begun.size < count;
    const dueMs = Math.max(drawnMs + leastMs, isEarly ? startedMs + LONGEST_START_MS : 0);
    clearTimeout(timer);
    timer = window.setTimeout(tick, Math.max(0, dueMs - performance.now()));
  };
  return {
    show(id, pieces) {
      begun.add(id);
      waiting.set(id, [...(waiting.get(id) ?? []), pieces]);
      plan();
    },
    async seen(id, signal) {
      while (waiting.has(id) && !signal.aborted) await sleep(Math.max(paceMs, 16));
      if (paceMs > 0 && !signal.aborted) await sleep(paceMs);
    },
    drop: (id) => waiting.delete(id),
    stop() {
      clearTimeout(timer);
      waiting.clear();
    },
  };
}
