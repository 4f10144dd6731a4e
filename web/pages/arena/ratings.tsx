/** Ratings of all votes on this server, with intervals, as a picture and as a table. */
import { useMemo, useState } from 'preact/hooks';
import type { Board } from '../../../src/eval/bradley-terry.ts';
import { board } from '../../../src/eval/bradley-terry.ts';
import { Chart } from '../../views/chart.tsx';
import type { PlotModule } from '../../views/chart.tsx';
import { exportVotes, takeBack, trouble, votes } from './votes.ts';

export function Ratings() {
  const all = votes.value;
  const [told, setTold] = useState('');
  const ratings = useMemo(
    () =>
      all && board(all.map(({ top, bottom, outcome }) => ({ top: top.name, bottom: bottom.name, outcome }))),
    [all],
  );
  return (
    <section class="stack" aria-labelledby="ratings">
      <div class="row spread">
        <h2 id="ratings">Ratings</h2>
        {all !== null && all.length > 0 && (
          <div class="row">
            <button type="button" onClick={async () => setTold(await takeBack())}>
              Take my last vote back
            </button>
            <button type="button" onClick={async () => setTold(await exportVotes('csv'))}>
              Save CSV
            </button>
            <button type="button" onClick={async () => setTold(await exportVotes('json'))}>
              Save JSON
            </button>
          </div>
        )}
      </div>
      {trouble.value !== '' && (
        <p role="alert" class="error">
          {trouble.value}
        </p>
      )}
      <p role="status" class="soft told">
        {told}
      </p>
      {ratings && (ratings.votes === 0 ? <Empty /> : <Standing standing={ratings} />)}
    </section>
  );
}

const Empty = () => (
  <p class="soft">
    No votes yet. The first ones give a rating with a wide interval; it narrows as votes come in.
  </p>
);

/** Below it a bootstrap draws the same few votes again and again. */
const FEW = 30;

const whole = (points: number): string => points.toFixed(0);

function Standing({ standing }: { standing: Board }) {
  const { ratings, top, topShare, votes } = standing;
  const options = useMemo(() => pictureOf(standing), [standing]);
  const said = ratings.map(
    ({ name, rating, low, high }) => `${name} ${whole(rating)}, from ${whole(low)} to ${whole(high)}`,
  );
  return (
    <>
      <Chart
        label={`Ratings with 95 % intervals: ${said.join('; ')}`}
        height={40 + 36 * ratings.length}
        options={options}
      />
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of ratings">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Contestant</th>
              <th scope="col" class="number">
                Rating
              </th>
              <th scope="col" class="number">
                95 % interval
              </th>
              <th scope="col" class="number">
                Won
              </th>
              <th scope="col" class="number">
                Lost
              </th>
              <th scope="col" class="number">
                Equal
              </th>
            </tr>
          </thead>
          <tbody>
            {ratings.map(({ name, rating, low, high, wins, losses, ties }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number">{whole(rating)}</td>
                <td class="number">
                  {whole(low)} to {whole(high)}
                </td>
                <td class="number">{wins}</td>
                <td class="number">{losses}</td>
                <td class="number">{ties}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="soft">
        {votes} {votes === 1 ? 'vote' : 'votes'}
        {topShare !== null && `, ${(100 * topShare).toFixed(0)} % of those with a winner for the top one`}.
        Standing on top is worth {whole(top.points)} points ({whole(top.low)} to {whole(top.high)}), which are
        taken out of the ratings. Bradley–Terry by logistic regression with the place as a covariate, L2 with
        C = 1, scale 400, base 1000; intervals by 300 bootstrap rounds
        {votes < FEW && ', which say little with so few votes'}.
      </p>
    </>
  );
}

const pictureOf =
  ({ ratings }: Board) =>
  (plot: PlotModule, width: number) => ({
    marginLeft: 8,
    marginRight: 8,
    marginTop: 24,
    marginBottom: 24,
    x: { label: null, nice: true, ticks: width / 90, inset: 12 },
    y: { domain: ratings.map(({ name }) => name), axis: null },
    marks: [
      plot.gridX({ stroke: 'var(--edge)', strokeOpacity: 1, ticks: width / 90 }),
      plot.link(ratings, {
        x1: 'low',
        x2: 'high',
        y1: 'name',
        y2: 'name',
        stroke: 'var(--series-1)',
        strokeWidth: 2,
      }),
      plot.dot(ratings, { x: 'rating', y: 'name', r: 5, fill: 'var(--series-1)' }),
      plot.text(ratings, { x: 'rating', y: 'name', text: 'name', dy: -12, fill: 'var(--text)' }),
    ],
  });
