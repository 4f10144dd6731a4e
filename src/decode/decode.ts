/**
 * THE decoding loop, the only one: for every layout, mode, cache, policy and way of sampling.
 *
 *   while the answer is not finished
 *     look     one forward: settled text enters the cache, the active positions get their distributions
 *     check    verify only: does each drafted token equal what one token at a time would have written?
 *     choose   the policy commits the positions that it is sure of (and may mask others again), behind the last draft
 *              that stands
 *     settle   finished text moves behind us for good
 *
 * The loop ends where the text ends: nothing behind an end-of-text token is computed. What differs from model to model
 * and from request to request is injected, and each idea has a file:
 *
 * | canvas.ts                      | the text as positions, some of them masked                                    |
 * | options.ts, modes.ts           | every knob, one schema; diffusion, verify and ar                              |
 * | layouts.ts, blocks.ts          | which positions are active, and how long; several blocks at once              |
 * | context.ts, frozen.ts          | what a forward computes again: exact caches, and approximate ones             |
 * | prefix-cache.ts                | what the next request need not compute                                        |
 * | verified.ts                    | another model verifies (a model's own drafts: `check` below)                  |
 * | sampling.ts                    | from logits to a candidate: temperature, top-k, top-p, draws that stay        |
 * | bigrams.ts                     | what neighbouring masks have to do with each other; guesses that are verified |
 * | bias.ts, constraints/          | which tokens may stand: logit bias, JSON Schema, regular expressions          |
 * | policies/                      | which candidates are committed, or masked again; prophet.ts ends a block early |
 * | official/                      | published samplers, each a `Recipe` of all of the above                       |
 * | events.ts, tally.ts            | what is told                                                                  |
 *
 * Around it: `complete.ts` makes canvases of gaps and `chat.ts` of conversations, with stop sequences; `batch.ts` lets runs
 * share forwards; `engine.ts` keeps all of it in a worker, `schedule.ts` says whose turn it is. `trace.ts`, `film.ts`,
 * `picture.ts` and `opinions.ts` look at a run.
 */
