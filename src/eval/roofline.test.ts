/** Transcripts priced where rows cost nothing. */
import { expect, it } from 'vitest';
import { rooflineOf, type Work } from './roofline.ts';

// Two prompts of 100 ms, 20 tokens each, the first of which comes with the prompt: 38 forwards of 5 ms.
const twin: Work = { name: 'twin', tokens: 40, nfe: 40, firstMs: 200, elapsedMs: 390 };

it('a run of half the forwards saves half of what is not the prompt', () => {
  const half = { name: 'half', tokens: 40, nfe: 2 + 19, firstMs: 210, elapsedMs: 500 };
  const { promptShare, most, over } = rooflineOf(2, twin, [twin, half]);
  expect(promptShare).toBeCloseTo(200 / 390);
  expect(most).toBeCloseTo(1.95);
  expect(over.twin).toEqual({ rowsFree: 1, forwardsEqual: 1 });
  expect(over.half.rowsFree).toBeCloseTo(390 / (200 + 19 * 5));
  expect(over.half.forwardsEqual).toBeCloseTo(40 / 21);
});

it('what writes fewer useful tokens is worth less', () => {
  const short = { ...twin, name: 'short', tokens: 20 };
  expect(rooflineOf(2, twin, [short]).over.short).toEqual({ rowsFree: 0.5, forwardsEqual: 0.5 });
});

it('nothing is faster than the limit', () => {
  const instant = { ...twin, name: 'instant', nfe: 2 };
  const { most, over } = rooflineOf(2, twin, [instant]);
  expect(over.instant.rowsFree).toBeCloseTo(most);
});
