/**
 * What differs between attention layouts, as data; `decode.ts` holds everything that does not.
 *
 * | layout        | blocks                    | text before a block is cached | first token of a block        |
 * | ------------- | ------------------------- | ----------------------------- | ----------------------------- |
 * | causal        | 1 position                | causally                      | free from the last causal row |
 * | causalContext | B, from the prompt's end  | causally                      | free from the last causal row |
 * | blockCausal   | B, from position 0        | block by block                | denoised like the others      |
 * | full          | B, or the whole canvas    | not: everything sees it all   | denoised like the others      |
 *
 * So an autoregressive model is the case of blocks with one position, which is always free.
 */
import type { Layout } from '../model/config.ts';
import type { AttentionPattern } from '../model/denoiser.ts';
import type { Canvas, Span } from './canvas.ts';

export interface LayoutPlan {
  /** How settled text enters the cache; null: no cache, every forward computes the whole canvas. */
  context: AttentionPattern | null;
  /** The last cached row predicts the position after it, so the forward that caches also yields a token. */
  firstTokenFree: boolean;
  /** Blocks are cut every `blockLength` positions, counted from here. */
  origin: (canvas: Canvas) => number;
}

export function planLayout(layout: Layout, blockLength: number): LayoutPlan {
  switch (layout) {
    case 'causal':
    case 'causalContext':
      return { context: { kind: 'causal' }, firstTokenFree: true, origin: (canvas) => canvas.answerStart };
    case 'blockCausal':
      return {
        context: { kind: 'blockCausal', blockLength, origin: 0 },
        firstTokenFree: false,
        origin: () => 0,
      };
    case 'full':
      return { context: null, firstTokenFree: false, origin: (canvas) => canvas.answerStart };
  }
}

/**
 * The blocks that hold the answer, in the order in which they are decoded. The first may begin with the
 * prompt's tail (`blockCausal`), the last is cut where the canvas ends.
 */
export function* answerBlocks(canvas: Canvas, plan: LayoutPlan, blockLength: number): Generator<Span> {
  const origin = plan.origin(canvas);
  let start = canvas.answerStart - ((canvas.answerStart - origin) % blockLength);
  for (; start < canvas.ids.length; start += blockLength) {
    yield { start, end: Math.min(start + blockLength, canvas.ids.length) };
  }
}