import { assert } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Denoiser, KvCache } from '../model/denoiser.ts';
import { createBlocks } from './blocks.ts';
import { checkCanvas, firstMask, MASKED, maskedPositions, openStart } from './canvas.ts';
import type { Canvas, Span } from './canvas.ts';
import { branchQuery, createContext } from './context.ts';
import type { Context, KeepRequest } from './context.ts';
import type { CommittedToken, DecodeEvent, DoneEvent } from './events.ts';
import { planLayout } from './layouts.ts';
import type { LayoutPlan } from './layouts.ts';
import { resolveOptions } from './options.ts';
import type { DecodeOptions, DecodeSettings } from './options.ts';
import { chooseFrom } from './policies/policy.ts';
import type { Candidate } from './policies/policy.ts';
import { createSampler } from './sampling.ts';
import type { Sampler } from './sampling.ts';
import { createTally } from './tally.ts';
import { createVerifiedContext } from './verified.ts';

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
  checkCanvas(canvas, config);
  const settings = resolveOptions(options, denoiser, canvas);
  const {
    policy,
    verify,
    redrafts,
    guesses,
    tolerance,
    bigrams,
    stop,
    signal,
    now,
    rng,
    bias,
    prefixCache,
    recipe,
    inspect,
  } = settings;
  const ids = canvas.ids.slice();
  const { answerStart } = canvas;
  const plan =
    recipe?.plan ??
    planLayout(config, canvas, {
      blockLength: settings.blockLength,
      blocks: policy.needs.blocks ?? false,
    });
  const prompt = ids.subarray(0, answerStart);
  // The context of a published sampler begins with nothing.
  const mayKnow = !recipe && plan.context && settings.cache.mode === 'block';
  const known = mayKnow ? prefixCache?.take(prompt, plan) : null;
  const context = contextOf(denoiser, plan, settings, known);
  const sampler = samplerOf(config, settings);
  const memory = policy.start?.();
  const blocks = createBlocks(plan, canvas, settings);
  const tally = createTally(now, known?.length ?? 0);

  let settledEnd = answerStart;
  /** Text before here is what one token at a time would have written, an end of text included (`verify`). */
  let confirmedEnd = answerStart;
  let stretches = 0;
  /** Whether the policy wants to know about a committed position too. */
  const isReviewed = (p: number): boolean =>
    !verify &&
    (policy.needs.committed === 'given' || (policy.needs.committed === true && canvas.ids[p] === MASKED));
  /** The canvas may begin shorter than it may become (`grow`). */
  let visibleEnd = settings.grow === null ? ids.length : Math.min(answerStart + settings.grow, ids.length);
  const endMayStandFrom = Math.max(openStart(canvas), answerStart);
  /** Nothing from the first end of text on is computed or counted. */
  const answerEnd = (): number => {
    const end = Math.min(visibleEnd, recipe?.textEnd ?? visibleEnd);
    for (let p = endMayStandFrom; p < end; p++) if (config.tokens.eos.includes(ids[p])) return p;
    return end;
  };

  /** How far there is something to compute. A recipe says itself when an end of text ends the work. */
  const workEnd = (): number => (recipe ? visibleEnd : answerEnd());
  /** How far the blocks are finished. */
  let reached = answerStart;
  let stopped = false;
  /** Whether all is settled; a drafted end of text must be confirmed first. */
  const isOver = (): boolean =>
    recipe
      ? stopped || reached >= visibleEnd
      : settledEnd >= answerEnd() && (!verify || confirmedEnd > answerEnd() || confirmedEnd >= ids.length);
  /** How far the text is finished. */
  const reachedEnd = (): number => {
    reached = plan.slides ? firstMask(ids, settledEnd, answerEnd()) : blocks.finishedEnd(ids, workEnd());
    // A published sampler may leave masks behind and fill them later.
    return recipe ? Math.min(answerEnd(), firstMask(ids, settledEnd, reached)) : reached;
  };

  /** Tokens that become part of the canvas, and positions that lose theirs. */
  function* write(commit: readonly CommittedToken[], remask: readonly number[]): Generator<DecodeEvent> {
    // A model may predict the mask token where nothing forbids it: what it is written to is masked, still or again.
    const masked = commit.filter(({ position, id }) => id === config.tokens.mask && ids[position] !== MASKED);
    const lost = [...remask, ...masked.map(({ position }) => position)];
    for (const position of lost) ids[position] = MASKED;
    if (lost.length > 0) yield { type: 'remask', nfe: tally.nfe, positions: lost };
    const tokens = commit
      .filter(({ id }) => id !== config.tokens.mask)
      .map(({ position, id, probability }): CommittedToken => ({ position, id, probability }));
    for (const { position, id } of tokens) ids[position] = id;
    tokens.sort((a, b) => a.position - b.position);
    if (tokens.length > 0) yield { type: 'commit', nfe: tally.nfe, tokens };
  }

  /** Text up to here is final. */
  function* settle(end: number): Generator<DecodeEvent> {
    const start = settledEnd;
    if (end <= start) return;
    settledEnd = end;
    bigrams.learn(ids.subarray(start, end));
    yield { type: 'block', index: stretches++, start, ids: textOf(start, end), settledEnd };
  }

  /** Drafts behind what stands that cost no forward: an end of text is for the model to say. */
  const guessed = (): CommittedToken[] =>
    bigrams.guess(
      ids,
      { start: settledEnd, end: Math.min(answerEnd(), settledEnd + guesses) },
      config.tokens.eos,
    );

  /** What a context computes by itself where a block begins, or where everything ends. Returns whether it did. */
  async function* keep(end: number, ended: KeepRequest['ended']): AsyncGenerator<DecodeEvent, boolean, void> {
    const kept = await context.keep?.(
      { ids, end, ended },
      { ...sampler.request([end]), logitBias: bias.rows([end]) },
    );
    signal?.throwIfAborted();
    if (!kept) return false;
    const { kind, positions } = kept;
    const elapsedMs = tally.forward(kind, 1);
    const block = { start: end, end };
    yield { type: 'step', nfe: tally.nfe, kind, positions, block, masksLeft: 0, elapsedMs };
    if (kept.next) yield* write(sampler.read(kept.next, [end], ids), []);
    yield* settle(reachedEnd());
    return true;
  }

  /** A mask that a published sampler leaves behind is the mask token. */
  const textOf = (start: number, end: number): number[] =>
    Array.from(ids.subarray(start, end), (id) => (id === MASKED ? config.tokens.mask! : id));

  const done = (reason: DoneEvent['reason']): DoneEvent =>
    tally.done({
      reason,
      ids: textOf(answerStart, settledEnd),
      usefulTokens: maskedPositions(canvas.ids, { start: answerStart, end: settledEnd }).length,
    });

  try {
    bigrams.learn(prompt);
    // What a constraint leaves no choice about, and what is given, costs no forward.
    yield* write(bias.forced(), []);
    yield* settle(reachedEnd());
    yield* write(guessed(), []);

    while (!isOver()) {
      signal?.throwIfAborted();
      // ---- look
      // Where the committed text ends; what of it is not settled is a draft, with its end of text if it has one.
      const frontier = verify
        ? firstMask(ids, settledEnd, Math.min(answerEnd() + 1, ids.length))
        : settledEnd;
      const allDrafted = verify && (frontier > answerEnd() || frontier === ids.length);
      const active = allDrafted
        ? []
        : plan.slides
          ? [blocks.sliding(frontier, answerEnd())]
          : blocks.active(ids, workEnd());
      if (active[0]?.step === 0 && (yield* keep(active[0].span.start, null))) {
        stopped = recipe!.stop({ ids, block: active[0].span, finished: false, written: [] });
        continue;
      }
      const contextEnd = allDrafted ? frontier - 1 : (active[0]?.span.start ?? frontier);
      const window: Span = { start: contextEnd, end: active.at(-1)?.span.end ?? contextEnd };
      const probes = range(settledEnd, frontier);
      const asked = active.map(({ span }) => {
        const { start, end } = plan.reach?.(span) ?? span;
        return range(start, Math.min(end, workEnd())).filter((p) => ids[p] === MASKED || isReviewed(p));
      });
      const tail = visibleEnd < ids.length ? [visibleEnd - 1] : [];
      const query = [...probes, ...asked.flat(), ...tail];
      // As if the text ended before each of the first probes.
      const branches = probes.slice(0, redrafts).map((start) => plan.block(start));
      const branchQueries = branches.map(branchQuery);
      const all = [...query, ...branchQueries.flat()];
      const looked = await context.look(
        { ids: ids.subarray(0, visibleEnd), contextEnd, window, query, branches },
        { ...sampler.request(all), logitBias: bias.rows(all) },
      );
      signal?.throwIfAborted();
      const kind = tally.nfe === 0 && !recipe ? 'prefill' : 'denoise';
      const elapsedMs = tally.forward(kind, looked.forwards);
      const take = taker(sampler.read(looked.statistics, all, ids));
      const checks = take(probes);
      const seenOf = asked.map((part) => bigrams.link(take(part)));
      const [last] = take(tail);
      const candidates = [...checks, ...seenOf.flat(), ...(last ? [last] : [])];
      const events: DecodeEvent[] = [];
      const blocksLooked = active.map(({ span, step, masksAtStart }, i) => ({
        span,
        step,
        masksAtStart,
        mustCommit: i === 0 && !plan.slides,
        slides: plan.slides,
      }));

      // ---- check
      const wrong = checks.find((check) => !stands(check, ids[check.position], tolerance));
      tally.checked(probes.length, wrong ? wrong.position - settledEnd : probes.length);
      if (wrong) {
        const from = wrong.position;
        const fallen = range(from, Math.max(window.end, frontier)).filter((p) => ids[p] !== MASKED);
        events.push(...write([], fallen));
        const redrafted = branchQueries.map(take)[from - settledEnd] ?? [];
        const masked = [wrong, ...redrafted].map((candidate) => ({ ...candidate, current: null }));
        const seen = bigrams.link(masked);
        const block = { step: 0, masksAtStart: seen.length, mustCommit: false, slides: true };
        const { commit } = chooseFrom(policy, memory, block, seen, rng);
        events.push(...write(commit, []), ...settle(Math.min(from + 1, answerEnd())));
        context.truncate(from);
        confirmedEnd = from + 1;
      } else {
        // ---- choose
        for (const [i, block] of active.entries()) {
          const seen = seenOf[i];
          const masks = seen.filter(({ current }) => current === null);
          const choice = chooseFrom(policy, memory, blocksLooked[i], seen, rng);
          const remask = choice.remask ?? [];
          let commit = bias.agree(choice.commit);
          // A constraint may refuse all that the policy chose, but never what the model says of the first mask.
          if (commit.length === 0 && choice.commit.length > 0 && i === 0)
            commit = bias.agree(masks.slice(0, 1));
          assert(
            commit.length > 0 || i > 0 || masks.length === 0 || policy.finished,
            `${policy.name} chose nothing, which would never end`,
          );
          remask.forEach((position) => sampler.redraw(position));
          blocks.stepped(block, commit.length + remask.length > 0);
          events.push(...write(commit, remask));
        }
        events.push(...write(bias.forced(), []));
        // ---- settle
        confirmedEnd = contextEnd + 1;
        events.push(...settle(verify ? Math.min(confirmedEnd, answerEnd()) : reachedEnd()));
        if (last && (settledEnd === visibleEnd || !seesEnd(last, config.tokens.eos)))
          visibleEnd = Math.min(visibleEnd + settings.grow!, ids.length);
      }

      events.push(...write(guessed(), []));

      const masksLeft = maskedPositions(ids, { start: window.start, end: Math.min(window.end, workEnd()) });
      yield {
        type: 'step',
        nfe: tally.nfe,
        kind,
        positions: looked.positions,
        block: window,
        masksLeft: masksLeft.length,
        elapsedMs,
      };
      if (inspect !== undefined) {
        const { blockLength } = settings;
        const told = Math.max(policy.needs.topK, inspect);
        const cut = candidates.map((candidate) => ({ ...candidate, top: candidate.top.slice(0, told) }));
        yield { type: 'look', nfe: tally.nfe, blockLength, blocks: blocksLooked, candidates: cut };
      }
      yield* events;
      if (recipe) {
        const block = active[0].span;
        const written = events
          .flatMap((event) => (event.type === 'commit' ? event.tokens : []))
          .map(({ id }) => id);
        stopped = recipe.stop({ ids, block, finished: reached >= block.end, written });
      }
      if (settledEnd < answerEnd() && stop(ids.subarray(answerStart, settledEnd))) return yield done('stop');
    }
    if (recipe) {
      yield* keep(reached, stopped ? 'stopped' : 'full');
      yield* settle(answerEnd());
    }
    yield done(config.tokens.eos.includes(ids[settledEnd]) ? 'eos' : 'length');
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
    yield done('aborted');
  } finally {
    const cache = context.release();
    if (cache !== null) prefixCache?.give(ids.subarray(0, Math.min(cache.length, settledEnd)), plan, cache);
  }
}

