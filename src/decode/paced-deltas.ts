/** Settled text at a pace that somebody reads, and not in as many messages as there are tokens. */
import type { DeltaEvent, EngineEvent } from './engine-types.ts';

/** Between two deltas of a stream: each wakes two threads and a client, and nobody reads more than 25 a second. */
export const PAUSE_MS = 40;

/**
 * Deltas, joined where the next one is sure to come within `pauseMs` of the one told before: the first and the last go
 * at once, and what a slow model settles in one step does not wait for its next.
 * @param stepMs how long the last forward took
 */
export function pacedDeltas(
  tell: (event: EngineEvent) => void,
  { pauseMs, stepMs, nowMs }: { pauseMs: number; stepMs: () => number; nowMs: () => number },
): (event: EngineEvent) => void {
  let toldMs = -Infinity;
  let held: DeltaEvent | null = null;
  const release = (): void => {
    if (held) tell(held);
    held = null;
    toldMs = nowMs();
  };
  return (event) => {
    if (event.type === 'delta') {
      held = held
        ? { ...event, text: held.text + event.text, tokens: [...held.tokens, ...event.tokens] }
        : event;
      if (toldMs === -Infinity || nowMs() + stepMs() - toldMs >= pauseMs) release();
      return;
    }
    if (event.type === 'reply') release();
    tell(event);
  };
}
