import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../rng.ts';
import type { Rng } from '../../rng.ts';
import { confidenceThreshold } from './confidence-threshold.ts';
import { credit } from './credit.ts';
import { edit } from './edit.ts';
import { entropyBound } from './entropy-bound.ts';
import { factor } from './factor.ts';
import { fixedSteps } from './fixed-steps.ts';
import { namedPolicy, POLICIES, POLICY_PARAMETERS } from './index.ts';
import type { PolicyName, PolicyValues } from './index.ts';
import { klass, lumpedDivergence } from './klass.ts';
import { evenShare } from './policy.ts';
import type { Candidate, Choice, Likely, StepView, UnmaskPolicy } from './policy.ts';
import { prophet } from './prophet.ts';
import { random } from './random.ts';
import { remdm } from './remdm.ts';

/** A candidate from the probabilities of tokens 0, 1, 2…; what is missing to 1 is spread over others. */
function candidate(
  position: number,
  probabilities: readonly number[],
  parts: Partial<Candidate> = {},
): Candidate {
  const top = probabilities
    .map((probability, id): Likely => ({ id, probability }))
    .sort((a, b) => b.probability - a.probability);
  const entropy = -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
  const runnerUp = top[1]?.probability ?? 0;
  return { position, ...top[0], runnerUp, entropy, top: top.slice(0, 16), current: null, ...parts };
}

