import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../rng.ts';
import { confidenceThreshold } from './confidence-threshold.ts';
import { credit } from './credit.ts';
import { edit } from './edit.ts';
import { entropyBound } from './entropy-bound.ts';
import { factor } from './factor.ts';
import { fixedSteps } from './fixed-steps.ts';
import { namedPolicy, POLICIES, POLICY_PARAMETERS } from './index.ts';
import type { PolicyName, PolicyValues } from './index.ts';
import { klass } from './klass.ts';
import { evenShare } from './policy.ts';
import type { Candidate, UnmaskPolicy } from './policy.ts';
import { prophet } from './prophet.ts';
import { random } from './random.ts';
import { remdm } from './remdm.ts';
import {
  candidate,
  seeds,
  sizes,
  candidates,
  steps,
  threshold,
  view,
  first,
  positions,
  restless,
  runBlock,
} from '../../../tests/policies.ts';

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

  it.each(names)('has %s in a file of its own, under 60 lines with its source, and measured', (name) => {
    const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
    const file = read(`./${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`);
    expect(file.trim().split('\n').length).toBeLessThan(60);
    // The paper, by its number at arXiv.
    expect(file).toMatch(/\b2\d{3}\.\d{5}\b/);
    expect(read('../../../docs/policies.md')).toContain(`| \`${name}(`);
  });

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
