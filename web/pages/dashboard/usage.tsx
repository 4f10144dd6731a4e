/** What was used and what it cost, by key and model, from the server's ledger. */
import { useCallback, useMemo, useState } from 'preact/hooks';
import { ask } from '../../runs/server.ts';
import { Chart } from '../../views/chart.tsx';
import type { PlotModule } from '../../views/chart.tsx';
import { usePolling, wordsOf } from './poll.ts';

interface Total {
  key_id: string | null;
  model: string;
  requests: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  price: number;
}

const EVERY_MS = 10_000;
const DAY_MS = 86_400_000;

const PERIODS = {
  today: 'today',
  week: 'the last 7 days',
  month: 'this month',
  all: 'all time',
} as const;
type Period = keyof typeof PERIODS;

/** Midnights are UTC's, as the budgets of keys are. */
function sinceOf(period: Period, now: Date): string {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (period === 'all') return '0';
  if (period === 'week') return new Date(now.getTime() - 7 * DAY_MS).toISOString();
  return new Date(Date.UTC(year, month, period === 'month' ? 1 : day)).toISOString();
}

const keyName = (id: string | null): string => id ?? 'no key';
const money = (price: number): string => price.toFixed(price !== 0 && price < 0.01 ? 6 : 2);

export function Usage() {
  const [period, setPeriod] = useState<Period>('month');
  const [totals, setTotals] = useState<Total[] | null>(null);
  const [error, setError] = useState('');
  const poll = useCallback(
    async (signal: AbortSignal) => {
      try {
        const path = `/v1/usage?limit=0&since=${encodeURIComponent(sinceOf(period, new Date()))}`;
        const said = (await (await ask(path, { signal })).json()) as { totals: Total[] };
        setTotals(said.totals);
        setError('');
      } catch (thrown) {
        if (signal.aborted) return;
        const isMissing = (thrown as { code?: string }).code === 'not_found';
        setError(
          isMissing
            ? 'This server keeps no usage: its data folder cannot be written. Name one with tintype serve --data.'
            : wordsOf(thrown),
        );
      }
    },
    [period],
  );
  usePolling(poll, EVERY_MS);
  const sum = (pick: (total: Total) => number): number =>
    (totals ?? []).reduce((all, each) => all + pick(each), 0);
  return (
    <section class="stack" aria-labelledby="usage">
      <div class="row spread">
        <h2 id="usage">Usage and cost</h2>
        <label>
          Of
          <select value={period} onChange={({ currentTarget }) => setPeriod(currentTarget.value as Period)}>
            {Object.entries(PERIODS).map(([id, label]) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      {error !== '' && (
        <p role="alert" class="error">
          {error}
        </p>
      )}
      {totals && (
        <div class="card stack">
          <Costs totals={totals} />
          <div class="scroll" tabIndex={0} role="region" aria-label="Table of usage">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Key</th>
                  <th scope="col">Model</th>
                  {['Requests', 'Prompt', 'Cached', 'Written', 'Cost'].map((name) => (
                    <th key={name} scope="col" class="number">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {totals.map((total) => (
                  <tr key={`${total.key_id} ${total.model}`}>
                    <th scope="row">{keyName(total.key_id)}</th>
                    <td>{total.model}</td>
                    <td class="number">{total.requests}</td>
                    <td class="number">{total.prompt_tokens}</td>
                    <td class="number">{total.cached_tokens}</td>
                    <td class="number">{total.completion_tokens}</td>
                    <td class="number">{money(total.price)}</td>
                  </tr>
                ))}
                <tr class="sum">
                  <th scope="row">Together</th>
                  <td />
                  <td class="number">{sum(({ requests }) => requests)}</td>
                  <td class="number">{sum((each) => each.prompt_tokens)}</td>
                  <td class="number">{sum((each) => each.cached_tokens)}</td>
                  <td class="number">{sum((each) => each.completion_tokens)}</td>
                  <td class="number">{money(sum(({ price }) => price))}</td>
                </tr>
              </tbody>
            </table>
          </div>
          <p class="soft">
            Tokens, and money in the currency of the prices (<code>tintype serve --prices</code>). A key
            without the scope admin sees its own.
          </p>
        </div>
      )}
    </section>
  );
}

/** Only where there are several to compare. */
function Costs({ totals }: { totals: readonly Total[] }) {
  const byKey = useMemo(() => {
    const costs = new Map<string, number>();
    for (const { key_id, price } of totals)
      costs.set(keyName(key_id), (costs.get(keyName(key_id)) ?? 0) + price);
    return [...costs].map(([key, price]) => ({ key, price })).sort((a, b) => b.price - a.price);
  }, [totals]);
  const options = useCallback(
    (plot: PlotModule) => ({
      marginLeft: 8,
      marginTop: 4,
      marginBottom: 4,
      marginRight: 80,
      x: { axis: null },
      y: { axis: null, domain: byKey.map(({ key }) => key) },
      marks: [
        plot.barX(byKey, { x: 'price', y: 'key', fill: 'var(--series-1)', inset: 4, rx: 2 }),
        plot.text(byKey, {
          x: 'price',
          y: 'key',
          text: ({ key, price }: { key: string; price: number }) => `${key}  ${money(price)}`,
          textAnchor: 'start',
          dx: 6,
          fill: 'var(--text)',
        }),
      ],
    }),
    [byKey],
  );
  if (byKey.length < 2) return null;
  const label = `Cost by key: ${byKey.map(({ key, price }) => `${key} ${money(price)}`).join(', ')}`;
  return <Chart label={label} height={8 + 32 * byKey.length} options={options} />;
}
