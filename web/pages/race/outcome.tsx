/** The result table, every single run, and both to take away. */
import { useState } from 'preact/hooks';
import { notice } from '../../state.ts';
import { SHAPES } from './lane.tsx';
import type { RaceState } from './race.ts';
import { isGood } from './quality.ts';
import { asJson, asMarkdown, milliseconds, summarise, tableOf } from './report.ts';

export function Outcome({ state }: { state: RaceState }) {
  const summaries = summarise(state);
  const { plan, results, orders, status } = state;
  if (plan === null || summaries.length === 0) return null;
  const rounds = Math.max(...summaries.map((summary) => summary.rounds));
  return (
    <section class="stack outcome" aria-labelledby="outcome-title">
      <div class="row spread">
        <h2 id="outcome-title">
          {status === 'running' ? 'So far' : 'Result'}
          <span class="soft">
            {' '}
            {rounds === 1 ? 'one round' : `medians of ${rounds} rounds`}, prompt {plan.cache}
          </span>
        </h2>
        {status !== 'running' && <TakeAway state={state} />}
      </div>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Result table">
        <table class="table">
          <thead>
            <tr>
              <td />
              {summaries.map(({ racer }) => (
                <th key={racer.id} scope="col" class="number" data-racer={racer.id}>
                  <span class="lane-shape" aria-hidden="true">
                    {SHAPES[racer.id]}
                  </span>
                  {racer.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tableOf(plan.prompt).map(({ name, about, cell }) => (
              <tr key={name}>
                <th scope="row" title={about}>
                  {name}
                </th>
                {summaries.map((summary) => {
                  const { value, note } = cell(summary);
                  return (
                    <td key={summary.racer.id} class="number">
                      {value}
                      {note !== undefined && <small>{note}</small>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {plan.prompt.kind === 'puzzle' && (
        <p class="soft">
          The twin writes every cell, givens too, so its tokens are more; compare the time. Only models that
          read left to right have a cache of the prompt.
        </p>
      )}
      <details>
        <summary>Every run, in the order in which they ran</summary>
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Every run">
          <table class="table">
            <thead>
              <tr>
                {[
                  'Round',
                  'Turn',
                  'Racer',
                  'Request',
                  'Decoding',
                  'Queued',
                  'First text',
                  'Forwards',
                  'Tokens',
                  'Cached',
                  'Good',
                ].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {results.map((run) => (
                <tr key={`${run.round}.${run.turn}`}>
                  <td>{run.round}</td>
                  <td>{run.turn}</td>
                  <td>{plan.racers.find(({ id }) => id === run.racer)!.label}</td>
                  <td>{milliseconds(run.wallMs)} ms</td>
                  <td>{milliseconds(run.decodeMs)} ms</td>
                  <td>{milliseconds(run.queuedMs)} ms</td>
                  <td>{run.firstTextMs === null ? '–' : `${milliseconds(run.firstTextMs)} ms`}</td>
                  <td>{run.nfe}</td>
                  <td>{run.usefulTokens}</td>
                  <td>
                    {run.cachedTokens} of {run.promptTokens}
                  </td>
                  <td>{isGood(run.quality) ? '✓ yes' : '✕ no'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="soft">
          Order drawn: {orders.map((order, round) => `round ${round + 1}: ${order.join(', ')}`).join('; ')}.
          Number of the draw: {plan.seed}.
        </p>
      </details>
    </section>
  );
}

function TakeAway({ state }: { state: RaceState }) {
  /** Shown to be copied by hand where the browser does not let the page do it. */
  const [byHand, setByHand] = useState<string | null>(null);
  const copy = async (text: string, name: string): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setByHand(null);
      notice.value = `${name} copied.`;
    } catch {
      setByHand(text);
      notice.value = `The browser keeps the clipboard to itself; the ${name} is shown to be copied by hand.`;
    }
  };
  return (
    <div class="row">
      <button type="button" onClick={() => void copy(asMarkdown(state), 'Markdown')}>
        Copy as Markdown
      </button>
      <button type="button" onClick={() => void copy(asJson(state), 'JSON')}>
        Copy as JSON
      </button>
      <span class="soft">{notice.value.endsWith('copied.') ? notice.value : ''}</span>
      {byHand !== null && <textarea class="by-hand" readOnly rows={8} aria-label="To copy" value={byHand} />}
    </div>
  );
}
