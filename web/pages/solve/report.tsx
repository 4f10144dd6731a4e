/** In words and figures: what a forward did, what it cost, what the model thought of a cell. */
import type { SudokuSize } from '../../../src/train/sudoku.ts';
import type { TimedRun } from '../../runs/timed.ts';
import type { Board } from './board.ts';
import { thoughtsOf } from './board.ts';
import { percent } from './grid.tsx';

export const milliseconds = (ms: number): string => (ms < 10 ? ms.toFixed(1) : String(Math.round(ms)));

/** Forwards so far, and the time of the whole run. */
export function Cost({ run, at }: { run: TimedRun | null; at: number }) {
  if (run === null) return <p class="cost soft figures">not run yet</p>;
  const { steps, done } = run.recording;
  const shown = Math.min(at, steps.length);
  return (
    <p class="cost figures">
      <b>
        {shown} of {steps.length}
      </b>{' '}
      forwards, {(done?.tpf ?? 0).toFixed(1)} cells a forward
      <br />
      <b>{milliseconds(done?.elapsedMs ?? 0)} ms</b> decoding, {milliseconds(run.wallMs)} ms the whole request
    </p>
  );
}

const cellName = (cell: number, size: SudokuSize): string =>
  `row ${Math.floor(cell / size) + 1} column ${(cell % size) + 1}`;

/** The first few; the board shows all. */
const listed = (items: readonly string[], most: number): string =>
  items.slice(0, most).join('; ') + (items.length > most ? `; and ${items.length - most} more` : '');

export function StepReport({
  board,
  size,
  run,
  at,
}: {
  board: Board;
  size: SudokuSize;
  run: TimedRun | null;
  at: number;
}) {
  const { cells, clashes, committed } = board;
  const taken = cells.flatMap(({ takenBack, digit }, cell) =>
    takenBack === null
      ? []
      : [`${takenBack} in ${cellName(cell, size)}${digit === 0 ? '' : `, now ${digit}`}`],
  );
  const different = cells.flatMap(({ fault, digit }, cell) =>
    fault === 'different' ? [`${digit} in ${cellName(cell, size)}`] : [],
  );
  const clashing = clashes.map(
    ([a, b]) => `${cells[a].digit} in ${cellName(a, size)} and ${cellName(b, size)}`,
  );
  const changed = cells.filter(({ fault }) => fault === 'changed').length;
  const masks = cells.filter(({ digit }) => digit === 0).length;
  const isSolved = masks === 0 && cells.every(({ fault }) => fault === null);
  return (
    <ul class="step-report" aria-label="This forward">
      <li>
        {isSolved ? (
          <b class="solved">✓ Solved: every row, column and box holds each digit once.</b>
        ) : at === 0 || run === null ? (
          `${masks} masks.`
        ) : (
          `${committed} committed, ${masks} still masked.`
        )}
      </li>
      {taken.length > 0 && <li>↺ Taken back: {listed(taken, 4)}.</li>}
      {clashes.length > 0 && <li class="error">✕ Clash: {listed(clashing, 2)}.</li>}
      {different.length > 0 && <li class="error">≠ Not the solution: {listed(different, 3)}.</li>}
      {changed > 0 && <li class="error">! {changed} givens changed.</li>}
    </ul>
  );
}

/** The digits that the last forward weighed for the chosen cell. */
export function Thoughts({
  run,
  at,
  cell,
  size,
  board,
}: {
  run: TimedRun | null;
  at: number;
  cell: number;
  size: SudokuSize;
  board: Board;
}) {
  const thoughts = run === null ? [] : thoughtsOf(run.recording, at, cell, size);
  const byDigit = new Map(thoughts.map(({ digit, probability }) => [digit, probability]));
  const { state, probability, digit } = board.cells[cell] ?? board.cells[0];
  const said =
    state === 'given'
      ? `${digit} is given.`
      : digit !== 0 && probability !== null
        ? `${digit}, committed at ${percent(probability)} %.`
        : 'masked.';
  return (
    <section class="thoughts" aria-label="What the model thought of the chosen cell">
      <h2>
        Row {Math.floor(cell / size) + 1}, column {(cell % size) + 1}: <span class="soft">{said}</span>
      </h2>
      <ol>
        {Array.from({ length: size }, (_, i) => {
          const value = byDigit.get(i + 1);
          return (
            <li
              key={i}
              aria-label={`${i + 1}: ${value === undefined ? 'not looked at' : `${percent(value)} %`}`}
            >
              <span class="bar-track">
                <span class="bar-fill" style={{ blockSize: `${(value ?? 0) * 100}%` }} />
              </span>
              <b>{i + 1}</b>
              <small>{value === undefined ? '–' : percent(value)}</small>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
