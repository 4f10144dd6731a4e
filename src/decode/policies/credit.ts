/**
 * A token that keeps leading is believed before it is certain (CreditDecoding 2510.06133, eq. 6 and 7). Each masked
 * position keeps an account a token: C ← decay·C, and C ← C + p₁^exponent for the token that leads now. The logits are
 * raised by weight·ln(1 + C), and a threshold is put on the probabilities that follow.
 *
 * That multiplies a probability by (1 + C)^weight. Only the `TOP` best tokens are known one by one; the others keep
 * their joint probability, which is exact unless one of them holds credit. What is committed may differ from the greedy
 * token; a token that was drawn (temperature above 0) stays, only its probability changes.
 */
import { orSurest } from './policy.ts';
import type { Candidate, UnmaskPolicy } from './policy.ts';

const TOP = 16;

/** By position: the credit of each token that has led there. */
type Memory = Map<number, Map<number, number>>;

export function credit(threshold: number, decay = 0.8, exponent = 0.2, weight = 0.7): UnmaskPolicy<Memory> {
  function believe(candidate: Candidate, account: Map<number, number>): Candidate {
    const { top, id } = candidate;
    for (const [token, balance] of account) account.set(token, decay * balance);
    account.set(top[0].id, (account.get(top[0].id) ?? 0) + top[0].probability ** exponent);

    const raised = top.map(({ id, probability }) => ({
      id,
      probability: probability * (1 + (account.get(id) ?? 0)) ** weight,
    }));
    const others = Math.max(0, 1 - top.reduce((sum, { probability }) => sum + probability, 0));
    const total = raised.reduce((sum, { probability }) => sum + probability, others);
    const chosen =
      id === top[0].id
        ? raised.reduce((best, token) => (token.probability > best.probability ? token : best))
        : (raised.find((token) => token.id === id) ?? candidate);
    return { ...candidate, id: chosen.id, probability: chosen.probability / total };
  }

  return {
    name: `credit(${threshold}, ${decay}, ${exponent}, ${weight})`,
    needs: { topK: TOP, entropy: false },
    start: () => new Map(),
    choose(view, memory) {
      const candidates = view.candidates.map((candidate) => {
        const account = memory.get(candidate.position) ?? new Map<number, number>();
        memory.set(candidate.position, account);
        return believe(candidate, account);
      });
      const sure = candidates.filter(({ probability }) => probability >= threshold);
      const choice = orSurest(sure, { ...view, candidates });
      for (const { position } of choice.commit) memory.delete(position);
      return choice;
    },
  };
}
