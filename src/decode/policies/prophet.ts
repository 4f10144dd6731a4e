/**
 * Ends a block early, whatever policy drives it: when the model has made up its mind about all masks, commit them all
 * (Prophet 2508.19982, "early commit decoding"). How decided it is: the mean over the masked positions of the gap between
 * the two best logits, which is ln p₁ − ln p₂. The bound falls with progress: 7.5 at first, 5 after a third, 2.5 after
 * two thirds.
 *
 * Two readings: the paper's gap is averaged over the answer's positions (in the official code five after a marker);
 * there is no such region here, so it is the block's masks. Its progress is steps over planned steps; a policy that
 * adapts has no plan, so it is the share of the block's masks that are already committed.
 */
import type { Candidate, UnmaskPolicy } from './policy.ts';

const PHASES = [
  { from: 2 / 3, gap: 2.5 },
  { from: 1 / 3, gap: 5 },
  { from: 0, gap: 7.5 },
];

/** Nats between the two best tokens. */
function gap({ top: [best, second] }: Candidate): number {
  // A runner-up of probability 0 would decide the mean alone.
  return Math.log(best.probability) - Math.log(Math.max(second?.probability ?? 0, 1e-30));
}

export function prophet<M>(inner: UnmaskPolicy<M>): UnmaskPolicy<M> {
  return {
    name: `prophet(${inner.name})`,
    needs: { ...inner.needs, topK: Math.max(2, inner.needs.topK) },
    polish: inner.polish,
    start: () => inner.start?.() as M,
    choose(view, memory) {
      const { candidates, masksAtStart } = view;
      const progress = 1 - candidates.length / masksAtStart;
      const bound = PHASES.find(({ from }) => progress >= from)?.gap ?? PHASES[2].gap;
      const sum = candidates.reduce((sum, candidate) => sum + gap(candidate), 0);
      if (candidates.length > 0 && sum / candidates.length >= bound) return { commit: candidates };
      return inner.choose(view, memory);
    },
  };
}
