/**
 * How a published sampler decodes, as the pieces that the one loop (`decode.ts`) takes in. A recipe replaces what this
 * house would choose by itself: which blocks there are, what is seen and stored in which forward, what is committed,
 * and when the work ends. It is made for one canvas.
 */
import type { Denoiser } from '../../model/denoiser.ts';
import type { Canvas, Span } from '../canvas.ts';
import type { Context } from '../context.ts';
import type { LayoutPlan } from '../layouts.ts';
import type { UnmaskPolicy } from '../policies/policy.ts';

export interface Recipe {
  /** The sampler. */
  name: string;
  plan: LayoutPlan;
  policy: UnmaskPolicy;
  /** `seed`: of what it draws, where it draws. */
  context: (denoiser: Denoiser, seed: number) => Context;
  /** Text from here on is computed but not part of the answer. Default: the end of the canvas. */
  textEnd?: number;
  /** Asked after each forward: whether nothing more is computed. */
  stop: (view: StopView) => boolean;
}

export interface StopView {
  ids: Int32Array;
  /** The block that had the last forward, or begins. */
  block: Span;
  /** Whether it is finished. */
  finished: boolean;
  /** Tokens that the last forward wrote. */
  written: readonly number[];
}

/** A canvas and how to fill it. */
export interface OfficialRun {
  canvas: Canvas;
  recipe: Recipe;
  /**
   * What the official function returns, made from the canvas as it is at the end, with mask tokens where it is masked.
   * `end`: of the last block that had a forward.
   */
  result: (ids: readonly number[], end: number) => number[];
}

/** A plan over given blocks, ascending and without gaps. A position behind them is a block of its own. */
export function planOfSpans(spans: readonly Span[], reach?: (block: Span) => Span): LayoutPlan {
  const byPosition = new Map(spans.flatMap((span) => places(span).map((position) => [position, span])));
  return {
    context: null,
    predictsNext: false,
    slides: false,
    block: (at) => byPosition.get(at) ?? { start: at, end: at + 1 },
    ...(reach ? { reach } : {}),
  };
}

const places = ({ start, end }: Span): number[] => Array.from({ length: end - start }, (_, i) => start + i);

/** Blocks of `length` from `start`, the last one cut at `end`. */
export function spansFrom(start: number, end: number, length: number): Span[] {
  const spans: Span[] = [];
  for (let at = start; at < end; at += length) spans.push({ start: at, end: Math.min(at + length, end) });
  return spans;
}

/** Blocks of a grid that begins at position 0, from `start` on: the first may be the rest of one. */
export function gridSpans(start: number, end: number, length: number): Span[] {
  const first = Math.min(end, Math.ceil(start / length) * length);
  return [...(first > start ? [{ start, end: first }] : []), ...spansFrom(first, end, length)];
}
