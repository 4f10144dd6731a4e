/** One racer: its clock, its counts, its canvas as it develops. */
import { useMemo } from 'preact/hooks';
import type { Frame, Recording } from '../../runs/recording.ts';
import { CanvasText } from '../../views/canvas.tsx';
import { boardAt } from '../solve/board.ts';
import { SudokuGrid } from '../solve/grid.tsx';
import type { Lane, Result } from './race.ts';
import { frameAt } from './race.ts';
import type { Prompt, Racer } from './racers.ts';
import { milliseconds } from './report.ts';

/** What tells racers apart beside their colour and name. */
export const SHAPES = { diffusion: '■', verify: '◆', twin: '●', ar: '▲' } as const;

export function LaneCard({
  racer,
  lane,
  prompt,
  result,
  replayMs,
  longestMs,
}: {
  racer: Racer;
  lane: Lane | null;
  /** Shown while the lane has none of its own. */
  prompt: Prompt;
  /** Of the round on the screen. */
  result: Result | null;
  /** Milliseconds of decoding; null: not a replay. */
  replayMs: number | null;
  /** What fills the bar. */
  longestMs: number;
}) {
  const recording = lane?.recording ?? null;
  const done = recording?.done ?? null;
  const isReplay = replayMs !== null && recording !== null && done !== null;
  const frame = isReplay ? frameAt(recording, replayMs) : (lane?.frame ?? null);
  const gap = lane?.prompt ?? prompt;
  // Drawn anew only when it changes: the clock beside it ticks with the screen, on the machine that runs the race.
  const answer = useMemo(
    () => <Answer frame={frame} recording={recording} prompt={gap} label={racer.label} />,
    [frame, recording, gap, racer.label],
  );
  const clockMs = isReplay ? Math.min(replayMs, done.elapsedMs) : (lane?.clockMs ?? 0);
  const forwards = isReplay
    ? recording.steps.filter(({ elapsedMs }) => elapsedMs <= replayMs).length
    : (recording?.steps.length ?? 0);
  return (
    <article
      class="card lane"
      data-racer={racer.id}
      data-status={lane?.status ?? 'idle'}
      aria-label={racer.label}
    >
      <header>
        <h2>
          <span class="lane-shape" aria-hidden="true">
            {SHAPES[racer.id]}
          </span>
          {racer.label}
        </h2>
        <p class="soft">
          {racer.model}: {racer.about}
        </p>
      </header>
      <p class="lane-clock figures">
        <b>{Math.round(clockMs)}</b> ms
        <span class="soft">{isReplay ? `of ${milliseconds(done.elapsedMs)} decoding` : said(lane)}</span>
      </p>
      <div class="lane-bar" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, (clockMs / Math.max(1, longestMs)) * 100)}%` }} />
      </div>
      {answer}
      <p class="lane-counts figures soft">
        {forwards} forwards
        {done && !isReplay && (
          <>
            , {done.usefulTokens} useful tokens, {done.tpf.toFixed(2)} a forward
            {result && `, ${result.tokensPerSecond.toFixed(1)} a second`}
            {result && <Verdict result={result} />}
          </>
        )}
      </p>
    </article>
  );
}

function Verdict({ result: { quality } }: { result: Result }) {
  const good = quality.kind === 'code' ? quality.syntaxErrors === 0 : quality.solved;
  const text =
    quality.kind === 'code'
      ? good
        ? 'parses'
        : `does not parse (${quality.syntaxErrors} ${quality.syntaxErrors === 1 ? 'place' : 'places'})`
      : good
        ? 'solved'
        : quality.valid
          ? 'valid, but a given was changed'
          : 'not a valid grid';
  return (
    <>
      <br />
      <span class={good ? 'good' : 'error'}>
        {good ? '✓' : '✕'} {text}
      </span>
    </>
  );
}

const SAID: Record<Lane['status'], string> = {
  ready: 'waits for its turn',
  warming: 'warms up, not timed',
  running: 'runs',
  waiting: 'the server is away; it starts again when it is back',
  done: 'the whole request',
  failed: '',
  stopped: 'stopped',
};

const said = (lane: Lane | null): string =>
  lane === null
    ? 'has not run'
    : lane.status === 'failed'
      ? `failed: ${lane.error?.message}`
      : SAID[lane.status];

function Answer({
  frame,
  recording,
  prompt,
  label,
}: {
  frame: Frame | null;
  recording: Recording | null;
  prompt: Prompt;
  label: string;
}) {
  if (prompt.kind === 'puzzle') {
    const { sudoku } = prompt;
    const forwards = frame === null ? 0 : (frame.step?.nfe ?? recording!.steps.length);
    return <SudokuGrid board={boardAt(sudoku, recording, forwards)} size={sudoku.size} label={label} />;
  }
  const before = prompt.prefix.split('\n').slice(-4).join('\n');
  const after = prompt.suffix.split('\n').slice(0, 3).join('\n');
  return (
    // It scrolls, so it can be reached by keyboard.
    <div class="lane-text" tabIndex={0} role="region" aria-label={`${label}, answer in its place`}>
      <code class="context">{before}</code>
      {frame && recording ? (
        <CanvasText pieces={recording.pieces(frame)} label={`${label} wrote`} />
      ) : (
        <span class="gap" role="img" aria-label="the gap">
          ◌
        </span>
      )}
      <code class="context">{after}</code>
    </div>
  );
}
