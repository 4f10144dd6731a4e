/** Two contestants on one gap, one after the other, in an order that nobody chose. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { choose, createRng } from '../../../src/rng.ts';
import { randomSeed } from '../../random.ts';
import type { RunReply } from '../../runs/run.ts';
import { RunError } from '../../runs/run.ts';
import { source } from '../../state.ts';
import type { Contestant } from './contestants.ts';
import type { Gap } from './gaps.ts';
import type { NewVote, Outcome } from './votes.ts';

const MOST_TOKENS = 48;

export interface Completion {
  contestant: Contestant;
  text: string;
  reply: RunReply;
}

export type Duel =
  | { state: 'idle' }
  | { state: 'writing'; gap: Gap; done: number }
  /** `same`: both wrote the same, so there is nothing to choose. */
  | { state: 'open' | 'same'; gap: Gap; top: Completion; bottom: Completion }
  | { state: 'voted'; gap: Gap; top: Completion; bottom: Completion; outcome: Outcome }
  | { state: 'failed'; gap: Gap; message: string };

export function useDuel() {
  const [duel, setDuel] = useState<Duel>({ state: 'idle' });
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);

  const begin = useCallback(async (pool: readonly Contestant[], gap: Gap): Promise<void> => {
    controller.current?.abort();
    const own = new AbortController();
    controller.current = own;
    const show = (next: Duel): void => {
      if (controller.current === own) setDuel(next);
    };
    const rng = createRng(randomSeed());
    // Whoever comes first is drawn too, so neither place nor warm caches favour anybody.
    const [top, bottom] = choose(pool, 2, rng);
    const seed = rng.int(2 ** 31);
    const order = rng.next() < 0.5 ? [top, bottom] : [bottom, top];
    show({ state: 'writing', gap, done: 0 });
    try {
      const written = new Map<Contestant, Completion>();
      for (const contestant of order) {
        written.set(contestant, await complete(contestant, gap, seed, own.signal));
        show({ state: 'writing', gap, done: written.size });
      }
      const pair = { gap, top: written.get(top)!, bottom: written.get(bottom)! };
      show({ state: pair.top.text === pair.bottom.text ? 'same' : 'open', ...pair });
    } catch (error) {
      if (error instanceof RunError && error.code === 'aborted') return show({ state: 'idle' });
      show({ state: 'failed', gap, message: error instanceof Error ? error.message : String(error) });
    }
  }, []);

  /** @returns the vote to be kept */
  const vote = useCallback(
    (outcome: Outcome): NewVote | null => {
      if (duel.state !== 'open') return null;
      setDuel({ ...duel, state: 'voted', outcome });
      const { top, bottom, gap } = duel;
      return { top: top.contestant, bottom: bottom.contestant, outcome, gap: gap.name };
    },
    [duel],
  );
  const stop = useCallback(() => {
    controller.current?.abort();
    controller.current = null;
    setDuel({ state: 'idle' });
  }, []);
  return { duel, begin, vote, stop };
}

async function complete(
  contestant: Contestant,
  { before, after }: Gap,
  seed: number,
  signal: AbortSignal,
): Promise<Completion> {
  const { model, settings } = contestant;
  let text = '';
  if (source.value === null) throw new RunError('offline', 'nothing that runs models is there yet');
  for await (const line of source.value.run(
    { model, source: { prompt: before, suffix: after }, maxTokens: MOST_TOKENS, seed, ...settings },
    signal,
  )) {
    if (line.type === 'text') text = line.text;
    if (line.type === 'reply') return { contestant, text, reply: line };
  }
  throw new RunError('offline', 'the answer ended early');
}
