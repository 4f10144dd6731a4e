/**
 * What differs between attention layouts, as data; `decode.ts` holds everything that does not.
 *
 * | layout        | settled text is cached | active positions                                    |
 * | ------------- | ---------------------- | --------------------------------------------------- |
 * | causal        | causally               | the next one, which the last causal row predicts    |
 * | causalContext | causally               | the next B − 1, seen with the last settled token    |
 * | blockCausal   | block by block         | blocks of B, counted from position 0                |
 * | full          | approximately, or not  | blocks of B from the answer's start, or the canvas  |
 *
 * Over a causal context blocks may start anywhere, so the window can slide: each forward commits at least the position
 * that its last causal row predicts, and the window then begins behind the text that is settled. With B = 1 nothing but
 * that row is left, which is autoregressive decoding. Elsewhere, and for policies that count the steps of a block,
 * blocks stand still until they are full.
 */
import type { ModelConfig } from '../model/config.ts';
import type { AttentionPattern } from '../model/denoiser.ts';
import type { Canvas, Span } from './canvas.ts';

export interface LayoutPlan {
  /** How settled text enters the cache; null: no exact cache, every forward computes the whole canvas. */
  context: AttentionPattern | null;
  /** Each row of the context predicts the position after it. */
  predictsNext: boolean;
  /** The window moves with the settled text instead of standing until it is full. */
  slides: boolean;
  /** The block that begins where the text is settled up to here. */
  block(settledEnd: number): Span;
  /** Positions that a step in this block may commit; by default the block. */
  reach?: (block: Span) => Span;
}

export function planLayout(
  { layout }: ModelConfig,
  canvas: Canvas,
  { blockLength, blocks }: { blockLength: number; blocks: boolean },
): LayoutPlan {
  const end = canvas.ids.length;
  switch (layout) {
    case 'causal':
    case 'causalContext': {
      const step = Math.max(1, blockLength - 1);
      const slides = blockLength === 1 || !blocks;
      return {
        context: { kind: 'causal' },
        predictsNext: true,
        slides,
        block: (start) => ({ start, end: Math.min(start + step, end) }),
      };
    }
    case 'blockCausal':
      return {
        context: { kind: 'blockCausal', blockLength, origin: 0 },
        predictsNext: false,
        slides: false,
        block: (at) => {
          const start = Math.floor(at / blockLength) * blockLength;
          return { start, end: Math.min(start + blockLength, end) };
        },
      };
    case 'full': {
      const origin = canvas.answerStart;
      return {
        context: null,
        predictsNext: false,
        slides: false,
        block: (at) => {
          const start = origin + Math.floor((at - origin) / blockLength) * blockLength;
          return { start, end: Math.min(start + blockLength, end) };
        },
      };
    }
  }
}
