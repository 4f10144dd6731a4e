/**
 * What the active positions are seen with. A context turns "tell me about these positions" into one forward: which rows
 * run, what they see, and which keys and values are kept. The loop does not know how.
 *
 * The exact contexts live here. Text that is settled enters the cache once, in the same forward that first looks beyond
 * it: `causal` rows, which also predict their next token, or clean blocks (`blockCausal`). With `cache: 'none'`
 * everything is computed again each time; slow, and the reference that the cache must equal. Full attention, where no
 * cache is exact, lives in `frozen.ts`.
 */
import { assert } from '../errors.ts';
import { positionsFrom } from '../model/denoiser.ts';
import type { Denoiser, ForwardRun, KvCache, Statistics, StatisticsRequest } from '../model/denoiser.ts';
import { MASKED } from './canvas.ts';
import type { Span } from './canvas.ts';
import type { ForwardKind } from './events.ts';
import { createFrozenContext } from './frozen.ts';
import type { LayoutPlan } from './layouts.ts';

/**
 * `none` computes everything in each forward. `block` keeps settled text, exactly; for the layouts that allow it.
 * `prefix`, `dual` and `interstep` are for full attention and approximate: see `frozen.ts`.
 */
export const CACHE_MODES = ['none', 'block', 'prefix', 'dual', 'interstep'] as const;
export type CacheMode = (typeof CACHE_MODES)[number];

export interface CacheSettings {
  mode: CacheMode;
  /** Approximate caches are computed anew after so many forwards, and wherever a block starts. */
  refreshEvery: number;
}

/** What the loop wants to know. */
export interface Look {
  ids: Int32Array;
  /** Text before here may be taken into the cache. */
  contextEnd: number;
  /** The active positions, from the context's end on. */
  window: Span;
  /** Positions to tell about, ascending: masked or committed ones of the window, or ones that the context predicts. */
  query: readonly number[];
  /**
   * Further windows, each as if the text ended where it begins and all behind were masked; the first position of each is
   * for the context to predict, the others are told about, window by window, after those of `query`.
   */
  branches?: readonly Span[];
}

/** What a branch is told about. */
export const branchQuery = ({ start, end }: Span): number[] =>
  Array.from({ length: Math.max(0, end - start - 1) }, (_, i) => start + 1 + i);

/** What it found. */
export interface Looked {
  /** Of the queried positions, in their order. */
  statistics: Statistics;
  /** Rows that ran. */
  positions: number;
  forwards: number;
}

/** The loop has come to the beginning of a block, or to the end. */
export interface KeepRequest {
  ids: Int32Array;
  /** Text before here is finished. */
  end: number;
  /** Why nothing follows; null where a block follows. */
  ended: 'stopped' | 'full' | null;
}

/** A forward that looked at no mask. */
export interface Kept {
  kind: Exclude<ForwardKind, 'denoise'>;
  /** Rows that ran. */
  positions: number;
  /** What it says of the position behind the finished text, where that is masked. */
  next?: Statistics | null;
}

export interface Context {
  /** Positions whose keys and values are kept for good. */
  readonly length: number;
  /** One forward (two where another model verifies): distributions at the queried positions. */
  look(look: Look, want: StatisticsRequest): Promise<Looked>;
  /** For published samplers that have a forward of its own for finished text (`official/`). Null: nothing to do. */
  keep?(request: KeepRequest, want: StatisticsRequest): Promise<Kept | null>;
  /** Forgets kept positions from here on: their text has changed. */
  truncate(length: number): void;
  /** Ends the use of the cache and hands it over, for others to begin with. */
  release(): KvCache | null;
}

/** The run's tokens: masked positions hold the model's mask token. */
export function runIds(denoiser: Denoiser, ids: ArrayLike<number>): Int32Array {
  const mask = denoiser.config.tokens.mask;
  return Int32Array.from(ids, (id) => {
    if (id !== MASKED) return id;
    assert(mask !== null, 'a model without a mask token was given a masked position');
    return mask;
  });
}

