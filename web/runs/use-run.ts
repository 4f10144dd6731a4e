/** A run inside a view: one at a time, drawn at most once a frame of the screen, however fast the steps come. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { source } from '../state.ts';
import type { Frame, Recording } from './recording.ts';
import { createRecording } from './recording.ts';
import type { RunRequest, RunSource } from './run.ts';
import { RunError } from './run.ts';

export interface RunState {
  status: 'idle' | 'running' | 'finished' | 'stopped' | 'failed';
  recording: Recording | null;
  /** The newest. */
  frame: Frame | null;
  /** By the page's own clock, from asking until now or the end. Milliseconds. */
  wallMs: number;
  error: RunError | null;
}

const IDLE: RunState = { status: 'idle', recording: null, frame: null, wallMs: 0, error: null };

export interface RunHandle extends RunState {
  /** Gives up what is running. Resolves with the recording; null when it was stopped or failed. */
  start(request: RunRequest, from?: RunSource | null): Promise<Recording | null>;
  stop(): void;
  reset(): void;
}

/** For a look of each frame, asks the screen when it wants one. */
export function useRun(): RunHandle {
  const [state, setState] = useState<RunState>(IDLE);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);

  const start = useCallback(
    async (request: RunRequest, from: RunSource | null = source.value): Promise<Recording | null> => {
      controller.current?.abort();
      const own = new AbortController();
      controller.current = own;
      const recording = createRecording(request);
      const startedMs = performance.now();
      let frame: Frame | null = null;
      let scheduled = 0;
      const show = (status: RunState['status'], error: RunError | null = null): void => {
        if (controller.current !== own) return;
        setState({ status, recording, frame, wallMs: performance.now() - startedMs, error });
      };
      const draw = (): void => {
        scheduled ||= requestAnimationFrame(() => {
          scheduled = 0;
          show('running');
        });
      };
      show('running');
      try {
        if (!from) throw new RunError('offline', 'nothing that runs models is there yet');
        for await (const line of from.run(request, own.signal)) {
          frame = recording.push(line) ?? frame;
          draw();
        }
        cancelAnimationFrame(scheduled);
        show('finished');
        return recording;
      } catch (error) {
        cancelAnimationFrame(scheduled);
        const known = error instanceof RunError ? error : new RunError('failed', String(error));
        show(known.code === 'aborted' ? 'stopped' : 'failed', known);
        return null;
      }
    },
    [],
  );
  const stop = useCallback(() => controller.current?.abort(), []);
  const reset = useCallback(() => {
    controller.current?.abort();
    controller.current = null;
    setState(IDLE);
  }, []);
  return { ...state, start, stop, reset };
}
