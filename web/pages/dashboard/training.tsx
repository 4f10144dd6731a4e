/** Training runs with their curves; a run that is being trained grows while one looks. */
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { Curve, XAxis } from '../../../src/train/curves.ts';
import { compact, curvesOf, rangeOf, X_AXES, X_LABELS, Y_LABELS } from '../../../src/train/curves.ts';
import { Chart } from '../../views/chart.tsx';
import type { PlotModule } from '../../views/chart.tsx';
import { usePolling, wordsOf } from './poll.ts';
import { listRuns, readOn } from './run-logs.ts';
import type { ListedRun, ReadRun, RunList } from './run-logs.ts';

const EVERY_MS = 2000;
/** A run writes a line every few seconds; a checkpoint may take longer. */
const LIVE_SECONDS = 60;
const SHOWN_AT_START = 2;
const MOST_SHOWN = 4;
const HEIGHT = 320;

const SERIES = ['var(--series-1)', 'var(--series-2)', 'var(--series-3)', 'var(--series-4)'];
const DASHES = ['', '6 3', '2 3', '8 3 2 3'];

export function Training() {
  const [list, setList] = useState<RunList | null>(null);
  const [chosen, setChosen] = useState<string[] | null>(null);
  const [read, setRead] = useState<ReadonlyMap<string, ReadRun>>(new Map());
  const [error, setError] = useState('');
  const [x, setX] = useState<XAxis>('tokens');
  const [y, setY] = useState('lossNats');
  const known = useRef<ReadonlyMap<string, ReadRun>>(read);

  const poll = useCallback(
    async (signal: AbortSignal) => {
      try {
        const found = await listRuns(signal);
        setList(found);
        const next = new Map<string, ReadRun>();
        for (const id of shownOf(found.data, chosen))
          next.set(id, await readOn(id, known.current.get(id), signal));
        const isNews =
          next.size !== known.current.size || [...next].some(([id, run]) => known.current.get(id) !== run);
        if (isNews) {
          known.current = next;
          setRead(next);
        }
        setError('');
      } catch (thrown) {
        if (!signal.aborted) setError(wordsOf(thrown));
      }
    },
    [chosen],
  );
  usePolling(poll, EVERY_MS);

  const runs = list?.data ?? [];
  const shown = shownOf(runs, chosen);
  const isLive = (run: ListedRun): boolean =>
    list !== null &&
    list.now - run.changed_at < LIVE_SECONDS &&
    (read.get(run.id)?.about.ended ?? null) === null;
  const toggle = (id: string): void =>
    setChosen(shown.includes(id) ? shown.filter((each) => each !== id) : [...shown, id]);
  return (
    <section class="stack" aria-labelledby="training">
      <h2 id="training">Training</h2>
      {error !== '' && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      {list && runs.length === 0 && (
        <p class="soft">
          No runs yet: the folder that <code>tintype serve --runs</code> names holds no log. Start one beside
          the server with <code>tintype train --preset sudoku --minutes 5 --out runs/sudoku</code>, and it
          appears here.
        </p>
      )}
      {runs.length > 0 && (
        <div class="card stack">
          <div class="row">
            <label>
              Curve
              <select value={y} onChange={({ currentTarget }) => setY(currentTarget.value)}>
                {Object.entries(Y_LABELS).map(([name, { title }]) => (
                  <option key={name} value={name}>
                    {title}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Over
              <select value={x} onChange={({ currentTarget }) => setX(currentTarget.value as XAxis)}>
                {X_AXES.map((axis) => (
                  <option key={axis} value={axis}>
                    {X_LABELS[axis]}
                  </option>
                ))}
              </select>
            </label>
          </div>
          <Curves runs={shown.flatMap((id) => read.get(id) ?? [])} order={shown} x={x} y={y} />
          <fieldset class="runs">
            <legend class="soft">Runs, the one written last first; up to {MOST_SHOWN} are drawn</legend>
            {runs.map((run) => (
              <label key={run.id} data-series={shown.indexOf(run.id)}>
                <input
                  type="checkbox"
                  checked={shown.includes(run.id)}
                  disabled={!shown.includes(run.id) && shown.length >= MOST_SHOWN}
                  onChange={() => toggle(run.id)}
                />
                <span>{run.id}</span>
                <span class="soft figures">{stateOf(read.get(run.id), isLive(run), run)}</span>
              </label>
            ))}
          </fieldset>
        </div>
      )}
    </section>
  );
}

const shownOf = (runs: readonly ListedRun[], chosen: readonly string[] | null): string[] =>
  chosen === null
    ? runs.slice(0, SHOWN_AT_START).map(({ id }) => id)
    : chosen.filter((id) => runs.some((run) => run.id === id));

function stateOf(read: ReadRun | undefined, isLive: boolean, { changed_at }: ListedRun): string {
  const last = read?.log.steps.at(-1);
  const when = new Date(changed_at * 1000).toLocaleString();
  const state = isLive ? 'training' : (read?.about.ended ?? `last line ${when}`);
  if (!read || !last) return state;
  const { totalTokens } = read.about;
  return [
    state,
    `step ${last.step}`,
    `${compact(last.tokens)}${totalTokens === null ? '' : ` of ${compact(totalTokens)}`} tokens`,
    ...(isLive ? [`${last.tokensPerSecond.toFixed(0)} tokens/s`] : []),
  ].join(', ');
}

function Curves({
  runs,
  order,
  x,
  y,
}: {
  runs: readonly ReadRun[];
  order: readonly string[];
  x: XAxis;
  y: string;
}) {
  const curves = useMemo((): Curve[] => {
    try {
      return curvesOf(
        runs.map(({ log }) => log),
        x,
        y,
        null,
      );
    } catch {
      // No run that is shown has logged this.
      return [];
    }
  }, [...runs, x, y]);
  const options = useMemo(() => pictureOf(curves, order), [curves, order.join('\n')]);
  if (curves.length === 0) {
    return (
      <p class="soft nothing" style={{ minHeight: `${HEIGHT}px` }}>
        {runs.length === 0
          ? 'Choose a run below.'
          : 'The runs that are chosen have logged nothing of this kind.'}
      </p>
    );
  }
  const { title, unit } = Y_LABELS[y];
  const said = curves.map(({ name, line, dots }) => {
    const points = line.length > 0 ? line : dots;
    return `${name}: from ${points[0].y.toPrecision(3)} to ${points.at(-1)!.y.toPrecision(3)} at ${compact(points.at(-1)!.x)}`;
  });
  return (
    <figure class="curves">
      <figcaption class="soft">
        {title}, {unit}, over {X_LABELS[x]}. Line: smoothed; faint: as logged; dots: held out.
      </figcaption>
      <Chart label={`${title} over ${X_LABELS[x]}. ${said.join('. ')}.`} height={HEIGHT} options={options} />
      <ul class="keys">
        {curves.map(({ name, line, dots }) => (
          <li key={name} data-series={order.indexOf(name)}>
            {name} {(line.at(-1) ?? dots.at(-1))!.y.toPrecision(4)}
          </li>
        ))}
      </ul>
    </figure>
  );
}

const pictureOf =
  (curves: readonly Curve[], order: readonly string[]) => (plot: PlotModule, width: number) => {
    const end = Math.max(...curves.flatMap(({ line, dots }) => [...line, ...dots].map((point) => point.x)));
    return {
      marginLeft: 48,
      marginRight: 12,
      marginTop: 12,
      marginBottom: 24,
      x: { label: null, domain: [0, end], ticks: width / 110, tickFormat: compact, tickSize: 0 },
      y: { label: null, domain: rangeOf(curves, end), ticks: 5, tickSize: 0 },
      marks: [
        plot.gridY({ stroke: 'var(--edge)', strokeOpacity: 1, ticks: 5 }),
        ...curves.flatMap(({ name, raw, line, dots }) => {
          const series = order.indexOf(name);
          const stroke = SERIES[series % SERIES.length];
          const at = { x: 'x', y: 'y', clip: true } as const;
          return [
            plot.line(raw, { ...at, stroke, strokeWidth: 1, strokeOpacity: 0.25 }),
            plot.line(line, {
              ...at,
              stroke,
              strokeWidth: 2,
              strokeDasharray: DASHES[series % DASHES.length],
            }),
            plot.dot(dots, { ...at, fill: stroke, r: 4 }),
          ];
        }),
      ],
    };
  };