/** @param start a cache that already holds a prefix of the text; null: none */
export function createContext(
  denoiser: Denoiser,
  plan: LayoutPlan,
  settings: CacheSettings,
  start: KvCache | null = null,
): Context {
  if (plan.context === null) return createFrozenContext(denoiser, settings);
  return createExactContext(denoiser, plan, settings.mode === 'none', start ?? denoiser.createCache());
}

function createExactContext(
  denoiser: Denoiser,
  plan: LayoutPlan,
  recompute: boolean,
  cache: KvCache,
): Context {
  const pattern = plan.context!;
  let length = cache.length;

  /** Clean rows [start, contextEnd), then the block's rows, which begin with the last clean token. */
  function anchoredRun(
    { ids, contextEnd, window, query, branches = [] }: Look,
    start: number,
    predicted: number,
  ): ForwardRun {
    const clean = contextEnd - start;
    const rows = [...positionsFrom(start, clean)];
    const tokens = rows.map((position) => ids[position]);
    const asked = query.slice(0, predicted).map((position) => position - 1 - start);
    const blocks: number[] = [];
    /** A block begins with the last token that is clean for it. */
    const add = (span: Span, wanted: readonly number[], tokenAt: (position: number) => number): void => {
      const anchor = Math.max(0, span.start - 1);
      asked.push(...wanted.map((position) => rows.length + position - anchor));
      blocks.push(span.end - anchor);
      tokens.push(...Array.from({ length: span.end - anchor }, (_, i) => tokenAt(anchor + i)));
      rows.push(...positionsFrom(anchor, span.end - anchor));
    };
    if (query.length > predicted) {
      add({ start: contextEnd, end: window.end }, query.slice(predicted), (position) => ids[position]);
    }
    for (const branch of branches) {
      add(branch, branchQuery(branch), (position) => (position < branch.start ? ids[position] : MASKED));
    }
    return {
      ids: runIds(denoiser, tokens),
      positions: Int32Array.from(rows),
      attention: blocks.length > 0 ? { kind: 'anchored', clean, blocks } : { kind: 'causal' },
      cache,
      write: clean,
      query: Int32Array.from(asked),
    };
  }

  const shiftedBlocks =
    denoiser.config.logitShift === 'block' && pattern.kind === 'blockCausal' ? pattern.blockLength : null;

  /**
   * Clean blocks [start, contextEnd), then the active ones. Where the row before a position speaks of it, the first
   * position of a block hears from the last row of the block before: as long as it is masked, that block runs along.
   */
  function blockCausalRun({ ids, contextEnd, window, query }: Look, start: number): ForwardRun {
    const end = query.length > 0 ? window.end : contextEnd;
    const back = shiftedBlocks === null ? 0 : 1;
    return {
      ids: runIds(denoiser, ids.subarray(start, end)),
      positions: positionsFrom(start, end - start),
      attention: pattern,
      cache,
      write: contextEnd - start,
      query: Int32Array.from(query, (position) => Math.max(0, position - back) - start),
    };
  }

  return {
    get length() {
      return length;
    },
    async look(look, want) {
      const { contextEnd, query } = look;
      const lead =
        shiftedBlocks !== null && query[0] % shiftedBlocks === 0 ? query[0] - shiftedBlocks : length;
      const before = Math.max(0, Math.min(length, lead));
      cache.truncate(recompute ? 0 : before);
      // What a fresh causal row predicts is taken from there and not from the block.
      const predicted = plan.predictsNext
        ? query.filter((position) => position > before && position <= contextEnd).length
        : 0;
      const run = plan.predictsNext
        ? anchoredRun(look, cache.length, predicted)
        : blockCausalRun(look, cache.length);
      const [statistics] = await denoiser.forward([run], want);
      length = contextEnd;
      return { statistics, positions: run.ids.length - (recompute ? before : 0), forwards: 1 };
    },
    truncate(to) {
      length = Math.min(length, to);
      cache.truncate(Math.min(cache.length, to));
    },
    release: () => (recompute ? null : cache),
  };
}
