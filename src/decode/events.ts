/**
 * What decoding tells, as it happens. Streaming text, the terminal view, the page, the bench and a plain reply are
 * folds over these events. They are plain JSON.
 */
import { TintypeError } from '../errors.ts';
import { createStreamDecoder } from '../text/stream.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Span } from './canvas.ts';
import type { Candidate } from './policies/policy.ts';

/**
 * The first forward, which takes the prompt in as well, and the others. Every forward looks at masked positions, but for
 * those of published samplers that only take in the prompt (`prefill`) or finished text (`store`).
 */
export type ForwardKind = 'prefill' | 'denoise' | 'store';

/** A forward of the denoiser is done. */
export interface StepEvent {
  type: 'step';
  /** Forwards so far, this one included. */
  nfe: number;
  kind: ForwardKind;
  /** Rows that it ran; context that `cache: 'none'` computes again is not counted. */
  positions: number;
  /** The active positions. */
  block: Span;
  /** Masks among them after the commits of this step. */
  masksLeft: number;
  /** Since decoding began. */
  elapsedMs: number;
}

/** A stretch of the canvas that a policy chose from. */
export interface LookedBlock {
  span: Span;
  /** `StepView`'s of the same name. */
  step: number;
  masksAtStart: number;
  mustCommit: boolean;
  /** A window that moves with the settled text: its first position is committed whatever the policy says. */
  slides: boolean;
}

/** What the model said in the forward of the `step` before it, only when asked for (`DecodeOptions.inspect`). */
export interface LookEvent {
  type: 'look';
  nfe: number;
  /** As it was set, or the model's own; `steps` of a policy are so many by default. */
  blockLength: number;
  blocks: LookedBlock[];
  /** Of every position that was looked at: masks, drafts that are checked, committed tokens under review. */
  candidates: Candidate[];
}

export interface CommittedToken {
  position: number;
  id: number;
  /** The model's own, at temperature 1; 1 for a token that a constraint forces, that of `bigrams` for a guess. */
  probability: number;
}

/**
 * Masked positions became tokens, or committed ones other tokens. Follows the `step` that found them; tokens that a
 * constraint forces, and guesses, come before the first step too.
 */
export interface CommitEvent {
  type: 'commit';
  nfe: number;
  /** By position. */
  tokens: CommittedToken[];
}

/** Committed tokens that were not settled are masked again: the policy thinks better, or a draft was refused. */
export interface RemaskEvent {
  type: 'remask';
  nfe: number;
  positions: number[];
}

/** A stretch of text is settled: no later event takes it back. */
export interface BlockEvent {
  type: 'block';
  /** From 0. */
  index: number;
  /** Position of ids[0]. */
  start: number;
  /** Without the end of text and what follows it. */
  ids: number[];
  /** Everything before this position is settled. */
  settledEnd: number;
}

/** The last event. */
export interface DoneEvent {
  type: 'done';
  /** The model ended the text; the canvas is full; the caller's `stop`, or the caller's signal, said so. */
  reason: 'eos' | 'length' | 'stop' | 'aborted';
  /** The settled answer, without the end of text. Equals the ids of all `block` events joined. */
  ids: number[];
  /** Those of `ids` that were decoded and not given. */
  usefulTokens: number;
  /** All forwards. */
  nfe: number;
  forwards: { prefill: number; denoise: number; store?: number };
  /** Useful tokens a forward; 0 without forwards. */
  tpf: number;
  /** Prompt tokens whose keys and values were there already. */
  cachedTokens: number;
  /** `verify`: tokens that were drafted and checked, and how many of them stood. */
  drafted: number;
  accepted: number;
  elapsedMs: number;
  /** Part of `elapsedMs` until the first forward was done. */
  prefillMs: number;
}

export type DecodeEvent = StepEvent | LookEvent | CommitEvent | RemaskEvent | BlockEvent | DoneEvent;

export interface Transcript {
  events: DecodeEvent[];
  done: DoneEvent;
}

/** Reads a run to its end. An aborted run is read like any other: see `done.reason`. */
export async function collect(stream: AsyncIterable<DecodeEvent>): Promise<Transcript> {
  const events: DecodeEvent[] = [];
  for await (const event of stream) {
    events.push(event);
    if (event.type === 'done') return { events, done: event };
  }
  throw new TintypeError('aborted', { what: 'decoding ended without a result' });
}

/** The text as it settles, block by block; the pieces joined are the text of the whole answer. */
export async function* settledText(
  stream: AsyncIterable<DecodeEvent>,
  tokenizer: Tokenizer,
): AsyncGenerator<string> {
  const decoder = createStreamDecoder(tokenizer);
  for await (const event of stream) {
    const text =
      event.type === 'block' ? decoder.push(event.ids) : event.type === 'done' ? decoder.end() : '';
    if (text !== '') yield text;
  }
}
