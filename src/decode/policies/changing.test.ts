import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../rng.ts';
import { credit } from './credit.ts';
import { edit } from './edit.ts';
import { fixedSteps } from './fixed-steps.ts';
import { klass, lumpedDivergence } from './klass.ts';
import type { Candidate } from './policy.ts';
import { prophet } from './prophet.ts';
import { random } from './random.ts';
import { remdm } from './remdm.ts';
import { candidate, seeds, sizes, steps, view, first, restless, runBlock } from '../../../tests/policies.ts';
import type { Statistics } from '../../../tests/policies.ts';

/** Policies with a memory of the run, and those that take tokens back. */
describe('klass', () => {
  /** @param least added to every probability, as the official code does */
  const divergence = (p: readonly number[], q: readonly number[], least = 0) =>
    p.reduce((sum, mass, i) => sum + (mass > 0 ? mass * Math.log((mass + least) / (q[i] + least)) : 0), 0);

  it('measures no more than the divergence over the whole vocabulary, and at least 0', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 20 }), (seed, k) => {
        const rng = createRng(seed);
        const draw = () => {
          const weights = Array.from({ length: 20 }, () => Math.exp(3 * rng.normal()));
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          return weights.map((weight) => weight / total);
        };
        const [p, q] = [draw(), draw()];
        const best = (list: number[]) => candidate(0, list).top.slice(0, k);
        const lumped = lumpedDivergence(best(p), best(q));
        expect(lumped).toBeGreaterThanOrEqual(0);
        expect(lumped).toBeLessThanOrEqual(divergence(p, q) + 1e-9);
        const all = (list: number[]) => list.map((probability, id) => ({ id, probability }));
        expect(lumpedDivergence(all(p), all(q))).toBeCloseTo(divergence(p, q, 1e-12), 4);
      }),
    );
  });

  it('commits what is sure only after `history` steps in which it hardly moved', () => {
    const policy = klass(0.6, 0.01, 2);
    const memory = policy.start!();
    const sure = (p: number) => candidate(0, [p, 1 - p]);
    const unsure = candidate(1, [0.5, 0.4]);
    const commits = (...list: Candidate[]) => policy.choose(view(list, { mustCommit: false }), memory).commit;
    expect(commits(sure(0.95), unsure)).toEqual([]);
    // Calm once, then a jump, which starts the count again.
    expect(commits(sure(0.951), unsure)).toEqual([]);
    expect(commits(sure(0.7), unsure)).toEqual([]);
    expect(commits(sure(0.701), unsure)).toEqual([]);
    expect(commits(sure(0.702), unsure)).toEqual([sure(0.702)]);
  });
});

describe('credit', () => {
  it('gives the probabilities of the raised logits', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 8 }), (seed, count) => {
        const [decay, exponent, weight] = [0.8, 0.2, 0.7];
        const policy = credit(2, decay, exponent, weight);
        const memory = policy.start!();
        const softmax = (list: number[]) => {
          const total = list.reduce((sum, logit) => sum + Math.exp(logit), 0);
          return list.map((logit) => Math.exp(logit) / total);
        };
        const balances = Array.from({ length: 12 }, () => 0);
        for (let step = 1; step <= count; step++) {
          const rng = createRng(seed, step);
          const logits = balances.map(() => 3 * rng.normal());
          const probabilities = softmax(logits);
          const leader = probabilities.indexOf(Math.max(...probabilities));
          for (const id of balances.keys()) balances[id] *= decay;
          balances[leader] += probabilities[leader] ** exponent;

          const mustCommit = step === count;
          const { commit } = policy.choose(view([candidate(0, probabilities)], { mustCommit }), memory);
          if (!mustCommit) continue;
          const raised = softmax(logits.map((logit, id) => logit + weight * Math.log(1 + balances[id])));
          expect(commit[0].probability).toBeCloseTo(Math.max(...raised), 9);
          expect(commit[0].id).toBe(raised.indexOf(Math.max(...raised)));
        }
        // What is committed closes its account.
        expect(memory.size).toBe(0);
      }),
    );
  });

  it('may commit a token that led before and not the one that leads now', () => {
    const policy = credit(0.99);
    const memory = policy.start!();
    const wait = { mustCommit: false };
    for (let i = 0; i < 6; i++) policy.choose(view([candidate(0, [0.6, 0.4])], wait), memory);
    expect(policy.choose(view([candidate(0, [0.49, 0.51])]), memory).commit[0].id).toBe(0);
  });

  it('leaves a drawn token as it was drawn', () => {
    const sampled = candidate(0, [0.6, 0.3, 0.1], { id: 2, probability: 0.1 });
    const [chosen] = first(credit(0), [sampled]);
    expect(chosen.id).toBe(2);
    expect(chosen.probability).toBeLessThan(0.1);
  });
});

