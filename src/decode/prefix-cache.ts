/**
 * Keys and values of texts that were decoded, for requests that begin in the same way: an editor's next keystroke
 * computes only what is new. Bounded; what was not used for longest goes first.
 */
import type { KvCache } from '../model/denoiser.ts';
import type { LayoutPlan } from './layouts.ts';

export interface PrefixCache {
  /** A cache that holds as much of this prompt as is known, for the taker to keep; null when nothing is. */
  take(prompt: Int32Array, plan: LayoutPlan): KvCache | null;
  /** Hands a cache back with the text that it holds. */
  give(text: Int32Array, plan: LayoutPlan, cache: KvCache): void;
  clear(): void;
  readonly sizeBytes: number;
  /** Prompt tokens asked for and found so far. */
  readonly hits: { asked: number; found: number };
}

interface Entry {
  /** Caches of different patterns hold different numbers. */
  pattern: string;
  text: Int32Array;
  cache: KvCache;
}

/** Below this a cache is not worth its place. */
const FEWEST_TOKENS = 16;

export function createPrefixCache({ maxBytes }: { maxBytes: number }): PrefixCache {
  /** Least recently used first. */
  let entries: Entry[] = [];
  const hits = { asked: 0, found: 0 };
  const patternOf = (plan: LayoutPlan): string => JSON.stringify(plan.context);
  const sizeOf = (): number => entries.reduce((sum, { cache }) => sum + cache.sizeBytes, 0);

  return {
    take(prompt, plan) {
      const pattern = patternOf(plan);
      hits.asked += prompt.length;
      let best: Entry | null = null;
      let known = 0;
      for (const entry of entries) {
        if (entry.pattern !== pattern) continue;
        const common = usable(commonLength(entry.text, prompt), prompt, plan);
        if (common > known) [best, known] = [entry, common];
      }
      if (best === null || known < FEWEST_TOKENS) return null;
      hits.found += known;
      // Most of it is wanted: it is this text's earlier state, and need not be kept beside the new one.
      const isSuccessor = known >= best.text.length / 2;
      const cache = isSuccessor ? best.cache : best.cache.clone();
      entries = isSuccessor
        ? entries.filter((entry) => entry !== best)
        : [...entries.filter((entry) => entry !== best), best];
      cache.truncate(known);
      return cache;
    },

    give(text, plan, cache) {
      const length = Math.min(text.length, cache.length);
      if (length < FEWEST_TOKENS || cache.sizeBytes > maxBytes) return;
      cache.truncate(length);
      const given: Entry = { pattern: patternOf(plan), text: text.slice(0, length), cache };
      // Requests that ran side by side bring back the same, and what another begins with is in that other.
      const longer = entries.find((entry) => beginsWith(entry, given));
      entries = entries.filter((entry) => entry !== longer && !beginsWith(given, entry));
      entries.push(longer ?? given);
      while (sizeOf() > maxBytes) entries.shift();
    },

    clear: () => void (entries = []),
    get sizeBytes() {
      return sizeOf();
    },
    hits,
  };
}

const beginsWith = (entry: Entry, start: Entry): boolean =>
  entry.pattern === start.pattern && commonLength(entry.text, start.text) === start.text.length;

function commonLength(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

/** The last prompt token must run again where its row predicts the next; blocks are known whole or not at all. */
function usable(common: number, prompt: Int32Array, { predictsNext, context }: LayoutPlan): number {
  if (predictsNext) return Math.min(common, prompt.length - 1);
  const blockLength = context?.kind === 'blockCausal' ? context.blockLength : 1;
  return Math.floor(common / blockLength) * blockLength;
}
