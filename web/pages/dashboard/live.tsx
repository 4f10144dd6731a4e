/** Load, latency, queue and cache, now and in the last minutes. */
import { signal } from '@preact/signals';
import { useCallback, useMemo, useState } from 'preact/hooks';
import { ask } from '../../runs/server.ts';
import { linkTo } from '../../route.ts';
import { compact } from '../../../src/train/curves.ts';
import { Chart } from '../../views/chart.tsx';
import type { PlotModule } from '../../views/chart.tsx';
import type { Moment, Sample } from './history.ts';
import { momentsOf, readSample, withSample } from './history.ts';
import { usePolling, wordsOf } from './poll.ts';

const EVERY_MS = 2000;

/** Outlives the view, so that one can go elsewhere, ask something, and come back. */
const history = signal<Sample[]>([]);

export function Live() {
  const [error, setError] = useState('');
  const poll = useCallback(async (signal: AbortSignal) => {
    try {
      const text = await (await ask('/metrics', { signal })).text();
      history.value = withSample(history.value, readSample(text, Date.now()));
      setError('');
    } catch (thrown) {
      if (!signal.aborted) setError(wordsOf(thrown));
    }
  }, []);
  usePolling(poll, EVERY_MS);

  const samples = history.value;
  const moments = useMemo(() => momentsOf(samples), [samples]);
  const sample = samples.at(-1);
  const now = moments.at(-1);
  return (
    <section class="stack" aria-labelledby="load">
      <h2 id="load">Load</h2>
      {error !== '' && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      {sample && now ? (
        <>
          <div class="tiles">
            <Tile
              title="Throughput"
              figure={amount(now.tokensPerSecond)}
              unit="tokens/s"
              note={`${amount(now.requestsPerSecond)} requests/s, ${sample.requests} since the start`}
              moments={moments}
              lines={[{ name: 'tokens/s', of: ({ tokensPerSecond }) => tokensPerSecond }]}
            />
            <Tile
              title="Latency"
              figure={amount(now.latency?.p50 ?? null)}
              unit="ms, half of the requests"
              note={`95 %: ${amount(now.latency?.p95 ?? null)} ms, whole requests of the last 30 s`}
              moments={moments}
              lines={[
                { name: '50 %', of: ({ latency }) => latency?.p50 ?? null },
                { name: '95 %', of: ({ latency }) => latency?.p95 ?? null },
              ]}
            />
            <Tile
              title="First text"
              figure={amount(now.firstToken?.p50 ?? null)}
              unit="ms, half of the requests"
              note={`95 %: ${amount(now.firstToken?.p95 ?? null)} ms, the wait for a turn included`}
              moments={moments}
              lines={[
                { name: '50 %', of: ({ firstToken }) => firstToken?.p50 ?? null },
                { name: '95 %', of: ({ firstToken }) => firstToken?.p95 ?? null },
              ]}
            />
            <Tile
              title="Queue"
              figure={String(sample.waiting)}
              unit="waiting"
              note={`${sample.running} running`}
              moments={moments}
              lines={[
                { name: 'waiting', of: ({ waiting }) => waiting },
                { name: 'running', of: ({ running }) => running },
              ]}
            />
            <Tile
              title="Prompt cache"
              figure={percent(sample.promptTokens > 0 ? sample.cachedTokens / sample.promptTokens : null)}
              unit="of prompt tokens since the start"
              note={`${percent(now.fromCache)} in the last 30 s; memory ${percent(sample.cacheShare)} full`}
              moments={moments}
              lines={[
                { name: 'from cache, %', of: ({ fromCache }) => fromCache && 100 * fromCache },
                { name: 'memory, %', of: ({ cacheShare }) => 100 * cacheShare },
              ]}
              most={100}
            />
            <Models sample={sample} />
          </div>
          {sample.requests === 0 && (
            <p class="soft">
              Nothing was asked yet. <a href={linkTo('write')}>Write</a> or <a href={linkTo('race')}>race</a>{' '}
              in another view, or send a request as <code>tintype serve</code> prints it, and come back.
            </p>
          )}
        </>
      ) : (
        error === '' && <div class="tiles waiting" aria-busy="true" />
      )}
    </section>
  );
}

/** A dash where nothing can be said. */
const amount = (value: number | null): string =>
  value === null ? '–' : value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
const percent = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(0)} %`);

interface Line {
  name: string;
  of: (moment: Moment) => number | null;
}

interface TileProps {
  title: string;
  figure: string;
  unit: string;
  note: string;
  moments: readonly Moment[];
  lines: readonly Line[];
  /** Top of the axis. */
  most?: number;
}

const COLOURS = ['var(--series-1)', 'var(--series-2)'];
const DASHES = ['', '4 3'];
const HEIGHT = 120;
/** The axis has to end somewhere when all is zero. */
const LEAST_TOP = 1;

function Tile({ title, figure, unit, note, moments, lines, most }: TileProps) {
  const options = useCallback(
    (plot: PlotModule) => {
      const values = moments.flatMap((moment) => lines.map(({ of }) => of(moment) ?? 0));
      const top = most ?? Math.max(LEAST_TOP, ...values);
      return {
        marginLeft: 36,
        marginRight: 8,
        marginTop: 8,
        marginBottom: 20,
        x: { label: null, ticks: 3, tickSize: 0, domain: spanOf(moments) },
        y: { label: null, domain: [0, top], ticks: 3, tickSize: 0, tickFormat: compact },
        marks: [
          plot.gridY({ stroke: 'var(--edge)', strokeOpacity: 1, ticks: 3 }),
          ...lines.map(({ of }, index) =>
            plot.line(moments, {
              x: 'at',
              y: (moment: Moment) => of(moment) ?? NaN,
              stroke: COLOURS[index],
              strokeWidth: 1.75,
              strokeDasharray: DASHES[index],
            }),
          ),
        ],
      };
    },
    // Lines are literals of the same meaning every time.
    [moments, most],
  );
  return (
    <article class="card tile">
      <h3>{title}</h3>
      <p class="figure figures">
        <strong>{figure}</strong> <span class="soft">{unit}</span>
      </p>
      <Chart label={spoken(title, moments, lines)} height={HEIGHT} options={options} />
      {lines.length > 1 && (
        <ul class="keys" aria-hidden="true">
          {lines.map(({ name }, index) => (
            <li key={name} data-series={index}>
              {name}
            </li>
          ))}
        </ul>
      )}
      <p class="soft figures">{note}</p>
    </article>
  );
}

/** At least a minute wide, so that the first points do not jump. */
function spanOf(moments: readonly Moment[]): [Date, Date] {
  const end = moments.at(-1)!.at;
  return [new Date(Math.min(moments[0].at.getTime(), end.getTime() - 60_000)), end];
}

function spoken(title: string, moments: readonly Moment[], lines: readonly Line[]): string {
  const seconds = (moments.at(-1)!.at.getTime() - moments[0].at.getTime()) / 1000;
  const said = lines.map(({ name, of }) => {
    const values = moments.map(of).filter((value) => value !== null);
    if (values.length === 0) return `${name}: nothing yet`;
    return `${name}: now ${amount(of(moments.at(-1)!))}, lowest ${amount(Math.min(...values))}, highest ${amount(Math.max(...values))}`;
  });
  return `${title} over the last ${seconds.toFixed(0)} seconds. ${said.join('. ')}.`;
}

function Models({ sample }: { sample: Sample }) {
  return (
    <article class="card tile">
      <h3>Models since the start</h3>
      {sample.models.length === 0 ? (
        <p class="figure figures">
          <strong>0</strong> <span class="soft">tokens written</span>
        </p>
      ) : (
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="number">
                Tokens
              </th>
              <th scope="col" class="number">
                a forward
              </th>
            </tr>
          </thead>
          <tbody>
            {sample.models.map(({ model, generatedTokens, forwards }) => (
              <tr key={model}>
                <th scope="row">{model}</th>
                <td class="number">{generatedTokens}</td>
                <td class="number">{forwards > 0 ? (generatedTokens / forwards).toFixed(2) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </article>
  );
}
