/**
 * Which positions are active, and how long they have been. A block that slides is made anew for each forward; blocks
 * that stand keep count of their steps until they are full. Several may be active at once (D2F 2508.09192, MultiBD): a
 * later one starts when the one before it is committed far enough, and commits only what its policy is sure of.
 */
import { maskedPositions } from './canvas.ts';
import type { Canvas, Span } from './canvas.ts';
import type { LayoutPlan } from './layouts.ts';
import type { DecodeSettings } from './options.ts';

export interface ActiveBlock {
  span: Span;
  /** Forwards that it has had. */
  step: number;
  /** Masks before its first one. */
  masksAtStart: number;
  /** Whether its last step changed anything. */
  changed: boolean;
  /** Steps since it had no masks. */
  polished: number;
}

export interface Blocks {
  /** The window that begins at the first position which is not committed. */
  sliding(frontier: number, answerEnd: number): ActiveBlock;
  /** The first block that is not finished, and those that may run ahead. At least one. */
  active(ids: Int32Array, answerEnd: number): ActiveBlock[];
  /** The block has had a forward. */
  stepped(block: ActiveBlock, changed: boolean): void;
  /** How far the text is finished: before the first block that needs another forward. */
  finishedEnd(ids: Int32Array, answerEnd: number): number;
}

export function createBlocks(
  plan: LayoutPlan,
  canvas: Canvas,
  { policy, activeBlocks, activateAt }: Pick<DecodeSettings, 'policy' | 'activeBlocks' | 'activateAt'>,
): Blocks {
  const known = new Map<number, ActiveBlock>();
  let slides = 0;
  let finished = canvas.answerStart;

  const begin = (ids: Int32Array, span: Span, step: number): ActiveBlock => ({
    span,
    step,
    masksAtStart: maskedPositions(ids, span).length,
    changed: true,
    polished: 0,
  });
  const masksOf = (ids: Int32Array, { start, end }: Span, answerEnd: number): number =>
    maskedPositions(ids, { start, end: Math.min(end, answerEnd) }).length;

  function isFinished(ids: Int32Array, span: Span, answerEnd: number): boolean {
    const masksLeft = masksOf(ids, span, answerEnd);
    const block = known.get(span.start);
    if (block && block.step > 0 && policy.finished) {
      return policy.finished({ step: block.step, masksAtStart: block.masksAtStart, masksLeft });
    }
    if (masksLeft > 0) return false;
    if (block === undefined || policy.polish === undefined) return true;
    return !block.changed || block.polished >= policy.polish;
  }

  return {
    sliding(frontier, answerEnd) {
      const { start, end } = plan.block(frontier);
      const span = { start, end: Math.max(start + 1, Math.min(end, answerEnd)) };
      return begin(canvas.ids, span, slides++);
    },

    active(ids, answerEnd) {
      const blocks: ActiveBlock[] = [];
      for (let at = finished; at < answerEnd && blocks.length < activeBlocks;) {
        const span = plan.block(at);
        let block = known.get(span.start);
        if (block === undefined) known.set(span.start, (block = begin(ids, span, 0)));
        blocks.push(block);
        const left = masksOf(ids, span, answerEnd);
        if (left > (1 - activateAt) * block.masksAtStart) break;
        at = span.end;
      }
      return blocks;
    },

    stepped(block, changed) {
      block.step++;
      block.changed = changed;
    },

    finishedEnd(ids, answerEnd) {
      while (finished < answerEnd) {
        const span = plan.block(finished);
        const block = known.get(span.start);
        if (block && block.step > 0 && masksOf(ids, span, answerEnd) === 0) block.polished++;
        if (!isFinished(ids, span, answerEnd)) break;
        finished = span.end;
      }
      return Math.min(finished, answerEnd, ids.length);
    },
  };
}
