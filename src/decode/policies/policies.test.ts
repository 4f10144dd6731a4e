import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../rng.ts';
import { confidenceThreshold } from './confidence-threshold.ts';
import { fixedSteps } from './fixed-steps.ts';
import { evenShare } from './policy.ts';
import type { Candidate, StepView, UnmaskPolicy } from './policy.ts';
import { random } from './random.ts';

const candidates = fc
  .array(
    fc.record({
      probability: fc.double({ min: 0.01, max: 1, noNaN: true }),
      runnerUp: fc.double({ min: 0, max: 0.5, noNaN: true }),
      entropy: fc.double({ min: 0, max: 5, noNaN: true }),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map((list) => list.map((statistics, i): Candidate => ({ position: 10 + 2 * i, id: i, ...statistics })));

const view = (list: Candidate[], parts: Partial<StepView> = {}): StepView => ({
  candidates: list,
  step: 0,
  masksAtStart: list.length,
  rng: createRng(1),
  ...parts,
});

/** Runs a policy on statistics that never change. */
function roundsOf(policy: UnmaskPolicy, list: Candidate[]): (readonly Candidate[])[] {
  const rng = createRng(7);
  const rounds: (readonly Candidate[])[] = [];
  for (let left = list; left.length > 0;) {
    const chosen = policy.choose({ candidates: left, step: rounds.length, masksAtStart: list.length, rng });
    rounds.push(chosen);
    left = left.filter((candidate) => !chosen.includes(candidate));
  }
  return rounds;
}

const steps = fc.integer({ min: 1, max: 25 });
const threshold = fc.double({ min: 0, max: 1.5, noNaN: true });

describe('every policy', () => {
  it.each<[string, (n: number, tau: number) => UnmaskPolicy]>([
    ['fixedSteps', (n) => fixedSteps(n)],
    ['fixedSteps by margin', (n) => fixedSteps(n, 'margin')],
    ['fixedSteps by entropy', (n) => fixedSteps(n, 'entropy')],
    ['confidenceThreshold', (_, tau) => confidenceThreshold(tau)],
    ['random', (n) => random(n)],
  ])('commits each mask once and at least one a step (%s)', (_, make) => {
    fc.assert(
      fc.property(candidates, steps, threshold, (list, n, tau) => {
        const rounds = roundsOf(make(n, tau), list);
        expect(rounds.every((round) => round.length > 0)).toBe(true);
        expect(rounds.flat()).toHaveLength(list.length);
        expect(new Set(rounds.flat())).toEqual(new Set(list));
      }),
    );
  });
});

describe('fixedSteps', () => {
  it('takes min(n, M) steps whose sizes differ by at most one, larger ones first', () => {
    fc.assert(
      fc.property(candidates, steps, (list, n) => {
        const sizes = roundsOf(fixedSteps(n), list).map((round) => round.length);
        expect(sizes).toHaveLength(Math.min(n, list.length));
        expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
        expect(sizes[0] - sizes.at(-1)!).toBeLessThanOrEqual(1);
      }),
    );
  });

  it.each([
    ['confidence', ({ probability }: Candidate) => probability],
    ['margin', ({ probability, runnerUp }: Candidate) => probability - runnerUp],
    ['entropy', ({ entropy }: Candidate) => -entropy],
  ] as const)('leaves nothing that is surer than what it commits (%s)', (order, sureness) => {
    fc.assert(
      fc.property(candidates, steps, (list, n) => {
        const chosen = fixedSteps(n, order).choose(view(list));
        const rest = list.filter((candidate) => !chosen.includes(candidate));
        expect(Math.min(...chosen.map(sureness))).toBeGreaterThanOrEqual(
          Math.max(-Infinity, ...rest.map(sureness)),
        );
      }),
    );
  });

  it('takes equals from left to right', () => {
    const equal = [1, 2, 3].map((position) => ({
      position,
      id: 0,
      probability: 0.5,
      runnerUp: 0,
      entropy: 1,
    }));
    expect(fixedSteps(3).choose(view(equal))).toEqual([equal[0]]);
  });
});

describe('confidenceThreshold', () => {
  it('commits what reaches the threshold, or the one nearest to it', () => {
    fc.assert(
      fc.property(candidates, threshold, (list, tau) => {
        const chosen = confidenceThreshold(tau).choose(view(list));
        const sure = list.filter(({ probability }) => probability >= tau);
        const best = Math.max(...list.map(({ probability }) => probability));
        expect(chosen.map(({ probability }) => probability)).toEqual(
          sure.length > 0 ? sure.map(({ probability }) => probability) : [best],
        );
      }),
    );
  });
});

describe('random', () => {
  it('commits every position equally often, whatever its confidence', () => {
    const list = Array.from({ length: 6 }, (_, i) => ({
      position: i,
      id: i,
      probability: i / 6,
      runnerUp: 0,
      entropy: 0,
    }));
    const rng = createRng(3);
    const counts = list.map(() => 0);
    for (let i = 0; i < 6000; i++) {
      for (const { position } of random(3).choose(view(list, { rng }))) counts[position]++;
    }
    // Two of six, 6000 times: 2000 each, standard deviation 37.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });
});

describe('evenShare', () => {
  it('adds up to all masks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), (masks, n) => {
        const shares = Array.from({ length: Math.min(n, masks) }, (_, step) => evenShare(masks, n, step));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(masks);
      }),
    );
  });
});
