/** The last round once more, side by side: what ran in turns is shown at once, each lane by its own decoding clock. */
import { useEffect, useRef } from 'preact/hooks';
import { remembered } from '../../state.ts';
import { milliseconds } from './report.ts';

const SPEEDS = [1, 0.5, 0.2, 0.1, 0.05];
const speedOfReplay = remembered('race.speed', 1);

export function Replay({
  at,
  longestMs,
  playing,
  set,
  setPlaying,
}: {
  /** Milliseconds; null before it was asked for. */
  at: number | null;
  longestMs: number;
  playing: boolean;
  set: (at: number | null) => void;
  setPlaying: (playing: boolean) => void;
}) {
  const speed = speedOfReplay.value;
  const now = useRef(0);
  now.current = at ?? 0;
  useEffect(() => {
    if (!playing) return;
    let drawing = 0;
    let before = performance.now();
    const draw = (time: number): void => {
      const next = now.current + Math.max(0, time - before) * speed;
      before = time;
      set(Math.min(next, longestMs));
      if (next >= longestMs) setPlaying(false);
      else drawing = requestAnimationFrame(draw);
    };
    drawing = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(drawing);
  }, [playing, speed, longestMs]);
  return (
    <div class="replay" role="group" aria-label="Replay of the last round">
      <button
        type="button"
        class="play"
        onClick={() => {
          if (!playing && (at === null || at >= longestMs)) set(0);
          setPlaying(!playing);
        }}
      >
        {playing ? 'Pause' : 'Replay side by side'}
      </button>
      <input
        type="range"
        min="0"
        max={Math.max(1, Math.ceil(longestMs))}
        step="1"
        value={at ?? longestMs}
        aria-label="Time of the replay"
        aria-valuetext={`${milliseconds(at ?? longestMs)} of ${milliseconds(longestMs)} milliseconds`}
        onInput={({ currentTarget }) => {
          setPlaying(false);
          set(currentTarget.valueAsNumber);
        }}
      />
      <select
        value={speed}
        aria-label="Speed of the replay"
        onChange={({ currentTarget }) => (speedOfReplay.value = Number(currentTarget.value))}
      >
        {SPEEDS.map((one) => (
          <option key={one} value={one}>
            {one === 1 ? 'as it ran' : `${Math.round(1 / one)} times slower`}
          </option>
        ))}
      </select>
      <button
        type="button"
        class="quiet"
        disabled={at === null}
        onClick={() => {
          setPlaying(false);
          set(null);
        }}
      >
        Back to the result
      </button>
    </div>
  );
}