/** Random distributions over 20 tokens, from nearly uniform to nearly certain. */
function drawn(rng: Rng, position: number, parts: Partial<Candidate> = {}): Candidate {
  const peak = rng.next() * 8;
  const weights = Array.from({ length: 20 }, () => Math.exp(peak * rng.normal()));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return candidate(
    position,
    weights.map((weight) => weight / total),
    parts,
  );
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const sizes = fc.integer({ min: 1, max: 12 });
const candidates = fc.tuple(seeds, sizes).map(([seed, size]) => {
  const rng = createRng(seed);
  return Array.from({ length: size }, (_, i) => drawn(rng, 10 + 2 * i));
});
const steps = fc.integer({ min: 1, max: 25 });
const threshold = fc.double({ min: 0, max: 1.5, noNaN: true });

const view = (list: Candidate[], parts: Partial<StepView> = {}): StepView => ({
  candidates: list,
  committed: [],
  step: 0,
  masksAtStart: list.length,
  mustCommit: true,
  rng: createRng(1),
  ...parts,
});

/** The first choice of a fresh run. */
const first = (
  policy: UnmaskPolicy,
  list: Candidate[],
  parts: Partial<StepView> = {},
): readonly Candidate[] => policy.choose(view(list, parts), policy.start?.()).commit;

const positions = (list: readonly { position: number }[]) =>
  list.map(({ position }) => position).sort((a, b) => a - b);

type Statistics = (step: number, position: number, current: number | null) => Candidate;

/** New random statistics at every step. */
const restless =
  (seed: number): Statistics =>
  (step, position, current) =>
    drawn(createRng(seed, step, position), position, { current });

/** Runs a policy on a block of `size` masks as the loop does, and checks what the loop relies on. */
function runBlock(policy: UnmaskPolicy, size: number, statistics: Statistics, seed = 7) {
  const rng = createRng(seed);
  const memory = policy.start?.();
  const ids = new Map<number, number | null>(Array.from({ length: size }, (_, i) => [10 + 2 * i, null]));
  const choices: Choice[] = [];
  const masks = () => [...ids.keys()].filter((position) => ids.get(position) === null);
  let polish = policy.polish ?? 0;
  for (let step = 0; ; step++) {
    expect(step).toBeLessThan(1000);
    const masked = masks();
    if (masked.length === 0 && polish-- <= 0) break;
    const all = [...ids].map(([position, current]) => statistics(step, position, current));
    const committed = policy.needs.committed ? all.filter(({ current }) => current !== null) : [];
    const choice = policy.choose(
      {
        candidates: all.filter(({ current }) => current === null),
        committed,
        step,
        masksAtStart: size,
        mustCommit: true,
        rng,
      },
      memory,
    );
    const commit = positions(choice.commit);
    const remask = choice.remask ?? [];
    expect(new Set([...commit, ...remask]).size).toBe(commit.length + remask.length);
    const known = new Set(positions(committed));
    expect([...commit].every((position) => masked.includes(position) || known.has(position))).toBe(true);
    expect(remask.every((position) => known.has(position))).toBe(true);
    if (masked.length > 0) expect(commit.some((position) => masked.includes(position))).toBe(true);
    const changes = commit.length + remask.length;
    if (masked.length === 0 && changes === 0) break;

    choices.push(choice);
    for (const { position, id } of choice.commit) ids.set(position, id);
    for (const position of remask) ids.set(position, null);
  }
  expect(masks()).toEqual([]);
  return { ids, choices };
}

const every: [string, (n: number, tau: number) => UnmaskPolicy][] = [
  ['fixedSteps', (n) => fixedSteps(n)],
  ['fixedSteps by margin', (n) => fixedSteps(n, 'margin')],
  ['fixedSteps by entropy', (n) => fixedSteps(n, 'entropy')],
  ['confidenceThreshold', (_, tau) => confidenceThreshold(tau)],
  ['random', (n) => random(n)],
  ['factor', (_, tau) => factor(4 * tau)],
  ['entropyBound', (_, tau) => entropyBound(tau)],
  ['klass', (n, tau) => klass(tau, 3, n % 3)],
  ['credit', (_, tau) => credit(tau)],
  ['edit', (n, tau) => edit(tau, tau / 2, n % 5)],
  ['remdm cap', (n, tau) => remdm(n, 'cap', tau / 1.5)],
  ['remdm rescale', (n, tau) => remdm(n, 'rescale', tau / 1.5)],
  ['remdm confidence', (n) => remdm(n, 'confidence')],
  ['prophet of fixedSteps', (n) => prophet(fixedSteps(n))],
  ['prophet of credit', (_, tau) => prophet(credit(tau))],
];

describe('every policy', () => {
  it.each(every)('fills a block whose statistics change at random (%s)', (_, make) => {
    fc.assert(
      fc.property(seeds, sizes, steps, threshold, (seed, size, n, tau) => {
        const policy = make(n, tau);
        const { choices } = runBlock(policy, size, restless(seed));
        if (!policy.needs.committed) {
          expect(choices.flatMap(({ commit }) => commit)).toHaveLength(size);
        }
      }),
      { numRuns: 50 },
    );
  });

  it.each(every)('does not depend on the order of the candidates (%s)', (name, make) => {
    fc.assert(
      fc.property(candidates, steps, threshold, seeds, (list, n, tau, seed) => {
        // `random` draws by place, and there is nothing but places to draw by.
        if (name === 'random') return;
        const policy = make(n, tau);
        const rng = createRng(seed);
        const shuffled = list.map((each) => ({ each, key: rng.next() })).sort((a, b) => a.key - b.key);
        const other = first(
          policy,
          shuffled.map(({ each }) => each),
        );
        expect(positions(other)).toEqual(positions(first(policy, list)));
      }),
    );
  });

  it.each(every)('keeps what it remembers of one run out of another (%s)', (_, make) => {
    fc.assert(
      fc.property(seeds, sizes, steps, threshold, (seed, size, n, tau) => {
        const policy = make(n, tau);
        const alone = runBlock(policy, size, restless(seed));
        const [memory, other] = [policy.start?.(), policy.start?.()];
        // Two runs in turns on one object; the second sees quite different statistics.
        const masked = new Set(alone.ids.keys());
        for (const [step, { commit, remask = [] }] of alone.choices.entries()) {
          const list = [...masked].map((position) => restless(seed)(step, position, null));
          const noise = [...alone.ids.keys()].map((position) => restless(seed + 1)(step, position, null));
          policy.choose(view(noise, { step, masksAtStart: size }), other);
          // Policies that look at committed tokens, or draw, are compared by `runBlock` below.
          if (policy.needs.committed || policy.name.startsWith('random')) continue;
          expect(policy.choose(view(list, { step, masksAtStart: size }), memory).commit).toEqual(commit);
          for (const { position } of commit) masked.delete(position);
          for (const position of remask) masked.add(position);
        }
        expect(runBlock(policy, size, restless(seed)).choices).toEqual(alone.choices);
      }),
      { numRuns: 20 },
    );
  });

  it('commits nothing that is unsure ahead of its turn', () => {
    const unsure = [candidate(0, [0.4, 0.3, 0.2]), candidate(1, [0.45, 0.3])];
    for (const policy of [
      confidenceThreshold(0.9),
      factor(1),
      entropyBound(0.1),
      klass(0.9),
      credit(0.99),
      edit(),
    ]) {
      expect(first(policy, unsure, { mustCommit: false })).toEqual([]);
      expect(first(policy, unsure)).toHaveLength(1);
    }
  });
});

describe('fixedSteps', () => {
  it('takes min(n, M) steps whose sizes differ by at most one, larger ones first', () => {
    fc.assert(
      fc.property(seeds, sizes, steps, (seed, size, n) => {
        const { choices } = runBlock(fixedSteps(n), size, restless(seed));
        const shares = choices.map(({ commit }) => commit.length);
        expect(shares).toHaveLength(Math.min(n, size));
        expect(shares).toEqual([...shares].sort((a, b) => b - a));
        expect(shares[0] - shares.at(-1)!).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('takes equals from left to right', () => {
    const equal = [1, 2, 3].map((position) => candidate(position, [0.5, 0.2]));
    expect(first(fixedSteps(3), equal)).toEqual([equal[0]]);
  });
});

describe('policies that commit the surest', () => {
  const confidence = ({ probability }: Candidate) => probability;
  it.each<[string, (n: number, tau: number) => UnmaskPolicy, (candidate: Candidate) => number]>([
    ['fixedSteps', (n) => fixedSteps(n), confidence],
    [
      'fixedSteps by margin',
      (n) => fixedSteps(n, 'margin'),
      ({ probability, runnerUp }) => probability - runnerUp,
    ],
    ['fixedSteps by entropy', (n) => fixedSteps(n, 'entropy'), ({ entropy }) => -entropy],
    ['confidenceThreshold', (_, tau) => confidenceThreshold(tau), confidence],
    ['factor', (_, tau) => factor(4 * tau), confidence],
    ['entropyBound', (_, tau) => entropyBound(tau), ({ entropy }) => -entropy],
    ['edit', (_, tau) => edit(tau), confidence],
    ['remdm', (n) => remdm(n), confidence],
  ])('leave nothing that is surer than what they commit (%s)', (_, make, sureness) => {
    fc.assert(
      fc.property(candidates, steps, threshold, (list, n, tau) => {
        const chosen = first(make(n, tau), list);
        const rest = list.filter((each) => !chosen.includes(each));
        expect(Math.min(...chosen.map(sureness))).toBeGreaterThanOrEqual(
          Math.max(-Infinity, ...rest.map(sureness)),
        );
      }),
    );
  });
});

describe('confidenceThreshold', () => {
  it('commits what reaches the threshold, or the one nearest to it', () => {
    fc.assert(
      fc.property(candidates, threshold, (list, tau) => {
        const chosen = first(confidenceThreshold(tau), list);
        const sure = list.filter(({ probability }) => probability >= tau);
        const best = Math.max(...list.map(({ probability }) => probability));
        expect(chosen.map(({ probability }) => probability)).toEqual(
          sure.length > 0 ? sure.map(({ probability }) => probability) : [best],
        );
      }),
    );
  });
});

describe('factor', () => {
  it('is the largest n whose n-th confidence reaches the bound, tried one by one', () => {
    fc.assert(
      fc.property(candidates, fc.double({ min: 0, max: 6, noNaN: true }), (list, f) => {
        const falling = list.map(({ probability }) => probability).sort((a, b) => b - a);
        const sizes = falling.map((_, i) => i + 1).filter((n) => falling[n - 1] >= 1 - f / (n + 1));
        expect(first(factor(f), list, { mustCommit: false })).toHaveLength(Math.max(0, ...sizes));
      }),
    );
  });

  it('with f = 1 commits only what theorem 1 proves: (n + 1)(1 - c) <= 1', () => {
    fc.assert(
      fc.property(candidates, (list) => {
        const chosen = first(factor(1), list, { mustCommit: false });
        for (const { probability } of chosen) {
          expect((chosen.length + 1) * (1 - probability)).toBeLessThanOrEqual(1 + 1e-12);
        }
      }),
    );
  });
});

describe('entropyBound', () => {
  it('is the largest prefix by ascending entropy within the bound, tried one by one', () => {
    fc.assert(
      fc.property(candidates, fc.double({ min: 0, max: 4, noNaN: true }), (list, gamma) => {
        const rising = list.map(({ entropy }) => entropy).sort((a, b) => a - b);
        const cost = (n: number) => rising.slice(0, n).reduce((sum, h) => sum + h, 0) - rising[n - 1];
        const sizes = rising.map((_, i) => i + 1).filter((n) => cost(n) <= gamma - 1e-12);
        const limits = rising.map((_, i) => i + 1).filter((n) => cost(n) <= gamma + 1e-12);
        const { length } = first(entropyBound(gamma), list);
        expect(length).toBeGreaterThanOrEqual(Math.max(1, ...sizes));
        expect(length).toBeLessThanOrEqual(Math.max(1, ...limits));
      }),
    );
  });

  it('counts every entropy in a block ahead of its turn', () => {
    fc.assert(
      fc.property(candidates, fc.double({ min: 0, max: 4, noNaN: true }), (list, gamma) => {
        const ahead = first(entropyBound(gamma), list, { mustCommit: false });
        expect(ahead.reduce((sum, { entropy }) => sum + entropy, 0)).toBeLessThanOrEqual(gamma);
      }),
    );
  });
});

describe('klass', () => {
  const divergence = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, mass, i) => sum + (mass > 0 ? mass * Math.log(mass / q[i]) : 0), 0);

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
        expect(lumpedDivergence(all(p), all(q))).toBeCloseTo(divergence(p, q), 4);
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

describe('random', () => {
  it('commits every position equally often, whatever its confidence', () => {
    const list = Array.from({ length: 6 }, (_, i) => candidate(i, [i / 6]));
    const rng = createRng(3);
    const counts = list.map(() => 0);
    for (let i = 0; i < 6000; i++) {
      for (const { position } of first(random(3), list, { rng })) counts[position]++;
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

describe('POLICIES', () => {
  const names = Object.keys(POLICIES) as PolicyName[];

  it.each(names)('makes %s from its defaults, and decodes with it', (name) => {
    const policy = namedPolicy(name, {}, 8);
    expect(policy.name).toMatch(new RegExp(`^${name}\\(`));
    expect(policy.name).not.toMatch(/undefined|null|NaN/);
    runBlock(policy, 8, restless(1));
  });

  it.each(names)('gives %s defaults that lie in the ranges of their parameters', (name) => {
    for (const [key, value] of Object.entries(POLICIES[name].defaults)) {
      const parameter = POLICY_PARAMETERS[key as keyof PolicyValues];
      if (parameter.type === 'choice') expect(parameter.values).toContain(value);
      else if (value === null) expect(key).toBe('steps');
      else {
        expect(value).toBeGreaterThanOrEqual(parameter.min);
        expect(value).toBeLessThanOrEqual(parameter.max);
      }
    }
  });

  it('takes what is given, and passes it on to the policy that prophet may end', () => {
    expect(namedPolicy('klass', { kl: 0.5, threshold: undefined }, 8).name).toBe('klass(0.9, 0.5, 2)');
    expect(namedPolicy('fixedSteps', {}, 8).name).toBe('fixedSteps(8, confidence)');
    expect(namedPolicy('prophet', {}, 8).name).toBe('prophet(fixedSteps(8, confidence))');
    expect(namedPolicy('prophet', { inner: 'credit', threshold: 0.5 }, 8).name).toBe(
      'prophet(credit(0.5, 0.8, 0.2, 0.7))',
    );
  });
});
