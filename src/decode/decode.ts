/**
 * THE decoding loop, the only one: for every layout, cache, policy and way of sampling.
 *
 *   for each block of the answer
 *     take the text before it into the context         (one forward; may yield the block's first token for free)
 *     while the block has masks
 *       ask the model about them                       (one forward)
 *       commit those that the policy chooses
 *     the block is settled
 *
 * What differs between models is data: see `layouts.ts` (blocks and attention), `cache.ts` (what is computed again),
 * `policies/` (what to commit) and `sampling.ts` (which token). The loop ends where the text ends: blocks after an
 * end-of-text token are never computed.
 */
import { assert } from '../errors.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { createContext } from './cache.ts';
import { checkCanvas, MASKED, maskedPositions, openStart } from './canvas.ts';
import type { Canvas, Span } from './canvas.ts';
import type { DecodeEvent, DoneEvent, ForwardKind } from './events.ts';
import { answerBlocks, planLayout } from './layouts.ts';
import { resolveOptions } from './options.ts';
import type { DecodeOptions } from './options.ts';
import type { Candidate } from './policies/policy.ts';
import { createSampler } from './sampling.ts';

/**
 * Fills a canvas; the canvas itself stays as it is. Events come as they happen, `done` is the last. An abort ends the
 * run between two forwards with reason `aborted`; leaving the iteration early does the same without an event.
 * Throws `bad_option`, `bad_request`, `prompt_too_long` or `unsupported` at the first step.
 */
export async function* decode(
  denoiser: Denoiser,
  canvas: Canvas,
  options: DecodeOptions = {},
): AsyncGenerator<DecodeEvent, void, void> {
  const { config } = denoiser;
  const { blockLength, policy, cache, sampling, rng, stop, signal, now } = resolveOptions(options, config);
  checkCanvas(canvas, config);

  const ids = canvas.ids.slice();
  const plan = planLayout(config.layout, blockLength);
  const context = createContext(denoiser, plan, cache);
  const sampler = createSampler(sampling, policy.needs, config, rng);

  const startMs = now();
  const forwards: Record<ForwardKind, number> = { prefill: 0, denoise: 0, commit: 0 };
  let prefillMs = 0;
  let nfe = 0;
  let settledEnd = canvas.answerStart;
  // Moves to the first end-of-text token that is committed; nothing from there on is computed or counted.
  let answerEnd = ids.length;
  const endMayStandFrom = openStart(canvas);
  const masksOf = ({ start, end }: Span): number[] =>
    maskedPositions(ids, { start, end: Math.min(end, answerEnd) });

  /** One forward, and the commits that `choose` makes of what it found at the queried positions. */
  async function* step(
    kind: ForwardKind,
    block: Span,
    query: number[],
    choose: (candidates: Candidate[]) => readonly Candidate[],
  ): AsyncGenerator<DecodeEvent, void, void> {
    signal?.throwIfAborted();
    const want = sampler.request(query.length);
    const computed = context.length;
    const statistics =
      kind === 'denoise'
        ? await context.denoise(ids, block, query, want)
        : await context.extend(ids, block.start, query.length > 0, want);
    signal?.throwIfAborted();
    nfe++;
    forwards[kind]++;

    const candidates = sampler.read(statistics, query);
    const chosen = [...choose(candidates)].sort((a, b) => a.position - b.position);
    for (const { position, id } of chosen) {
      assert(ids[position] === MASKED, `${policy.name} chose position ${position}, which is not masked`);
      ids[position] = id;
      if (config.tokens.eos.includes(id) && position >= endMayStandFrom)
        answerEnd = Math.min(answerEnd, position);
    }

    const denoised = plan.context === null ? ids.length : block.end - block.start;
    const positions = kind === 'denoise' ? denoised : block.start - computed;
    const elapsedMs = now() - startMs;
    if (kind === 'prefill') prefillMs = elapsedMs;
    yield { type: 'step', nfe, kind, positions, block, masksLeft: masksOf(block).length, elapsedMs };
    const tokens = chosen.map(({ position, id, probability }) => ({ position, id, probability }));
    if (tokens.length > 0) yield { type: 'commit', nfe, tokens };
  }

  const done = (reason: DoneEvent['reason']): DoneEvent => {
    const answer: Span = { start: canvas.answerStart, end: settledEnd };
    const usefulTokens = maskedPositions(canvas.ids, answer).length;
    return {
      type: 'done',
      reason,
      ids: Array.from(ids.subarray(answer.start, answer.end)),
      usefulTokens,
      nfe,
      forwards,
      tpf: nfe > 0 ? usefulTokens / nfe : 0,
      elapsedMs: now() - startMs,
      prefillMs,
    };
  };

  try {
    let index = 0;
    for (const block of answerBlocks(canvas, plan, blockLength)) {
      if (plan.context !== null && context.length < block.start) {
        const free = plan.firstTokenFree ? [block.start] : [];
        yield* step(index === 0 ? 'prefill' : 'commit', block, free, (candidates) => candidates);
      }

      const masksAtStart = masksOf(block).length;
      for (let round = 0; masksOf(block).length > 0; round++) {
        yield* step('denoise', block, masksOf(block), (candidates) => {
          const chosen = policy.choose({ candidates, step: round, masksAtStart, rng });
          assert(chosen.length > 0, `${policy.name} chose nothing, which would never end`);
          return chosen;
        });
      }

      const start = settledEnd;
      settledEnd = Math.min(block.end, answerEnd);
      yield {
        type: 'block',
        index: index++,
        start,
        ids: Array.from(ids.subarray(start, settledEnd)),
        settledEnd,
      };
      if (answerEnd < block.end) return yield done('eos');
      if (stop(ids.subarray(canvas.answerStart, settledEnd))) return yield done('stop');
    }
    yield done('length');
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
    yield done('aborted');
  } finally {
    context.release();
  }
}
