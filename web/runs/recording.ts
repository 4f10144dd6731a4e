/** The lines of a run, kept: what it looked like after every step, what was likely where, what it cost. */
import { createFilm } from '../../src/decode/film.ts';
import type { Cell, Frame } from '../../src/decode/film.ts';
import { piecesOf } from '../../src/decode/canvas-frames.ts';
import type { CanvasPiece } from '../../src/decode/canvas-frames.ts';
import type { DecodeEvent, DoneEvent, LookEvent, StepEvent } from '../../src/decode/events.ts';
import { traceVocabulary } from '../../src/decode/trace.ts';
import type { RunLine, RunReply, RunRequest } from './run.ts';

export type Vocabulary = ReturnType<typeof traceVocabulary>;

/** Enough to replay a run anywhere; plain JSON. */
export interface SavedRun {
  request: RunRequest;
  lines: RunLine[];
}

export interface Recording {
  readonly request: RunRequest;
  readonly lines: RunLine[];
  readonly vocabulary: Vocabulary;
  /** After every forward that changed something, and the last one; grows. */
  readonly frames: Frame[];
  /** By number of forwards so far. */
  readonly looks: Map<number, LookEvent>;
  /** The forwards, in order. */
  readonly steps: StepEvent[];
  readonly done: DoneEvent | null;
  readonly reply: RunReply | null;
  /** Of the answer, when it is finished. */
  readonly text: string | null;
  /** Takes one more line; returns the frame that it completes. */
  push(line: RunLine): Frame | null;
  /** What a frame shows, as whole characters. */
  pieces(frame: Frame): CanvasPiece[];
}

const NOT_EVENTS: readonly RunLine['type'][] = ['start', 'canvas', 'vocabulary', 'text', 'reply'];

export function createRecording(request: RunRequest): Recording {
  const lines: RunLine[] = [];
  const frames: Frame[] = [];
  const steps: StepEvent[] = [];
  const looks = new Map<number, LookEvent>();
  const vocabulary = traceVocabulary();
  let film: ((event: DecodeEvent) => Frame | null) | null = null;
  let [done, reply, text]: [DoneEvent | null, RunReply | null, string | null] = [null, null, null];
  return {
    request,
    lines,
    vocabulary,
    frames,
    looks,
    steps,
    get done() {
      return done;
    },
    get reply() {
      return reply;
    },
    get text() {
      return text;
    },
    push(line) {
      lines.push(line);
      if (line.type === 'canvas') {
        film = createFilm({ ids: Int32Array.from(line.ids), answerStart: line.answerStart });
      }
      if (line.type === 'vocabulary') vocabulary.read(line);
      if (line.type === 'text') text = line.text;
      if (line.type === 'reply') reply = line;
      if (line.type === 'look') looks.set(line.nfe, line);
      if (line.type === 'step') steps.push(line);
      if (line.type === 'done') done = line;
      if (film === null || NOT_EVENTS.includes(line.type)) return null;
      const frame = film(line as DecodeEvent);
      if (frame) frames.push(frame);
      return frame;
    },
    pieces: (frame) => piecesOf(frame.cells, vocabulary),
  };
}

/** A run that was saved. */
export function replay({ request, lines }: SavedRun): Recording {
  const recording = createRecording(request);
  for (const line of lines) recording.push(line);
  return recording;
}

export type { Cell, CanvasPiece, Frame };
