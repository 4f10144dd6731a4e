import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import { appendCanvas } from './canvas.ts';
import { decode } from './decode.ts';
import { collect } from './events.ts';
import type { DecodeEvent } from './events.ts';
import { POSSIBLE_MODES } from './modes.ts';
import { createOpinion } from './opinions.ts';
import type { Opinion } from './opinions.ts';
import type { DecodeOptions } from './options.ts';
import { namedPolicy, parametersOf, POLICIES } from './policies/index.ts';
import type { PolicyName, PolicyValues } from './policies/index.ts';

const POLICY_NAMES = Object.keys(POLICIES) as PolicyName[];

/** Low enough that a model of hashes is sometimes sure. */
const PARAMETERS: Partial<PolicyValues> = {
  threshold: 0.3,
  editThreshold: 0.3,
  kl: 0.5,
  eta: 0.3,
  rounds: 3,
};
const BLOCK = 5;

const modes = LAYOUTS.flatMap((layout) => POSSIBLE_MODES[layout].map((mode) => ({ layout, mode })));
const combinations = modes.flatMap(({ layout, mode }) =>
  POLICY_NAMES.filter((name) => {
    const { blocks, committed } = namedPolicy(name, PARAMETERS, BLOCK).needs;
    if (mode === 'ar') return name === 'confidenceThreshold';
    return mode !== 'verify' || !(blocks || committed);
  }).map((policy) => ({ layout, mode, policy })),
);

const samplings: DecodeOptions[] = [
  {},
  { temperature: 0.8 },
  { temperature: 1, topK: 4 },
  { temperature: 1, topP: 0.8 },
];

const settings = fc.record({
  seed: fc.nat(1000),
  sampling: fc.constantFrom(...samplings),
  inspect: fc.integer({ min: 1, max: 20 }),
  activeBlocks: fc.constantFrom(1, 2),
});

async function run(
  { layout, mode, policy }: (typeof combinations)[number],
  { seed, sampling, activeBlocks }: { seed: number; sampling: DecodeOptions; activeBlocks: number },
  inspect?: number,
): Promise<DecodeEvent[]> {
  const read = parametersOf(policy);
  const parallel: DecodeOptions = {
    policy,
    ...Object.fromEntries(
      Object.entries(PARAMETERS).filter(([name]) => read.includes(name as keyof PolicyValues)),
    ),
    blockLength: layout === 'causal' ? 1 : BLOCK,
    // What bigrams guess is no policy's choice.
    ...(mode === 'verify' ? { guesses: 0 } : {}),
    activeBlocks,
    ...(activeBlocks > 1 ? { activateAt: 0.3 } : {}),
  };
  const options: DecodeOptions = {
    mode,
    ...(mode === 'ar' ? {} : parallel),
    ...sampling,
    seed,
    inspect,
    now: () => 0,
  };
  const denoiser = createToyDenoiser({ layout, seed, vocabSize: 40 });
  return (await collect(decode(denoiser, appendCanvas([3, 4, 5], 14), options))).events;
}

const withoutLooks = (events: DecodeEvent[]): DecodeEvent[] => events.filter(({ type }) => type !== 'look');

describe.each(combinations)('$policy, $mode, $layout', (combination) => {
  it('is told about, and chooses the same', () =>
    fc.assert(
      fc.asyncProperty(settings, async ({ inspect, ...how }) => {
        const told = await run(combination, how, inspect);
        expect(told.filter(({ type }) => type === 'look').length).toBeGreaterThan(0);
        expect(withoutLooks(told)).toEqual(await run(combination, how));
      }),
      { numRuns: 4 },
    ));

  it('has the opinion that drove the run', () =>
    fc.assert(
      fc.asyncProperty(settings, async (how) => {
        const events = await run(combination, how, 20);
        const blockLength = combination.mode === 'ar' || combination.layout === 'causal' ? 1 : BLOCK;
        const policy = namedPolicy(combination.policy, PARAMETERS, blockLength);
        const reviewed = Boolean(policy.needs.committed);
        const ask = createOpinion(policy, { seed: how.seed, candidates: 20, reviewed });
        const opinions = opinionsOf(events, ask);
        expect(opinions.length).toBeGreaterThan(0);
        for (const { opinion, committed, masked } of opinions) {
          if (opinion.missing !== undefined) {
            expect(opinion.missing).toMatch(/^was not asked/);
            continue;
          }
          const { commit, remask } = opinion.choice;
          const chosen = commit.map(({ position, id }) => ({ position, id }));
          expect(chosen.sort((a, b) => a.position - b.position)).toEqual(committed);
          expect([...remask].sort((a, b) => a - b)).toEqual(masked);
        }
      }),
      { numRuns: 4 },
    ));
});

/** What somebody says of every look, beside what happened. */
function opinionsOf(events: DecodeEvent[], ask: ReturnType<typeof createOpinion>) {
  const committed = new Set<number>();
  const all: {
    opinion: Opinion;
    committed: { position: number; id: number }[];
    masked: number[];
  }[] = [];
  for (const event of events) {
    const last = all.at(-1);
    if (event.type === 'look') {
      all.push({ opinion: ask({ look: event, committed: [...committed] }), committed: [], masked: [] });
    }
    if (event.type === 'commit') {
      for (const { position, id } of event.tokens) {
        last!.committed.push({ position, id });
        committed.add(position);
      }
      last!.committed.sort((a, b) => a.position - b.position);
    }
    if (event.type === 'remask') {
      for (const position of event.positions) committed.delete(position);
      last!.masked.push(...event.positions);
      last!.masked.sort((a, b) => a - b);
    }
  }
  return all;
}

describe('a policy that did not drive the run', () => {
  const combination = { layout: 'full', mode: 'diffusion', policy: 'confidenceThreshold' } as const;
  const how = { seed: 3, sampling: {}, activeBlocks: 1 };

  it.each([
    ['klass', 4, /^reads the 16 most likely tokens of a position; this run tells 4$/],
    ['remdm', 20, /^reviews committed tokens; this run did not look at them \(\d+\)$/],
  ] as const)('says what it misses: %s', async (name, candidates, words) => {
    const events = await run(combination, how, candidates);
    const said = opinionsOf(
      events,
      createOpinion(namedPolicy(name, {}, BLOCK), { seed: 3, candidates, reviewed: false }),
    );
    expect(said.some(({ opinion }) => words.test(opinion.missing ?? ''))).toBe(true);
  });

  it('says that it counts steps where a window slides', async () => {
    const events = await run({ ...combination, layout: 'causalContext' }, how, 4);
    const [first] = opinionsOf(
      events,
      createOpinion(namedPolicy('fixedSteps', {}, BLOCK), { seed: 3, candidates: 4, reviewed: false }),
    );
    expect(first.opinion.missing).toMatch(/^counts the steps of a block/);
  });

  it('commits all masks that it is sure of, and only masks', async () => {
    const events = await run(combination, how, 4);
    const said = opinionsOf(
      events,
      createOpinion(namedPolicy('confidenceThreshold', { threshold: 0 }, BLOCK), {
        seed: 3,
        candidates: 4,
        reviewed: false,
      }),
    );
    const looks = events.filter((event) => event.type === 'look');
    for (const [i, { opinion }] of said.entries()) {
      const masks = looks[i].candidates.filter(({ current }) => current === null);
      expect(opinion.missing === undefined && opinion.choice.commit.length).toBe(masks.length);
    }
  });
});