/** What the active positions are seen with; where another model verifies, by both. */
function contextOf(
  denoiser: Denoiser,
  plan: LayoutPlan,
  { recipe, verifier, cache, sampling }: DecodeSettings,
  known: KvCache | null | undefined,
): Context {
  if (recipe) return recipe.context(denoiser, sampling.seed);
  const own = createContext(denoiser, plan, cache, known);
  if (verifier === null) return own;
  return createVerifiedContext(own, createContext(verifier, plan, cache), denoiser.config.vocabSize);
}

function samplerOf(
  config: ModelConfig,
  { policy, bigrams, tolerance, sampling, inspect, recipe }: DecodeSettings,
): Sampler {
  const needs = {
    ...policy.needs,
    topK: Math.max(policy.needs.topK, bigrams.topK, tolerance > 0 ? MOST_TOLERATED : 1),
  };
  return createSampler(
    sampling,
    // Where somebody wants to see more, more is told, and the same is chosen.
    inspect === undefined ? needs : { ...needs, topK: Math.max(needs.topK, inspect), entropy: true },
    // Nothing keeps published samplers from drawing the mask token.
    recipe ? { ...config, tokens: { ...config.tokens, mask: null } } : config,
  );
}

/** Tokens of a position that may stand with any tolerance. */
const MOST_TOLERATED = 16;

/** Whether a draft is what the model writes there, or nearly as probable. */
const stands = ({ id, probability, top }: Candidate, draft: number, tolerance: number): boolean =>
  id === draft ||
  (tolerance > 0 &&
    (top.find((other) => other.id === draft)?.probability ?? 0) >= (1 - tolerance) * probability);

const range = (start: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** Cuts a list that was made of several, in their order: each call gives as many as that one had. */
function taker<T>(list: readonly T[]): (part: readonly unknown[]) => T[] {
  let at = 0;
  return ({ length }) => list.slice(at, (at += length));
}

/** Whether the last visible mask is more likely than not behind the end of the text (DAEDAL 2508.00819, section 3.1). */
const seesEnd = ({ id, probability, current }: Candidate, eos: readonly number[]): boolean =>
  current === null && eos.includes(id) && probability >= 0.5;
