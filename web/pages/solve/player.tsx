/** Moves through the forwards of a finished run, by hand or by a clock. */
import { useEffect } from 'preact/hooks';
import type { TimedRun } from '../../runs/timed.ts';
import { remembered } from '../../state.ts';

const SPEEDS = [0.5, 1, 2, 5, 20];
const stepsPerSecond = remembered('solve.speed', 1);

export function Player({
  at,
  last,
  set,
  playing,
  setPlaying,
  run,
}: {
  at: number;
  last: number;
  set: (at: number) => void;
  playing: boolean;
  setPlaying: (playing: boolean) => void;
  run: TimedRun | null;
}) {
  const speed = stepsPerSecond.value;
  useEffect(() => {
    if (!playing) return;
    if (at >= last) return setPlaying(false);
    const timer = setTimeout(() => set(at + 1), 1000 / speed);
    return () => clearTimeout(timer);
  }, [playing, at, last, speed]);
  const go = (to: number): void => {
    setPlaying(false);
    set(Math.max(0, Math.min(last, to)));
  };
  const none = last === 0;
  return (
    <div class="player" role="group" aria-label="Forwards">
      <div class="row">
        <button type="button" disabled={none} onClick={() => go(0)} aria-label="To the start">
          |◀
        </button>
        <button type="button" disabled={none} onClick={() => go(at - 1)} aria-label="One forward back">
          ◀
        </button>
        <button
          type="button"
          class="play"
          disabled={none}
          onClick={() => {
            if (!playing && at >= last) set(0);
            setPlaying(!playing);
          }}
        >
          {playing ? 'Pause' : 'Play'}
        </button>
        <button type="button" disabled={none} onClick={() => go(at + 1)} aria-label="One forward on">
          ▶
        </button>
        <button type="button" disabled={none} onClick={() => go(last)} aria-label="To the end">
          ▶|
        </button>
        <label class="speed">
          <span class="sr-only">Forwards a second</span>
          <select
            value={speed}
            onChange={({ currentTarget }) => (stepsPerSecond.value = Number(currentTarget.value))}
          >
            {SPEEDS.map((one) => (
              <option key={one} value={one}>
                {one} a second
              </option>
            ))}
          </select>
        </label>
      </div>
      <input
        type="range"
        min="0"
        max={Math.max(1, last)}
        step="1"
        value={at}
        disabled={none}
        aria-label="Forward"
        aria-valuetext={`forward ${at} of ${last}`}
        onInput={({ currentTarget }) => go(currentTarget.valueAsNumber)}
      />
      <p class="soft figures">{none ? 'Not solved yet.' : pace(at, last, speed, run)}</p>
    </div>
  );
}

/** The truth about the speed that is seen. */
function pace(at: number, last: number, speed: number, run: TimedRun | null): string {
  const where = `Forward ${at} of ${last}.`;
  const done = run?.recording.done;
  if (!done || done.nfe === 0) return where;
  const slower = 1000 / speed / (done.elapsedMs / done.nfe);
  const ratio =
    slower >= 1.5 ? `about ${Math.round(slower)} times slower than it ran` : 'about as fast as it ran';
  return `${where} Played at ${speed} a second, ${ratio}.`;
}
