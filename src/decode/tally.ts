/** What a run has cost so far, and what of its drafts stood: the numbers of its events. */
import type { DoneEvent, ForwardKind } from './events.ts';

export interface Tally {
  /** Forwards so far. */
  readonly nfe: number;
  /** Counts forwards that are done; milliseconds since decoding began. */
  forward(kind: ForwardKind, forwards: number): number;
  /** Counts drafted tokens that were checked, and those that stood. */
  checked(drafted: number, accepted: number): void;
  /** The last event. */
  done(end: Pick<DoneEvent, 'reason' | 'ids' | 'usefulTokens'>): DoneEvent;
}

export function createTally(now: () => number, cachedTokens: number): Tally {
  const startMs = now();
  const forwards: DoneEvent['forwards'] = { prefill: 0, denoise: 0 };
  let nfe = 0;
  let prefillMs = 0;
  let [drafted, accepted] = [0, 0];
  return {
    get nfe() {
      return nfe;
    },
    forward(kind, count) {
      const elapsedMs = now() - startMs;
      if (nfe === 0) prefillMs = elapsedMs;
      forwards[kind] = (forwards[kind] ?? 0) + count;
      nfe += count;
      return elapsedMs;
    },
    checked(more, stood) {
      drafted += more;
      accepted += stood;
    },
    done: ({ reason, ids, usefulTokens }) => ({
      type: 'done',
      reason,
      ids,
      usefulTokens,
      nfe,
      forwards,
      tpf: nfe > 0 ? usefulTokens / nfe : 0,
      cachedTokens,
      drafted,
      accepted,
      elapsedMs: now() - startMs,
      prefillMs,
    }),
  };
}
