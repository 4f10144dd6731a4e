/**
 * What any policy would have committed in a run that one policy drove: the same function, asked look by look in order,
 * about exactly what the model said. Its memory is of this run, not of the one that it would have made.
 */
import { createRng } from '../rng.ts';
import type { LookEvent } from './events.ts';
import { chooseFrom } from './policies/policy.ts';
import type { Candidate, Choice, UnmaskPolicy } from './policies/policy.ts';

export interface Seen {
  look: LookEvent;
  /** Positions that hold a token which was committed, not given, before this look. */
  committed: readonly number[];
}

/** `missing`: a policy cannot say, and why. */
export type Opinion = { choice: Required<Choice>; missing?: undefined } | { missing: string };

/**
 * Looks are to be given in order, all of them.
 * @param run its seed, for policies that draw; how many likely tokens of each position its looks tell; and whether they
 *   tell of committed positions, because its own policy reviews them
 */
export function createOpinion(
  policy: UnmaskPolicy,
  { seed, candidates, reviewed }: { seed: number; candidates: number; reviewed: boolean },
): (seen: Seen) => Opinion {
  const memory = policy.start?.();
  const rng = createRng(seed, 'decode');
  const { topK, committed: reviews, blocks: counts } = policy.needs;
  return ({ look, committed }) => {
    if (topK > candidates) {
      return { missing: `reads the ${topK} most likely tokens of a position; this run tells ${candidates}` };
    }
    if (look.blocks.length === 0) return { missing: 'was not asked: only drafts were checked' };
    if (draftFell(look)) return { missing: 'was not asked: a draft was refused' };
    if (counts && look.blocks.some(({ slides, span }) => slides && span.end > span.start + 1)) {
      return { missing: 'counts the steps of a block; the window of this run slides' };
    }
    const known = new Map<number, Candidate>();
    for (const candidate of look.candidates) {
      if (!known.has(candidate.position)) known.set(candidate.position, candidate);
    }
    const unseen = committed.filter(
      (position) => look.blocks.some(({ span }) => isInside(position, span)) && !known.has(position),
    );
    if (reviews && !reviewed && unseen.length > 0) {
      return { missing: `reviews committed tokens; this run did not look at them (${unseen.length})` };
    }
    const all: Required<Choice> = { commit: [], remask: [] };
    for (const block of look.blocks) {
      const seen = [...known.values()]
        .filter(({ position, current }) => isInside(position, block.span) && (reviews || current === null))
        .sort((a, b) => a.position - b.position);
      if (seen.length === 0) continue;
      const { commit, remask = [] } = chooseFrom(policy, memory, block, seen, rng);
      all.commit = [...all.commit, ...commit];
      all.remask = [...all.remask, ...remask];
    }
    return { choice: all };
  };
}

const isInside = (position: number, { start, end }: { start: number; end: number }): boolean =>
  position >= start && position < end;

/** `verify`: a committed token before the window that the model would not have written. */
const draftFell = ({ blocks, candidates }: LookEvent): boolean =>
  candidates.some(
    ({ position, id, current }) => current !== null && position < blocks[0].span.start && id !== current,
  );
