import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidate, drawn, seeds, sizes } from '../../tests/policies.ts';
import { bigramTable } from '../model/bigrams.ts';
import { createRng } from '../rng.ts';
import { createBigrams, type Bigrams } from './bigrams.ts';
import { MASKED } from './canvas.ts';
import type { Candidate } from './policies/policy.ts';

const V = 20;
const mass = ({ top }: Candidate): number => top.reduce((sum, { probability }) => sum + probability, 0);
const lists = fc.tuple(seeds, sizes).map(([seed, size]) => {
  const rng = createRng(seed);
  // Neighbours, with a gap and a known token here and there.
  return Array.from({ length: size }, (_, i) =>
    drawn(rng, 10 + i + Math.floor(i / 3), { current: i % 5 === 4 ? 7 : null }),
  );
});
/** What they guess behind some tokens, up to five. */
const guessed = (bigrams: Bigrams, text: readonly number[], ends: readonly number[] = []): number[] => {
  const ids = Int32Array.of(...text, ...Array.from({ length: 5 }, () => MASKED));
  return bigrams.guess(ids, { start: text.length, end: ids.length }, ends).map(({ id }) => id);
};
const follower = (bigrams: Bigrams, id: number): number | undefined => guessed(bigrams, [id])[0];
const texts = fc.array(fc.nat(V - 1), { maxLength: 60 });

describe('bigrams', () => {
  it('of weight 0 leave everything as it is', () => {
    fc.assert(
      fc.property(lists, texts, (list, text) => {
        const bigrams = createBigrams(0, V, undefined);
        bigrams.learn(text);
        expect(bigrams.link(list)).toEqual(list);
      }),
    );
  });

  it('touch a mask only behind a mask, share out what its best tokens had, and multiply along the chain', () => {
    fc.assert(
      fc.property(lists, texts, fc.double({ min: 0.1, max: 1, noNaN: true }), (list, text, weight) => {
        const bigrams = createBigrams(weight, V, undefined);
        bigrams.learn(text);
        const linked = bigrams.link(list);
        expect(linked.map(({ position }) => position)).toEqual(list.map(({ position }) => position));
        for (const [i, each] of linked.entries()) {
          const before = linked[i - 1];
          const isBehindMask =
            before?.position === each.position - 1 && before.current === null && each.current === null;
          if (!isBehindMask) {
            expect(each).toEqual(list[i]);
            continue;
          }
          expect(mass(each)).toBeCloseTo(mass(list[i]) * before.probability, 9);
          expect(each.probability).toBeLessThanOrEqual(before.probability);
          expect(new Set(each.top.map(({ id }) => id))).toEqual(new Set(list[i].top.map(({ id }) => id)));
          expect([each.id, each.probability]).toEqual([each.top[0].id, each.top[0].probability]);
          expect(each.runnerUp).toBe(each.top[1].probability);
        }
      }),
    );
  });

  it('follow the text: what stood behind a token stands there again', () => {
    const [first, second] = [candidate(5, [0.1, 0.9]), candidate(6, [0, 0, 0.5, 0.4])];
    const bigrams = createBigrams(0.6, V, undefined);
    expect(bigrams.link([first, second]).map(({ id }) => id)).toEqual([1, 2]);
    // 1 is followed by 3; also where the two were learned apart.
    bigrams.learn([1]);
    bigrams.learn([3, 9, 1, 3]);
    expect(bigrams.link([first, second]).map(({ id }) => id)).toEqual([1, 3]);
    // Behind a known 1 the model has seen it already.
    expect(bigrams.link([{ ...first, current: 1 }, second]).map(({ id }) => id)).toEqual([1, 2]);
  });

  it('guess what stood behind a token most often, in the text or else in the corpus', () => {
    const bigrams = createBigrams(0, V, undefined);
    expect(follower(bigrams, 1)).toBeUndefined();
    bigrams.learn([1, 2, 1, 3, 1, 3]);
    expect([1, 2, 3, 4].map((id) => follower(bigrams, id))).toEqual([3, 1, 1, undefined]);
  });

  it('guess on as the text went on behind the longest that it has in common with this one', () => {
    const bigrams = createBigrams(0, V, undefined);
    bigrams.learn([1, 2, 3, 4, 5, 9, 2, 6, 7, 9, 2, 6, 7]);
    // Behind 2 alone most often 6; behind 1 and 2 it was 3.
    expect(guessed(bigrams, [2]).slice(0, 2)).toEqual([6, 7]);
    expect(guessed(bigrams, [1, 2]).slice(0, 2)).toEqual([3, 4]);
    expect(guessed(bigrams, [1, 2], [4])).toEqual([3]);
  });

  it('guess no further than is likely, and around what is known', () => {
    const bigrams = createBigrams(0, V, undefined);
    bigrams.learn([1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7]);
    // Each of six followers has a sixth.
    expect(guessed(bigrams, [1])).toEqual([]);
    bigrams.learn([8, 9, 10, 11]);
    const given = bigrams.guess(Int32Array.of(8, MASKED, 10, MASKED), { start: 1, end: 4 }, []);
    expect(given.map(({ position, id }) => [position, id])).toEqual([
      [1, 9],
      [3, 11],
    ]);
  });

  it('follow the corpus, and the text before it', () => {
    // 1 is followed by 3 in the corpus; by 2 in the text.
    const tokens = new Uint32Array(V).fill(100);
    const offsets = Uint32Array.from({ length: V + 1 }, (_, id) => Number(id > 1));
    const table = bigramTable({ tokens, offsets, next: Uint32Array.of(3), counts: Uint32Array.of(90) });
    const masks = [candidate(5, [0.1, 0.9]), candidate(6, [0, 0, 0.45, 0.45])];
    const bigrams = createBigrams(0.6, V, table);
    expect(bigrams.link(masks).map(({ id }) => id)).toEqual([1, 3]);
    expect([follower(bigrams, 1), follower(bigrams, 2)]).toEqual([3, undefined]);
    bigrams.learn([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(bigrams.link(masks).map(({ id }) => id)).toEqual([1, 2]);
    expect([follower(bigrams, 1), follower(bigrams, 2)]).toEqual([2, 1]);
  });
});
