/**
 * Confident and calm: commit {i : p₁(i) > τ, and KL(pₜ(i) ‖ pₜ₋₁(i)) < ε at each of the last n steps}, the surest one
 * when there is none (KLASS 2511.05664, algorithm 1; τ .6–.9, ε .001–.015, n = 2 in the paper). A distribution that
 * still moves is not trusted, however peaked it is.
 *
 * The paper's divergence is over the whole vocabulary. Here the tokens among the best `TOP` at both steps are told
 * apart and all others are one outcome. Lumping outcomes never increases a divergence (data-processing inequality),
 * so this is a lower bound: whoever is calm in the paper's sense is calm here.
 */
import { orSurest } from './policy.ts';
import type { Likely, UnmaskPolicy } from './policy.ts';

const TOP = 16;
/** Keeps a probability that rounds to 0 from making a divergence infinite (the official code's 1e-12). */
const TINY = 1e-12;

/** Σ p ln(p/q) over the tokens of both lists and one outcome for all others. Nats. */
export function lumpedDivergence(p: readonly Likely[], q: readonly Likely[]): number {
  const before = new Map(q.map(({ id, probability }) => [id, probability]));
  const common = p.filter(({ id }) => before.has(id)).map((now) => [now.probability, before.get(now.id)!]);
  const others = [0, 1].map((side) => Math.max(0, 1 - common.reduce((sum, pair) => sum + pair[side], 0)));
  const terms = [...common, others].map(([a, b]) => a * Math.log((a + TINY) / (b + TINY)));
  // Rounding may leave a sum just below 0.
  return Math.max(
    0,
    terms.reduce((sum, term) => sum + term, 0),
  );
}

/** By position: its distribution one step ago, and how many steps in a row it has hardly moved. */
type Memory = Map<number, { top: readonly Likely[]; calmSteps: number }>;

export function klass(threshold: number, kl = 0.01, history = 2): UnmaskPolicy<Memory> {
  return {
    name: `klass(${threshold}, ${kl}, ${history})`,
    needs: { topK: TOP, entropy: false },
    start: () => new Map(),
    choose(view, memory) {
      for (const { position, top } of view.candidates) {
        const before = memory.get(position);
        const isCalm = before !== undefined && lumpedDivergence(top, before.top) < kl;
        memory.set(position, { top, calmSteps: isCalm ? before.calmSteps + 1 : 0 });
      }
      const choice = orSurest(
        view.candidates.filter(
          ({ position, probability }) =>
            probability > threshold && memory.get(position)!.calmSteps >= history,
        ),
        view,
      );
      // A position that is masked again starts anew.
      for (const { position } of choice.commit) memory.delete(position);
      return choice;
    },
  };
}
