/**
 * Remasking on a schedule, for quality at more forwards (ReMDM 2503.00307). At step i of n on the linear schedule
 * α_t = i/n and α_s = (i + 1)/n. Each committed token is masked again with probability σ ≤ σ_max =
 * min(1, (1 − α_s)/α_t), and masks are committed so that the share α_s of the block is known after the step:
 * - `cap`: σ = min(η, σ_max);   - `rescale`: σ = η·σ_max;
 * - `confidence`: σ of a token = σ_max·exp(−ψ)/Σ exp(−ψ), ψ its probability when it was committed. No η.
 *
 * Numbers of tokens are the expected ones, fractions rounded up or down at random, so that a block takes exactly n
 * forwards and ends without masks. The paper uncovers masks in random order; here the surest come first, as in
 * `fixedSteps`. Where there are more steps than masks, each step remasks at least what it commits beyond the schedule.
 * A block with one mask takes one forward.
 */
import type { Candidate, UnmaskPolicy } from './policy.ts';

export type RemaskRule = 'cap' | 'rescale' | 'confidence';

/** By position: the probability of the token when it was committed, ψ. */
type Memory = Map<number, number>;

export function remdm(steps: number, rule: RemaskRule = 'cap', eta = 0.02): UnmaskPolicy<Memory> {
  return {
    name: `remdm(${steps}, ${rule}, ${eta})`,
    needs: { topK: 1, entropy: false, committed: true, blocks: true },
    start: () => new Map(),
    choose({ candidates, committed, step, rng }, memory) {
      const [masks, tokens] = [candidates.length, committed.length];
      // Counted from what is there now: positions after an end of text have left the block.
      const masksAfter = Math.ceil(((masks + tokens) * Math.max(0, steps - 1 - step)) / steps);
      const most = step === 0 ? 1 : Math.min(1, Math.max(0, steps - 1 - step) / step);
      const expected =
        rule === 'confidence' ? most : tokens * (rule === 'cap' ? Math.min(eta, most) : eta * most);
      const rounded = Math.floor(expected + rng.next());
      const atLeast = 1 + masksAfter - masks;
      const remasks = Math.max(0, Math.min(Math.max(rounded, atLeast), tokens, masksAfter));
      const commits = Math.min(masks, Math.max(1, masks - masksAfter + remasks));

      // The largest u^(1/w) are a draw without replacement with weights w (Efraimidis and Spirakis 2006).
      const weight = ({ position }: Candidate): number =>
        rule === 'confidence' ? Math.exp(-(memory.get(position) ?? 1)) : 1;
      const remask = [...committed]
        .sort((a, b) => a.position - b.position)
        .map((candidate) => ({ ...candidate, key: rng.next() ** (1 / weight(candidate)) }))
        .sort((a, b) => b.key - a.key)
        .slice(0, remasks)
        .map(({ position }) => position);
      const commit = [...candidates].sort((a, b) => b.probability - a.probability).slice(0, commits);
      for (const { position, probability } of commit) memory.set(position, probability);
      return { commit, remask };
    },
  };
}
