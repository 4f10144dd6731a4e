/** Statistics, made up, and a block that a policy runs on as the loop would have it. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Candidate, Choice, Likely, StepView, UnmaskPolicy } from '../src/decode/policies/policy.ts';
import { createRng } from '../src/rng.ts';
import type { Rng } from '../src/rng.ts';

/** A candidate from the probabilities of tokens 0, 1, 2…; what is missing to 1 is spread over others. */
export function candidate(
  position: number,
  probabilities: readonly number[],
  parts: Partial<Candidate> = {},
): Candidate {
  const top = probabilities
    .map((probability, id): Likely => ({ id, probability }))
    .sort((a, b) => b.probability - a.probability);
  const entropy = -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
  const runnerUp = top[1]?.probability ?? 0;
  return {
    position,
    ...top[0],
    runnerUp,
    entropy,
    logSumExp: 0,
    top: top.slice(0, 16),
    current: null,
    ...parts,
  };
}

/** Random distributions over 20 tokens, from nearly uniform to nearly certain. */
export function drawn(rng: Rng, position: number, parts: Partial<Candidate> = {}): Candidate {
  const peak = rng.next() * 8;
  const weights = Array.from({ length: 20 }, () => Math.exp(peak * rng.normal()));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return candidate(
    position,
    weights.map((weight) => weight / total),
    parts,
  );
}

export const seeds = fc.integer({ min: 0, max: 2 ** 31 });
export const sizes = fc.integer({ min: 1, max: 12 });
export const candidates = fc.tuple(seeds, sizes).map(([seed, size]) => {
  const rng = createRng(seed);
  return Array.from({ length: size }, (_, i) => drawn(rng, 10 + 2 * i));
});
export const steps = fc.integer({ min: 1, max: 25 });
export const threshold = fc.double({ min: 0, max: 1.5, noNaN: true });

export const view = (list: Candidate[], parts: Partial<StepView> = {}): StepView => ({
  candidates: list,
  committed: [],
  step: 0,
  masksAtStart: list.length,
  mustCommit: true,
  rng: createRng(1),
  ...parts,
});

/** The first choice of a fresh run. */
export const first = (
  policy: UnmaskPolicy,
  list: Candidate[],
  parts: Partial<StepView> = {},
): readonly Candidate[] => policy.choose(view(list, parts), policy.start?.()).commit;

export const positions = (list: readonly { position: number }[]) =>
  list.map(({ position }) => position).sort((a, b) => a - b);

export type Statistics = (step: number, position: number, current: number | null) => Candidate;

/** New random statistics at every step. */
export const restless =
  (seed: number): Statistics =>
  (step, position, current) =>
    drawn(createRng(seed, step, position), position, { current });

/** Runs a policy on a block of `size` masks as the loop does, and checks what the loop relies on. */
export function runBlock(policy: UnmaskPolicy, size: number, statistics: Statistics, seed = 7) {
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
