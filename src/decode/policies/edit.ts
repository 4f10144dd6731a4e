/**
 * Joint threshold with editing (LLaDA2.1 2602.08676, the sets Γₜ and Δₜ): commit masks whose p₁ > τ_mask, the surest
 * one when there is none, and replace every committed token by the token that leads there now when that is another one
 * with p₁ > τ_edit. So a low τ_mask drafts fast and later steps repair it. When no mask is left, up to `rounds` more
 * forwards go on editing, until one changes nothing. The published settings: "quality" .7/.5, "speed" .5/0, 16 rounds.
 *
 * Edits take the leading token also where tokens are drawn: new draws would replace good tokens for ever. Worth
 * anything only with a model that was trained to repair wrong tokens, not masks alone.
 */
import { orSurest } from './policy.ts';
import type { UnmaskPolicy } from './policy.ts';

export function edit(maskThreshold = 0.7, editThreshold = 0.5, rounds = 16): UnmaskPolicy {
  return {
    name: `edit(${maskThreshold}, ${editThreshold}, ${rounds})`,
    needs: { topK: 1, entropy: false, committed: true },
    polish: rounds,
    choose(view) {
      const sure = view.candidates.filter(({ probability }) => probability > maskThreshold);
      const edits = view.committed
        .map((candidate) => ({ ...candidate, ...candidate.top[0] }))
        .filter(({ id, current, probability }) => id !== current && probability > editThreshold);
      return { commit: [...orSurest(sure, view).commit, ...edits] };
    },
  };
}