describe('edit', () => {
  const fixed =
    (leader: number, probability: number): Statistics =>
    (_, position, current) =>
      candidate(position, [], { id: leader, probability, top: [{ id: leader, probability }], current });

  it('replaces committed tokens only by other, surer ones', () => {
    const same = candidate(0, [0.9], { current: 0 });
    const better = candidate(2, [0.1, 0.8], { current: 0 });
    const doubtful = candidate(4, [0.3, 0.4], { current: 0 });
    const committed = [same, better, doubtful];
    const { commit } = edit(0.7, 0.5).choose(view([], { committed }), undefined);
    expect(commit).toEqual([{ ...better, id: 1, probability: 0.8 }]);
  });

  it('edits by the leading token where another one was drawn', () => {
    const sampled = candidate(0, [0.9, 0.05], { id: 1, probability: 0.05, current: 0 });
    expect(edit(0.7, 0).choose(view([], { committed: [sampled] }), undefined).commit).toEqual([]);
  });

  it('stops when a round changes nothing, and after `rounds` at the latest', () => {
    expect(runBlock(edit(0.5, 0.5, 5), 4, fixed(3, 0.9)).choices).toHaveLength(1);
    const flicker: Statistics = (step, ...rest) => fixed(step, 0.9)(step, ...rest);
    expect(runBlock(edit(0.5, 0.5, 5), 4, flicker).choices).toHaveLength(6);
    expect(runBlock(edit(0.5, 0.5, 0), 4, flicker).choices).toHaveLength(1);
  });
});

describe('remdm', () => {
  const rules = ['cap', 'rescale', 'confidence'] as const;

  it.each(rules)('takes exactly n forwards for a block of two or more masks (%s)', (rule) => {
    fc.assert(
      fc.property(
        seeds,
        sizes,
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (seed, size, n, eta) => {
          const { choices } = runBlock(remdm(n, rule, eta), size, restless(seed), seed);
          const most = size === 1 ? 1 : n;
          expect(choices).toHaveLength(n <= size ? n : most);
        },
      ),
    );
  });

  it('follows the schedule: after step i of n the share (i + 1)/n is known', () => {
    fc.assert(
      fc.property(seeds, sizes, steps, (seed, size, n) => {
        let masks = size;
        const { choices } = runBlock(remdm(n, 'rescale', 0.5), size, restless(seed), seed);
        for (const [step, { commit, remask = [] }] of choices.entries()) {
          masks += remask.length - commit.length;
          // With more steps than masks the first step commits one although none is due.
          if (n <= size) expect(masks).toBe(Math.ceil((size * (n - 1 - step)) / n));
          else expect(masks).toBeLessThanOrEqual(Math.ceil((size * (n - 1 - step)) / n));
        }
      }),
    );
  });

  it('remasks as often as the schedule says', () => {
    // Step 8 of 16, 8 of 16 tokens committed: the most that may be remasked is (1 - 9/16) / (8/16) = 7/8 of them.
    const expected = { cap: 0.1, rescale: 0.1 * (7 / 8), confidence: 7 / 8 / 8 } as const;
    const committed = Array.from({ length: 8 }, (_, i) => candidate(i, [0.9], { current: 0 }));
    const masks = Array.from({ length: 8 }, (_, i) => candidate(8 + i, [0.5]));
    for (const rule of rules) {
      const policy = remdm(16, rule, 0.1);
      const rng = createRng(5);
      let remasks = 0;
      for (let i = 0; i < 4000; i++) {
        remasks += policy.choose(view(masks, { committed, step: 8, rng }), policy.start!()).remask!.length;
      }
      // A share of 8 · 4000 tokens; the standard deviation is below .002.
      expect(Math.abs(remasks / 32_000 - expected[rule])).toBeLessThan(0.01);
    }
  });

  it('by confidence, remasks e times as often what was committed at probability 0 as at 1', () => {
    const policy = remdm(4, 'confidence');
    const rng = createRng(9);
    const counts = [0, 0];
    const committed = [0, 1].map((position) => candidate(position, [0.5], { current: 0 }));
    const masks = [2, 3].map((position) => candidate(position, [0.5]));
    for (let i = 0; i < 4000; i++) {
      const memory = new Map([
        [0, 0],
        [1, 1],
      ]);
      const { remask } = policy.choose(view(masks, { committed, step: 1, rng }), memory);
      for (const position of remask!) counts[position]++;
    }
    expect(counts[0] + counts[1]).toBe(4000);
    expect(Math.abs(counts[0] / 4000 - Math.E / (1 + Math.E))).toBeLessThan(0.03);
  });
});

describe('prophet', () => {
  const inner = fixedSteps(30);
  const gapped = (gap: number, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const p = 1 / (1 + Math.exp(-gap));
      return candidate(i, [p, 1 - p]);
    });

  it.each([
    [30, 7.5],
    [20, 5],
    [10, 2.5],
  ])('with %i of 30 masks left finishes from a mean gap of %f on', (left, bound) => {
    const parts = { masksAtStart: 30, step: 5 };
    expect(first(prophet(inner), gapped(bound - 0.01, left), parts)).toHaveLength(1);
    expect(first(prophet(inner), gapped(bound + 0.01, left), parts)).toHaveLength(left);
  });

  it('looks at the mean, so that one doubtful mask among many decided ones is let through', () => {
    const list = [...gapped(12, 9), { ...gapped(0.1, 1)[0], position: 99 }];
    expect(first(prophet(inner), list, { masksAtStart: 10 })).toHaveLength(10);
  });

  it('keeps the needs, the memory and the polish of the policy inside', () => {
    const policy = prophet(credit(0.9));
    expect(policy.needs.topK).toBe(16);
    expect(policy.start!()).toBeInstanceOf(Map);
    expect(prophet(edit(0.7, 0.5, 3)).polish).toBe(3);
    expect(prophet(random(4)).needs).toEqual({ ...random(4).needs, topK: 2 });
  });
});
