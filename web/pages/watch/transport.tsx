/** Moving through a run: a slider over its forwards, and playing it at a chosen speed or as fast as it went. */
import { useEffect } from 'preact/hooks';
import type { History } from './history.ts';
import { forwardName, plural } from './words.ts';

export const SPEEDS = ['1', '3', '8', '20', 'real'] as const;
export type Speed = (typeof SPEEDS)[number];

export interface TransportProps {
  history: History;
  at: number;
  isPlaying: boolean;
  isRunning: boolean;
  speed: Speed;
  onGo: (at: number) => void;
  onPlay: (isPlaying: boolean) => void;
  onSpeed: (speed: Speed) => void;
}

export function Transport(props: TransportProps) {
  const { history, at, isPlaying, isRunning, speed, onGo, onPlay, onSpeed } = props;
  const last = history.moments.length - 1;
  usePlayback(props);
  const play = (): void => {
    if (!isPlaying && at >= last) onGo(0);
    onPlay(!isPlaying);
  };
  return (
    <div class="transport" role="group" aria-label="Steps">
      <button
        type="button"
        class="play"
        onClick={play}
        disabled={last < 1 || isRunning}
        aria-pressed={isPlaying}
      >
        {isPlaying ? 'Pause' : 'Play'}
      </button>
      <input
        type="range"
        min={0}
        max={Math.max(last, 1)}
        value={at}
        disabled={last < 1}
        aria-label="Forward"
        aria-valuetext={`${forwardName(at)} of ${last}, ${plural(history.moments[at].masksLeft, 'mask')} left`}
        onInput={(event) => onGo(Number(event.currentTarget.value))}
      />
      <output class="figures">
        {at} / {last}
      </output>
      <label>
        <span class="soft">Speed</span>
        <select value={speed} onChange={(event) => onSpeed(event.currentTarget.value as Speed)}>
          {SPEEDS.map((each) => (
            <option key={each} value={each}>
              {each === 'real' ? 'as it ran' : `${each} a second`}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function usePlayback({ history, at, isPlaying, speed, onGo, onPlay }: TransportProps): void {
  useEffect(() => {
    if (!isPlaying) return undefined;
    const { moments } = history;
    const last = moments.length - 1;
    const clockOf = (place: number): number => moments[place].step?.elapsedMs ?? 0;
    const startedMs = performance.now();
    let shown = at;
    let frame = requestAnimationFrame(function advance(nowMs) {
      const passedMs = Math.max(0, nowMs - startedMs);
      let next = shown;
      if (speed === 'real') {
        while (next < last && clockOf(next + 1) <= clockOf(at) + passedMs) next++;
      } else {
        next = Math.min(last, at + Math.floor((passedMs * Number(speed)) / 1000));
      }
      if (next !== shown) onGo((shown = next));
      if (shown >= last) return onPlay(false);
      frame = requestAnimationFrame(advance);
    });
    return () => cancelAnimationFrame(frame);
    // Where it is now is only where playing starts from.
  }, [isPlaying, speed, history]);
}
