/** Sudoku, all cells at once: a puzzle drawn, typed or pasted, solved by denoising, played back forward by forward. */
import { useEffect, useState } from 'preact/hooks';
import { formatGrid } from '../../../src/train/sudoku.ts';
import { place } from '../../route.ts';
import { models, notice, prefersStill } from '../../state.ts';
import { boardAt, emptySheet } from './board.ts';
import type { Board } from './board.ts';
import { SudokuGrid, SudokuLegend } from './grid.tsx';
import { Player } from './player.tsx';
import { readPuzzle } from './puzzle.ts';
import { PolicyFields } from './policy-fields.tsx';
import { Cost, StepReport, Thoughts } from './report.tsx';
import './solve.css';
import {
  chosenModel,
  diffusionSolvers,
  drawnSeed,
  forget,
  givens,
  newPuzzle,
  puzzleSeed,
  setGivens,
  solutions,
  solveNow,
  solver,
  solving,
  strategy,
  sudoku,
  twin,
  wantedGivens,
  wantsTwin,
  WAYS,
} from './state.ts';

export default function Solve() {
  const [selected, select] = useState(0);
  const [at, setAt] = useState(0);
  const [playing, setPlaying] = useState(false);
  const { status, run, twin: beside, error } = solving.value;
  const puzzle = sudoku.value;
  const { size } = puzzle;
  const last = Math.max(run?.recording.steps.length ?? 0, beside?.recording.steps.length ?? 0);
  const board = boardAt(puzzle, run?.recording ?? null, at);
  const blanks = givens.value.filter((digit) => digit === 0).length;

  useEffect(() => {
    const given = place.value.parameters.get('puzzle');
    const grid = given === null ? null : readPuzzle(given, size);
    if (grid instanceof Uint8Array) setGivens(grid);
    return () => solving.peek().status !== 'finished' && forget();
  }, []);

  const start = async (): Promise<void> => {
    setPlaying(false);
    setAt(0);
    if (!(await solveNow())) return;
    const { recording } = solving.value.run!;
    // Whoever wants no motion sees the end, and steps back from there.
    if (prefersStill()) setAt(recording.steps.length);
    else setPlaying(true);
    const faults = boardAt(sudoku.value, recording, recording.steps.length).cells.filter(
      ({ fault }) => fault,
    ).length;
    notice.value = `Filled in ${recording.steps.length} forwards, ${faults === 0 ? 'all correct' : `${faults} cells wrong`}`;
  };
  const change = (grid: Uint8Array, seed?: number | null): void => {
    setPlaying(false);
    setAt(0);
    setGivens(grid, seed ?? null);
  };
  const draw = (seed?: number): void => {
    setPlaying(false);
    setAt(0);
    newPuzzle(seed);
  };
  const paste = (text: string): void => {
    const grid = readPuzzle(text, size);
    if (grid instanceof Uint8Array) change(grid);
    else notice.value = grid.problem;
    setProblem(grid instanceof Uint8Array ? null : grid.problem);
  };
  const [problem, setProblem] = useState<string | null>(null);
  const enter = (cell: number, digit: number): void => change(givens.value.with(cell, digit));
  const busy = status === 'running' || status === 'waiting';

  return (
    <div class="view solve">
      <h1>Solve</h1>
      <p class="soft solve-lead">
        Every blank is a mask. Each forward looks at all of them at once and fills those that the policy
        picks, wherever they are.
      </p>
      <div class="row actions">
        {busy ? (
          <button type="button" class="primary" onClick={forget}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            class="primary"
            disabled={solver.value === null || blanks === 0}
            onClick={() => void start()}
          >
            Solve
          </button>
        )}
        <button type="button" disabled={busy} onClick={() => draw()}>
          New puzzle
        </button>
        <label>
          <input
            type="checkbox"
            checked={wantsTwin.value}
            disabled={twin.value === null || busy}
            onChange={({ currentTarget }) => {
              wantsTwin.value = currentTarget.checked;
              if (currentTarget.checked && run !== null) void start();
            }}
          />
          Twin beside it
        </label>
      </div>
      <Standing blanks={blanks} />
      {status === 'waiting' && (
        <p class="error" role="alert">
          The server does not answer. The puzzle is kept, and is asked again as soon as it is back.
        </p>
      )}
      {status === 'failed' && (
        <p class="error" role="alert">
          Not solved: {error?.message}
        </p>
      )}
      <div class="solve-layout">
        <section class="stage" aria-label="Puzzle" data-boards={wantsTwin.value ? 2 : 1}>
          <div class="boards">
            <figure class="board">
              <figcaption>
                <b>Diffusion</b> <span class="soft">{solver.value?.model ?? 'no model yet'}</span>
              </figcaption>
              <SudokuGrid
                board={board}
                size={size}
                label={`Puzzle of ${size} rows and ${size} columns, ${blanks} blank`}
                editing={{ selected, select, enter: busy ? null : enter, paste: busy ? null : paste }}
              />
              <Cost run={run} at={at} />
            </figure>
            {wantsTwin.value && (
              <figure class="board">
                <figcaption>
                  <b>Twin</b> <span class="soft">{twin.value?.model ?? 'none among the models'}</span>
                </figcaption>
                <SudokuGrid
                  board={twinBoard(at)}
                  size={size}
                  label="What the twin has written, cell by cell"
                />
                <Cost run={beside} at={at} />
              </figure>
            )}
          </div>
          <Player at={at} last={last} set={setAt} playing={playing} setPlaying={setPlaying} run={run} />
          <div class="aside">
            <StepReport board={board} size={size} run={run} at={at} />
            <Thoughts run={run} at={at} cell={selected} size={size} board={board} />
            <SudokuLegend />
          </div>
        </section>

        <div class="stack">
          <section class="card stack" aria-label="Ways to solve">
            <div class="ways" role="group" aria-label="Way to solve">
              {WAYS.map(({ label, about, options }) => (
                <button
                  key={label}
                  type="button"
                  title={about}
                  disabled={busy}
                  aria-pressed={JSON.stringify(options) === JSON.stringify(strategy.value)}
                  onClick={() => {
                    strategy.value = options;
                    void start();
                  }}
                >
                  {label}
                  <small>{about}</small>
                </button>
              ))}
            </div>
          </section>

          <details class="card">
            <summary>Policy and threshold</summary>
            <PolicyFields
              value={strategy.value}
              change={(options) => {
                strategy.value = options;
                forget();
                setAt(0);
              }}
            />
            <label class="field">
              Seed of draws
              <input
                type="number"
                min="0"
                step="1"
                value={drawnSeed.value}
                onChange={({ currentTarget }) =>
                  (drawnSeed.value = Math.max(0, Math.trunc(currentTarget.valueAsNumber || 0)))
                }
              />
            </label>
            {diffusionSolvers.value.length > 1 && (
              <label class="field">
                Model
                <select
                  value={solver.value?.model}
                  onChange={({ currentTarget }) => {
                    forget();
                    setAt(0);
                    chosenModel.value = currentTarget.value;
                  }}
                >
                  {diffusionSolvers.value.map(({ model }) => (
                    <option key={model}>{model}</option>
                  ))}
                </select>
              </label>
            )}
          </details>

          <details class="card" open>
            <summary>The puzzle</summary>
            <div
              class="keypad"
              role="group"
              aria-label={`Digit for row ${Math.floor(selected / size) + 1}, column ${(selected % size) + 1}`}
            >
              {Array.from({ length: size }, (_, i) => (
                <button key={i} type="button" disabled={busy} onClick={() => enter(selected, i + 1)}>
                  {i + 1}
                </button>
              ))}
              <button type="button" disabled={busy} aria-label="Blank" onClick={() => enter(selected, 0)}>
                ⌫
              </button>
            </div>
            <p class="soft">
              Choose a cell, then type: arrows move, digits fill, <kbd>Delete</kbd> empties. Or paste a whole
              puzzle.
            </p>
            <label class="field">
              As text
              <input
                type="text"
                class="puzzle-text"
                spellcheck={false}
                autocomplete="off"
                value={formatGrid(givens.value)}
                aria-invalid={problem !== null}
                aria-describedby={problem === null ? undefined : 'puzzle-problem'}
                disabled={busy}
                onChange={({ currentTarget }) => paste(currentTarget.value)}
              />
            </label>
            {problem && (
              <p class="error" id="puzzle-problem">
                {problem}
              </p>
            )}
            <label class="field">
              Givens
              <select
                value={wantedGivens.value ?? ''}
                disabled={busy}
                onChange={({ currentTarget }) => {
                  wantedGivens.value = currentTarget.value === '' ? null : Number(currentTarget.value);
                  draw(puzzleSeed.value ?? undefined);
                }}
              >
                <option value="">as in training</option>
                {givenCounts(size).map((count) => (
                  <option key={count} value={count}>
                    {count}
                  </option>
                ))}
              </select>
            </label>
            <div class="row">
              <button
                type="button"
                class="quiet"
                disabled={busy}
                onClick={() => change(new Uint8Array(size * size))}
              >
                Empty the grid
              </button>
              <span class="soft">
                {puzzleSeed.value === null ? 'Your own puzzle' : `Puzzle number ${puzzleSeed.value}`}
              </span>
            </div>
          </details>
        </div>
      </div>
      {models.value.length > 0 && solver.value === null && (
        <p class="error" role="alert">
          None of the models solves sudoku. Start the server with one that does, such as tintype-sudoku.
        </p>
      )}
    </div>
  );
}

function twinBoard(at: number): Board {
  const recording = solving.value.twin?.recording ?? null;
  return recording === null || at === 0 ? emptySheet(sudoku.value) : boardAt(sudoku.value, recording, at);
}

/** Below about a fifth of the cells no puzzle has one solution. */
function givenCounts(size: number): number[] {
  const [fewest, most] = [Math.ceil((size * size) / 4.5), Math.floor((size * size * 2) / 3)];
  return Array.from({ length: most - fewest + 1 }, (_, i) => fewest + i);
}

/** What is known of the puzzle before anything is solved. */
function Standing({ blanks }: { blanks: number }) {
  const filled = givens.value.length - blanks;
  const text =
    blanks === 0
      ? 'No cell is blank: there is nothing to fill.'
      : solutions.value === 0
        ? 'No grid agrees with these givens. The model fills it all the same: watch where it goes wrong.'
        : solutions.value > 1
          ? 'More than one grid agrees with these givens; any of them counts.'
          : 'Exactly one grid agrees with these givens.';
  return (
    <p class="standing" role="status">
      {filled} givens, {blanks} blank. {text}
    </p>
  );
}
