/**
 * Requests whose forwards are written down. Settings that are tried on the same row share the state of its prompt, which
 * is most of the work of a short answer; what is written down is the request as it would have been alone.
 */
import type { CompleteOptions, TextModel } from '../decode/complete.ts';
import { createPrefixCache } from '../decode/prefix-cache.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { requestMs, type CostCurve, type Forward } from './cost-curve.ts';
import type { InfillRow } from './documents.ts';
import { scoredText, type Completion } from './fim.ts';
import { createInfill } from './infill.ts';
import { editSimilarity, exactMatch, percentile } from './metrics.ts';
import type { TunePoint } from './tune-grid.ts';
import type { Outcome } from './tune-race.ts';

interface TimedForward extends Forward {
  startMs: number;
  elapsedMs: number;
}

/** The same denoiser, and what it was asked since the last `take`. */
function traced(denoiser: Denoiser, nowMs: () => number): { denoiser: Denoiser; take: () => TimedForward[] } {
  let forwards: TimedForward[] = [];
  return {
    denoiser: {
      ...denoiser,
      forward: async (runs, want) => {
        const [{ ids, cache, query }] = runs;
        // Before it is run, which makes the cache longer.
        const forward = { rows: ids.length, prefix: cache?.length ?? 0, asked: query.length };
        const startMs = nowMs();
        const statistics = await denoiser.forward(runs, want);
        forwards.push({ ...forward, entropy: want.entropy, startMs, elapsedMs: nowMs() - startMs });
        return statistics;
      },
    },
    take: () => {
      const taken = forwards;
      forwards = [];
      return taken;
    },
  };
}

/** A first forward that found part of the prompt computed, as if it had not. */
const alone = ([first, ...others]: readonly Forward[]): Forward[] =>
  first === undefined ? [] : [{ ...first, rows: first.prefix + first.rows, prefix: 0 }, ...others];

/** Keys and values of one prompt, with room to spare. */
const PROMPT_CACHE_BYTES = 2 ** 30;

export function scoreAnswer(row: InfillRow, { text }: Completion): Pick<Outcome, 'isExact' | 'similarity'> {
  const [answer, truth] = [scoredText(text, row.middle), row.middle.trimEnd()];
  return { isExact: exactMatch(answer, truth), similarity: editSimilarity(answer, truth) };
}

/** @param options of every request: how long prompt and answer may be */
export function createAsk(
  model: TextModel,
  curve: CostCurve,
  options: CompleteOptions,
): (row: InfillRow, points: readonly TunePoint[], signal?: AbortSignal) => Promise<Outcome[]> {
  const { denoiser, take } = traced(model.denoiser, () => 0);
  return async (row, points, signal) => {
    const prefixCache = createPrefixCache({ maxBytes: PROMPT_CACHE_BYTES });
    const outcomes: Outcome[] = [];
    for (const point of points) {
      signal?.throwIfAborted();
      const complete = createInfill({ ...model, denoiser }, { ...options, ...point.options, prefixCache });
      const completion = await complete(row, signal);
      const predictedMs = requestMs(curve, alone(take()));
      const { tokens, nfe } = completion;
      outcomes.push({ tokens, nfe, predictedMs, ...scoreAnswer(row, completion) });
    }
    return outcomes;
  };
}

/** Medians of what requests take outside forwards, under the options that have the most of them. */
export async function measureOverhead(
  model: TextModel,
  rows: readonly InfillRow[],
  options: CompleteOptions,
  {
    nowMs = () => performance.now(),
    signal,
  }: { nowMs?: () => number; signal?: AbortSignal | undefined } = {},
): Promise<Pick<CostCurve, 'promptMs' | 'loopMs'>> {
  const { denoiser, take } = traced(model.denoiser, nowMs);
  const complete = createInfill({ ...model, denoiser }, options);
  const [before, between]: [number[], number[]] = [[], []];
  // The first round is there to warm up.
  for (const [i, row] of [...rows, ...rows].entries()) {
    const startMs = nowMs();
    await complete(row, signal);
    const endMs = nowMs();
    const forwards = take();
    if (i < rows.length || forwards.length === 0) continue;
    const insideMs = forwards.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
    const firstMs = forwards[0].startMs - startMs;
    before.push(firstMs);
    between.push((endMs - startMs - firstMs - insideMs) / forwards.length);
  }
  return before.length === 0
    ? { promptMs: 0, loopMs: 0 }
    : { promptMs: percentile(before, 0.5), loopMs: percentile(between, 0.5) };
}
