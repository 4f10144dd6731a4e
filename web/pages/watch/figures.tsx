/** What a run cost until here, and how its masks went. */
import { MASKED } from '../../../src/decode/canvas.ts';
import type { Recording } from '../../runs/recording.ts';
import type { History, Moment } from './history.ts';

export interface FiguresProps {
  history: History;
  recording: Recording;
  at: number;
}

export function Figures({ history, recording, at }: FiguresProps) {
  const { moments } = history;
  const now = moments[at];
  const isEnd = at === moments.length - 1 && recording.done !== null;
  const forwards = now.step?.nfe ?? 0;
  const tokens = isEnd ? recording.done.usefulTokens : writtenTokens(history, now);
  const positions = moments.slice(1, at + 1).reduce((sum, { step }) => sum + (step?.positions ?? 0), 0);
  const elapsedMs = now.step?.elapsedMs ?? 0;
  const ownMs = elapsedMs - (moments[at - 1]?.step?.elapsedMs ?? 0);
  const facts: [string, string][] = [
    ['Forwards', String(forwards)],
    ['Tokens', String(tokens)],
    ['Tokens per forward', forwards === 0 ? '–' : (tokens / forwards).toFixed(2)],
    ['Positions computed', String(positions)],
    ['This step', at === 0 ? '–' : `${ownMs.toFixed(1)} ms`],
    ['ms per step, median', medianStep(moments, at)],
    ['Time', `${elapsedMs.toFixed(0)} ms`],
  ];
  const { drafted, accepted } = recording.done ?? { drafted: 0, accepted: 0 };
  if (isEnd && drafted > 0) facts.push(['Drafts accepted', `${accepted} of ${drafted}`]);
  return (
    <section class="card figures-part" aria-labelledby="figures-title">
      <h2 id="figures-title">{isEnd ? 'The whole run' : 'Until here'}</h2>
      <dl class="tiles figures">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <MasksPlot moments={moments} at={at} />
    </section>
  );
}

const writtenTokens = (history: History, { ids }: Moment): number =>
  ids.reduce((count, id, index) => count + (id !== MASKED && !history.isGiven(index) ? 1 : 0), 0);

/** Of the forwards until here without the first, which takes the prompt in. */
function medianStep(moments: readonly Moment[], at: number): string {
  const times: number[] = [];
  for (let i = 2; i <= at; i++) {
    times.push((moments[i].step?.elapsedMs ?? 0) - (moments[i - 1].step?.elapsedMs ?? 0));
  }
  if (times.length === 0) return '–';
  times.sort((a, b) => a - b);
  return times[times.length >> 1].toFixed(1);
}

const PLOT = { width: 320, height: 96, left: 30, bottom: 18, top: 6, right: 6 };

function MasksPlot({ moments, at }: { moments: readonly Moment[]; at: number }) {
  const { width, height, left, bottom, top, right } = PLOT;
  const most = Math.max(1, moments[0].masksLeft);
  const last = Math.max(1, moments.length - 1);
  const x = (place: number): number => left + ((width - left - right) * place) / last;
  const y = (masks: number): number => top + (height - top - bottom) * (1 - masks / most);
  const line = moments.map(({ masksLeft }, i) => `${x(i).toFixed(1)},${y(masksLeft).toFixed(1)}`).join(' ');
  const { masksLeft } = moments[at];
  return (
    <figure class="plot">
      <figcaption>Masks left, by forward</figcaption>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${masksLeft} masks left after forward ${at}`}
      >
        <path class="axis" d={`M${left} ${top}V${height - bottom}H${width - right}`} />
        <text x={left - 5} y={top + 8} text-anchor="end">
          {most}
        </text>
        <text x={left - 5} y={height - bottom} text-anchor="end">
          0
        </text>
        <text x={width - right} y={height - 4} text-anchor="end">
          {moments.length - 1}
        </text>
        <polyline points={line} />
        <line class="now" x1={x(at)} x2={x(at)} y1={top} y2={height - bottom} />
        <circle cx={x(at)} cy={y(masksLeft)} r="3.5" />
      </svg>
    </figure>
  );
}
