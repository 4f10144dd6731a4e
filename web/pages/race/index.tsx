/** Diffusion, verify and the twin on one prompt, one after another on the same machine. */
import { signal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { models, prefersStill, remembered } from '../../state.ts';
import { drawSeed } from '../solve/puzzle.ts';
import { LaneCard } from './lane.tsx';
import { Outcome } from './outcome.tsx';
import { Replay } from './replay.tsx';
import { clearRace, race, startRace, stopRace } from './race.ts';
import type { RaceState } from './race.ts';
import { drawPuzzle, fieldFor, racersOf } from './racers.ts';
import type { Prompt, RacerId } from './racers.ts';
import { SAMPLES } from './samples.ts';
import './race.css';

/** A sample's name, `puzzle` or `own`. */
const chosenPrompt = remembered('race.prompt', SAMPLES[0].name);
const ownPrefix = remembered('race.prefix', '');
const ownSuffix = remembered('race.suffix', '');
const puzzleNumber = signal(7);
const rounds = remembered<1 | 3 | 5>('race.rounds', 3);
const cache = remembered<'warm' | 'cold'>('race.cache', 'warm');
const maxTokens = remembered('race.maxTokens', 48);
const threshold = remembered('race.threshold', 0.9);
const left = remembered<RacerId[]>('race.left', ['ar']);
const chosenRunner = signal<string | null>(null);
/** `none`: no twin; null: the one of the same name. */
const chosenTwin = signal<string | null>(null);

function promptNow(): Prompt {
  if (chosenPrompt.value === 'puzzle') return drawPuzzle(6, puzzleNumber.value);
  if (chosenPrompt.value === 'own') return { kind: 'code', prefix: ownPrefix.value, suffix: ownSuffix.value };
  const { prefix, suffix } = SAMPLES.find(({ name }) => name === chosenPrompt.value) ?? SAMPLES[0];
  return { kind: 'code', prefix, suffix };
}

export default function Race() {
  const [replayMs, setReplayMs] = useState<number | null>(null);
  const [playing, setPlaying] = useState(false);
  useEffect(() => stopRace, []);
  const state = race.value;
  const { status, lanes } = state;
  const busy = status === 'warming' || status === 'running';
  const prompt = promptNow();
  const { runners, twins } = fieldFor(prompt.kind, models.value);
  const runner = runners.find(({ id }) => id === chosenRunner.value) ?? runners[0] ?? null;
  const twin =
    chosenTwin.value === 'none'
      ? null
      : (twins.find(({ id }) => id === chosenTwin.value) ??
        twins.find(({ id }) => id === `${runner?.id}-ar`) ??
        null);
  const able = runner === null ? [] : racersOf(runner, twin, threshold.value);
  // What is on the screen stays what was run until another race begins.
  const racers = state.plan?.racers ?? able.filter(({ id }) => !left.value.includes(id));
  const isEmpty = prompt.kind === 'code' && prompt.prefix.trim() === '';
  const recordings = racers.flatMap(({ id }) => lanes[id]?.recording ?? []);
  const longestDecodeMs = Math.max(1, ...recordings.map(({ done }) => done?.elapsedMs ?? 0));
  const clocks = [
    ...state.results.map(({ wallMs }) => wallMs),
    ...racers.map(({ id }) => lanes[id]?.clockMs ?? 0),
  ];
  const longestMs = replayMs === null ? Math.max(1, ...clocks) : longestDecodeMs;

  // The clocks tick without it.
  const outcome = useMemo(() => <Outcome state={state} />, [state.plan, state.results, status]);

  const changed =
    <T,>(set: (value: T) => void) =>
    (value: T): void => {
      set(value);
      setReplayMs(null);
      setPlaying(false);
      clearRace();
    };
  const start = (): void => {
    setReplayMs(null);
    setPlaying(false);
    void startRace({
      racers: able.filter(({ id }) => !left.value.includes(id)),
      prompt,
      rounds: rounds.value,
      cache: cache.value,
      maxTokens: maxTokens.value,
      seed: drawSeed(),
    });
  };

  return (
    <div class="view race">
      <h1>Race</h1>
      <p class="soft race-lead">
        One prompt, one machine, one runner at a time: taking turns, in an order that is drawn, so that nobody
        has to share the processor.
      </p>
      <div class="row actions">
        {busy ? (
          <button type="button" class="primary start" onClick={stopRace}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            class="primary start"
            disabled={racers.length === 0 || isEmpty}
            onClick={start}
          >
            Start the race
          </button>
        )}
        <label>
          Prompt
          <select
            value={chosenPrompt.value}
            disabled={busy}
            onChange={({ currentTarget }) => {
              if (currentTarget.value === 'own' && isBlank() && prompt.kind === 'code') {
                ownPrefix.value = prompt.prefix;
                ownSuffix.value = prompt.suffix;
              }
              changed((name: string) => (chosenPrompt.value = name))(currentTarget.value);
            }}
          >
            {SAMPLES.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
            <option value="puzzle">A sudoku puzzle</option>
            <option value="own">Your own</option>
          </select>
        </label>
        {prompt.kind === 'puzzle' && (
          <button
            type="button"
            disabled={busy}
            onClick={() => changed((seed: number) => (puzzleNumber.value = seed))(drawSeed())}
          >
            New puzzle
          </button>
        )}
        <label>
          Rounds
          <select
            value={rounds.value}
            disabled={busy}
            onChange={({ currentTarget }) => (rounds.value = Number(currentTarget.value) as 1 | 3 | 5)}
          >
            {[1, 3, 5].map((count) => (
              <option key={count}>{count}</option>
            ))}
          </select>
        </label>
        <label>
          Cache
          <select
            value={cache.value}
            disabled={busy}
            onChange={({ currentTarget }) => (cache.value = currentTarget.value as 'warm' | 'cold')}
          >
            <option value="warm">warm: all know the prompt</option>
            <option value="cold">cold: nobody does</option>
          </select>
        </label>
      </div>
      {chosenPrompt.value === 'own' && <OwnPrompt busy={busy} changed={changed} />}
      <div class="race-stage">
        <p class="race-progress" role="status">
          {progress(state)}
        </p>
        {status === 'finished' && recordings.length > 0 && (
          <Replay
            at={replayMs}
            longestMs={longestDecodeMs}
            playing={playing}
            set={setReplayMs}
            setPlaying={(next) => {
              // Without motion the slider does it.
              if (next && prefersStill()) setReplayMs(longestDecodeMs);
              setPlaying(next && !prefersStill());
            }}
          />
        )}
        <div class="lanes" data-count={racers.length}>
          {racers.map((racer) => (
            <LaneCard
              key={racer.id}
              racer={racer}
              lane={lanes[racer.id] ?? null}
              prompt={state.plan?.prompt ?? prompt}
              result={
                state.results.find((one) => one.racer === racer.id && one.round === state.round) ?? null
              }
              replayMs={replayMs}
              longestMs={longestMs}
            />
          ))}
        </div>
      </div>
      {racers.length === 0 && (
        <p class="error">
          {models.value.length === 0
            ? 'No models yet.'
            : runner === null
              ? `None of the models can run on this prompt.`
              : 'Nobody runs: choose at least one below.'}
        </p>
      )}
      {outcome}

      <div class="stack race-more">
        <details class="card">
          <summary>Who runs, and how</summary>
          <div class="row" role="group" aria-label="Racers">
            {able.map(({ id, label }) => (
              <label key={id}>
                <input
                  type="checkbox"
                  checked={!left.value.includes(id)}
                  disabled={busy}
                  onChange={({ currentTarget }) =>
                    changed((runs: boolean) => {
                      left.value = runs ? left.value.filter((one) => one !== id) : [...left.value, id];
                    })(currentTarget.checked)
                  }
                />
                {label}
              </label>
            ))}
          </div>
          <div class="row">
            <label>
              Model
              <select
                value={runner?.id ?? ''}
                disabled={busy}
                onChange={({ currentTarget }) =>
                  changed((id: string) => (chosenRunner.value = id))(currentTarget.value)
                }
              >
                {runners.map(({ id }) => (
                  <option key={id}>{id}</option>
                ))}
              </select>
            </label>
            <label>
              Twin
              <select
                value={twin?.id ?? 'none'}
                disabled={busy}
                onChange={({ currentTarget }) =>
                  changed((id: string) => (chosenTwin.value = id))(currentTarget.value)
                }
              >
                {twins.map(({ id }) => (
                  <option key={id}>{id}</option>
                ))}
                <option value="none">none</option>
              </select>
            </label>
            <label>
              Most tokens
              <input
                type="number"
                min="1"
                max="512"
                step="1"
                value={maxTokens.value}
                disabled={busy}
                onChange={({ currentTarget: input }) =>
                  input.reportValidity() &&
                  changed((count: number) => (maxTokens.value = count))(input.valueAsNumber)
                }
              />
            </label>
            <label title="Diffusion and verify commit, or draft, what is at least this probable">
              Threshold
              <input
                type="number"
                min="0"
                max="2"
                step="any"
                value={threshold.value}
                disabled={busy}
                onChange={({ currentTarget: input }) =>
                  input.reportValidity() &&
                  changed((value: number) => (threshold.value = value))(input.valueAsNumber)
                }
              />
            </label>
          </div>
        </details>
        <details class="card">
          <summary>What makes it fair</summary>
          <ul>
            <li>One run at a time. While a lane runs, nothing else is asked of the server by this page.</li>
            <li>
              The first order is drawn; each round then begins with the next lane, so that over as many rounds
              as lanes everybody starts once.
            </li>
            <li>
              Every lane runs once before the first round, not timed: loading and compiling are in no figure.
            </li>
            <li>
              Models that read left to right keep keys and values of prompts they know, and two lanes of one
              file share them. <b>Warm</b>: the runs that are not timed use the same prompt, so that all find
              it. <b>Cold</b>: each run has a comment of its own at the head of both parts of its prompt, and
              each round its own puzzle, so that nobody finds anything; texts may differ for it, and are not
              compared. The table says how many prompt tokens were found.
            </li>
            <li>Greedy for all: temperature 0, no draws.</li>
            <li>
              Times are from asking to the last line, by this page’s clock, drawing included. “Decoding” in
              the list of runs is what the decoder measured; the replay goes by it.
            </li>
            <li>
              Useful tokens are those of the answer; what was drafted and refused, or stands after the end of
              the text, is not counted.
            </li>
          </ul>
        </details>
      </div>
    </div>
  );
}

const isBlank = (): boolean => ownPrefix.value === '' && ownSuffix.value === '';

function OwnPrompt({
  busy,
  changed,
}: {
  busy: boolean;
  changed: (set: (value: string) => void) => (value: string) => void;
}) {
  const field = (label: string, value: string, set: (text: string) => void) => (
    <label class="own-part">
      {label}
      <textarea
        rows={5}
        spellcheck={false}
        value={value}
        disabled={busy}
        onInput={({ currentTarget }) => changed(set)(currentTarget.value)}
      />
    </label>
  );
  return (
    <div class="own-prompt">
      {field('Before the gap', ownPrefix.value, (text) => (ownPrefix.value = text))}
      {field('After the gap, or nothing', ownSuffix.value, (text) => (ownSuffix.value = text))}
    </div>
  );
}

function progress({ status, plan, round, orders, lanes }: RaceState): string {
  if (plan === null) return 'Ready.';
  const labelOf = (id: RacerId): string => plan.racers.find((racer) => racer.id === id)!.label;
  if (status === 'warming') return 'Warming up: everybody once, not timed.';
  if (status === 'stopped') return 'Stopped.';
  if (status === 'finished') return `Finished: ${plan.rounds === 1 ? 'one round' : `${plan.rounds} rounds`}.`;
  const order = orders[round - 1];
  const now = order.findIndex((id) => !['done', 'failed'].includes(lanes[id]?.status ?? 'ready'));
  return `Round ${round} of ${plan.rounds}: ${order
    .map((id, turn) => (turn === now ? `${labelOf(id)} runs` : labelOf(id)))
    .join(', then ')}.`;
}
