/**
 * The canvas: the text as positions, some of them still masked. Decoding writes tokens onto it and never
 * moves anything. A masked position holds `MASKED`, not the model's mask token, so that a canvas means the
 * same for every model, also for an autoregressive one that has no such token.
 */
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';

/** Content of a position that is not decided yet. */
export const MASKED = -1;

export interface Canvas {
  /** Token ids; `MASKED` where undecided. [T] */
  readonly ids: Int32Array;
  /** First position of what the caller wants back. */
  readonly answerStart: number;
}

/** Positions [start, end). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A prompt, followed by up to `maxTokens` positions to write. */
export function appendCanvas(prompt: ArrayLike<number>, maxTokens: number): Canvas {
  const ids = new Int32Array(prompt.length + maxTokens).fill(MASKED);
  ids.set(prompt);
  return { ids, answerStart: prompt.length };
}

/** A text of fixed length with masks anywhere, such as a puzzle; all of it is the answer. `full` models only. */
export function fixedCanvas(ids: ArrayLike<number>): Canvas {
  return { ids: Int32Array.from(ids), answerStart: 0 };
}

/** Masked positions inside a span, ascending. */
export function maskedPositions(ids: Int32Array, { start, end }: Span): number[] {
  const positions: number[] = [];
  for (let p = start; p < end; p++) if (ids[p] === MASKED) positions.push(p);
  return positions;
}

/** Position after the last given token: from here on nothing is given, so an end of text may stand here. */
export function openStart({ ids }: Canvas): number {
  return ids.findLastIndex((id) => id !== MASKED) + 1;
}

/** Throws `prompt_too_long`, `bad_request` or `unsupported` when a model cannot work on this canvas. */
export function checkCanvas(canvas: Canvas, config: ModelConfig): void {
  const { ids, answerStart } = canvas;
  if (ids.length > config.contextLength) {
    throw new TintypeError('prompt_too_long', {
      what: 'the prompt and its answer do not fit into the context of the model',
      got: `${answerStart} prompt tokens and ${ids.length - answerStart} to write`,
      wanted: `at most ${config.contextLength} together`,
      next: 'shorten the prompt or ask for fewer tokens',
    });
  }
  const alien = ids.find((id) => id !== MASKED && (id < 0 || id >= config.vocabSize));
  if (alien !== undefined) {
    throw new TintypeError('bad_request', {
      what: 'the canvas holds a token that the model does not know',
      got: `id ${alien}`,
      wanted: `0 to ${config.vocabSize - 1}`,
    });
  }
  if (config.layout !== 'full' && openStart(canvas) > answerStart) {
    throw new TintypeError('unsupported', {
      what: 'only a model with full attention can fill masks that stand before given tokens',
      got: `layout ${config.layout}`,
      next: 'put the given text into the prompt (fill-in-the-middle) and let the answer follow it',
    });
  }
  if (config.layout === 'causal' && answerStart === 0) {
    throw new TintypeError('bad_request', {
      what: 'an autoregressive model needs at least one token to go on from',
      next: 'start the prompt with the end-of-text token',
    });
  }
}

/** The first masked position of [start, end), or end. */
export function firstMask(ids: Int32Array, start: number, end: number): number {
  while (start < end && ids[start] !== MASKED) start++;
  return start;
}
