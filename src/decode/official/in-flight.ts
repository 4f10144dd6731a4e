/**
 * Several blocks in flight, as d3LLM's sampler without a cache has them (2601.07568): a block joins when so much of the one
 * before it is written, and every masked position of them all may be committed in a forward. The whole canvas is seen
 * always. The first block that has masks gains a token in each forward.
 *
 * After an end of text no block joins, and whatever stands behind it is seen as ends of text. The official code takes its
 * list of masks before it writes those, so that for one forward more the masks behind it count among the others: they may
 * be the surest one, or the one that the block gains.
 */
import type { Denoiser } from '../../model/denoiser.ts';
import type { Span } from '../canvas.ts';
import type { Context } from '../context.ts';
import { createFrozenContext } from '../frozen.ts';
import type { LayoutPlan } from '../layouts.ts';
import type { Candidate, UnmaskPolicy } from '../policies/policy.ts';
import { planOfSpans } from './recipe.ts';
import type { Recipe } from './recipe.ts';
import { firstOf } from './values.ts';

export interface InFlight {
  /** Equal but for the last one. */
  blocks: readonly Span[];
  /** Share of the last block in flight that is written when the next one joins. */
  activateAt: number;
  isSure: (candidate: Candidate) => boolean;
  /** The surest position of all is written whatever it is (LLaDA). */
  surestToo: boolean;
  /** Tokens that end the text; none: text goes on behind them. */
  eos: readonly number[];
}

export function createInFlight({
  blocks,
  activateAt,
  isSure,
  surestToo,
  eos,
}: InFlight): Pick<Recipe, 'plan' | 'policy' | 'context' | 'stop'> {
  const answerStart = blocks[0].start;
  const end = blocks.at(-1)!.end;
  let last = 0;
  /** The first end of text. */
  let ended = end;
  let reachEnd = blocks[0].end;

  const spans = planOfSpans(blocks);
  const plan: LayoutPlan = { ...spans, reach: ({ start }) => ({ start, end: reachEnd }) };
  const policy: UnmaskPolicy = {
    name: 'inFlight',
    needs: { topK: 1, entropy: true, blocks: true },
    choose: ({ candidates }) => {
      const surest = (among: readonly Candidate[]): Candidate =>
        among.reduce((a, b) => (b.entropy < a.entropy ? b : a));
      const commit = new Set(candidates.filter(isSure));
      if (surestToo) commit.add(surest(candidates));
      const first = spans.block(candidates[0].position);
      const inFirst = candidates.filter(({ position }) => position < first.end);
      if (!inFirst.some((candidate) => commit.has(candidate))) commit.add(surest(inFirst));

      const endedBefore = ended;
      for (const { id, position } of commit) if (eos.includes(id)) ended = Math.min(ended, position);
      const { start, end: lastEnd } = blocks[last];
      const left = candidates.filter((each) => each.position >= start && !commit.has(each)).length;
      if (ended === end && last + 1 < blocks.length && 1 - left / (lastEnd - start) >= activateAt) last++;
      reachEnd = Math.min(blocks[last].end, endedBefore);
      return { commit: [...commit] };
    },
  };
  return {
    plan,
    policy,
    context: (denoiser: Denoiser): Context => {
      const inner = createFrozenContext(denoiser, { mode: 'none', refreshEvery: Infinity });
      return {
        ...inner,
        look: (look, want) => {
          const at = firstOf(eos, look.ids, answerStart);
          const ids = at < 0 ? look.ids : look.ids.slice().fill(look.ids[at], at + 1);
          return inner.look({ ...look, ids }, want);
        },
      };
    },
    stop: ({ ids }) => {
      const at = firstOf(eos, ids, answerStart);
      return at >= 0 && !ids.subarray(answerStart, at).some((id) => id < 0);
    },
  };
}
