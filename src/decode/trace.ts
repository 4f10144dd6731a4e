/**
 * A run as others can replay it: the canvas, the events, and how each token of them reads. Plain JSON in the order in
 * which it happens; the microscope, the race and links to a run are made of it. Probabilities and entropies have six
 * digits, which is what the float32 logits behind them carry; milliseconds have three decimals.
 */
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Canvas } from './canvas.ts';
import type { CommittedToken, DecodeEvent, DoneEvent } from './events.ts';
import type { Candidate } from './policies/policy.ts';

export type TraceLine =
  /** The first one. `MASKED` (-1) where undecided; what stands before `answerStart` is the prompt. */
  | { type: 'canvas'; ids: number[]; answerStart: number }
  /**
   * Tokens that are in no line before: their text, or their bytes where these are no whole characters. Special tokens
   * are in `special` with the name that people know.
   */
  | { type: 'vocabulary'; tokens: Record<string, string | number[]>; special: Record<string, string> }
  | DecodeEvent
  /** The last one: the text of the answer. */
  | { type: 'text'; text: string };

export interface Trace {
  start(): TraceLine[];
  push(event: DecodeEvent): TraceLine[];
}

export function createTrace(canvas: Canvas, tokenizer: Tokenizer, text: (done: DoneEvent) => string): Trace {
  const known = new Set<number>();

  /** The line that introduces those ids which are new. */
  function vocabulary(ids: Iterable<number>): TraceLine[] {
    const tokens: Record<string, string | number[]> = {};
    const special: Record<string, string> = {};
    for (const id of ids) {
      if (id < 0 || known.has(id)) continue;
      known.add(id);
      const bytes = tokenizer.bytes(id);
      if (bytes.length === 0) special[id] = tokenizer.show(id);
      else tokens[id] = wholeText(bytes) ?? Array.from(bytes);
    }
    const isEmpty = Object.keys(tokens).length + Object.keys(special).length === 0;
    return isEmpty ? [] : [{ type: 'vocabulary', tokens, special }];
  }

  return {
    start: () => [
      { type: 'canvas', ids: Array.from(canvas.ids), answerStart: canvas.answerStart },
      ...vocabulary(canvas.ids),
    ],
    push(event) {
      const last: TraceLine[] = event.type === 'done' ? [{ type: 'text', text: text(event) }] : [];
      return [...vocabulary(idsOf(event)), rounded(event), ...last];
    },
  };
}

function idsOf(event: DecodeEvent): number[] {
  switch (event.type) {
    case 'commit':
      return event.tokens.map(({ id }) => id);
    case 'look':
      return event.candidates.flatMap(({ id, top }) => [id, ...top.map((likely) => likely.id)]);
    case 'block':
    case 'done':
      return event.ids;
    case 'step':
    case 'remask':
      return [];
  }
}

const digits = (value: number): number => Number(value.toPrecision(6));
const thousandths = (ms: number): number => Math.round(ms * 1000) / 1000;

function rounded(event: DecodeEvent): DecodeEvent {
  switch (event.type) {
    case 'step':
      return { ...event, elapsedMs: thousandths(event.elapsedMs) };
    case 'look':
      return { ...event, candidates: event.candidates.map(roundedCandidate) };
    case 'commit': {
      const round = (token: CommittedToken) => ({ ...token, probability: digits(token.probability) });
      return { ...event, tokens: event.tokens.map(round) };
    }
    case 'done':
      return { ...event, elapsedMs: thousandths(event.elapsedMs), prefillMs: thousandths(event.prefillMs) };
    case 'block':
    case 'remask':
      return event;
  }
}

const roundedCandidate = (candidate: Candidate): Candidate => ({
  ...candidate,
  probability: digits(candidate.probability),
  runnerUp: digits(candidate.runnerUp),
  entropy: digits(candidate.entropy),
  top: candidate.top.map(({ id, probability }) => ({ id, probability: digits(probability) })),
});

function wholeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The part of a tokenizer that shows runs, from the lines of a trace. */
export function traceVocabulary(): {
  read(line: TraceLine): void;
  bytes(id: number): Uint8Array;
  show(id: number): string;
} {
  const bytes = new Map<number, Uint8Array>();
  const names = new Map<number, string>();
  const encoder = new TextEncoder();
  return {
    read(line) {
      if (line.type !== 'vocabulary') return;
      for (const [id, token] of Object.entries(line.tokens)) {
        bytes.set(Number(id), typeof token === 'string' ? encoder.encode(token) : Uint8Array.from(token));
      }
      for (const [id, name] of Object.entries(line.special)) names.set(Number(id), name);
    },
    bytes: (id) => bytes.get(id) ?? new Uint8Array(0),
    show: (id) => names.get(id) ?? new TextDecoder().decode(bytes.get(id)),
  };
}
