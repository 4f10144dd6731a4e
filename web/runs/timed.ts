/** One run with the page's own clock on it. While the server is away it waits, and then asks again from the beginning. */
import { source } from '../state.ts';
import { createBreath } from './breathe.ts';
import { createRecording } from './recording.ts';
import type { Recording } from './recording.ts';
import { RunError } from './run.ts';
import type { RunRequest } from './run.ts';
import { watchServer } from './server.ts';

export interface TimedRun {
  recording: Recording;
  /** From asking to the last line: what a caller waits. Milliseconds. */
  wallMs: number;
  /** Until the first settled text was here; null where none came. */
  firstTextMs: number | null;
}

export interface RunWatcher {
  /** It begins, or begins anew. */
  started?: (recording: Recording, startedMs: number) => void;
  /** Nobody answers. */
  waiting?: (reason: RunError) => void;
}

/** Throws `RunError`: `aborted`, or what the server has against the request. */
export async function timedRun(
  request: RunRequest,
  signal: AbortSignal,
  { started, waiting }: RunWatcher = {},
): Promise<TimedRun> {
  for (;;) {
    const from = source.value;
    try {
      if (from === null) throw new RunError('offline', 'nothing that runs models is there yet');
      const recording = createRecording(request);
      const startedMs = performance.now();
      let firstTextMs: number | null = null;
      started?.(recording, startedMs);
      const breathe = createBreath();
      for await (const line of from.run(request, signal)) {
        recording.push(line);
        if (line.type === 'block' && line.ids.length > 0) firstTextMs ??= performance.now() - startedMs;
        await breathe();
      }
      return { recording, wallMs: performance.now() - startedMs, firstTextMs };
    } catch (error) {
      const reason = error instanceof RunError ? error : new RunError('failed', String(error));
      if (signal.aborted) throw new RunError('aborted', 'given up');
      // Only a server can come back by itself.
      if (from?.kind === 'tab' || !['offline', 'loading'].includes(reason.code)) throw reason;
      waiting?.(reason);
      await Promise.race([watchServer(), aborted(signal)]);
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
