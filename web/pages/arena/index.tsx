/** Two completions of one gap, one vote. Names stay hidden until it is given. */
import { useEffect, useState } from 'preact/hooks';
import { randomSeed } from '../../random.ts';
import { models, notice, remembered } from '../../state.ts';
import type { Contestant } from './contestants.ts';
import { usualPool } from './contestants.ts';
import { useDuel } from './duel.ts';
import { GAPS } from './gaps.ts';
import type { Gap } from './gaps.ts';
import { Pair } from './pair.tsx';
import { Pool } from './pool.tsx';
import { Ratings } from './ratings.tsx';
import { castVote, followServer, readVotes } from './votes.ts';
import type { Outcome } from './votes.ts';
import './arena.css';

/** Null: everybody. */
const chosenPool = remembered<Contestant[] | null>('arena.pool', null);
const ownGap = remembered<Gap>('arena.own', { name: 'own', before: '', after: '' });
/** `any` draws one, `own` is the person's, else the name of a sample. */
const chosenGap = remembered('arena.gap', 'any');

export default function Arena() {
  const { duel, begin, vote, stop } = useDuel();
  const [turn, setTurn] = useState(() => randomSeed() % GAPS.length);
  useEffect(() => {
    void readVotes();
    return followServer();
  }, []);

  const known = new Set(models.value.map(({ id }) => id));
  const pool = (chosenPool.value ?? usualPool(models.value)).filter(({ model }) => known.has(model));
  const gap =
    chosenGap.value === 'own'
      ? ownGap.value
      : (GAPS.find(({ name }) => name === chosenGap.value) ?? GAPS[turn % GAPS.length]);
  const isReady = pool.length >= 2 && gap.before + gap.after !== '';

  const compare = (): void => {
    if (!isReady) return;
    setTurn(turn + 1);
    void begin(pool, gap);
  };
  const decide = (outcome: Outcome): void => {
    const cast = vote(outcome);
    if (cast === null) return;
    notice.value = `Top was ${cast.top.name}, bottom was ${cast.bottom.name}.`;
    void castVote(cast);
  };
  return (
    <div class="view arena stack">
      <header>
        <h1>Arena</h1>
        <p class="soft">
          Two completions of the same gap, names hidden, order drawn. Take the better one. Votes stay on this
          server, in the file arena.db of its data folder; no code is kept.
        </p>
      </header>
      <div class="row">
        <label>
          Gap
          <select
            value={chosenGap.value}
            onChange={({ currentTarget }) => (chosenGap.value = currentTarget.value)}
          >
            <option value="any">one of the samples</option>
            {GAPS.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
            <option value="own">your own code</option>
          </select>
        </label>
        {duel.state === 'idle' && (
          <button type="button" class="primary" disabled={!isReady} onClick={compare}>
            Compare two
          </button>
        )}
      </div>
      {chosenGap.value === 'own' && <Own />}
      {models.value.length > 0 && pool.length < 2 && (
        <p role="status">
          A comparison needs two: add another model or the same one with other settings to the pool.
        </p>
      )}
      {duel.state !== 'idle' && <Pair duel={duel} onVote={decide} onNext={compare} onStop={stop} />}
      <Pool models={models.value} pool={pool} onChange={(next) => (chosenPool.value = next)} />
      <Ratings />
    </div>
  );
}

function Own() {
  const set = (part: Partial<Gap>): void => void (ownGap.value = { ...ownGap.value, ...part });
  return (
    <div class="own">
      <label>
        Before the gap
        <textarea
          rows={6}
          spellcheck={false}
          value={ownGap.value.before}
          onInput={({ currentTarget }) => set({ before: currentTarget.value })}
        />
      </label>
      <label>
        After the gap
        <textarea
          rows={6}
          spellcheck={false}
          value={ownGap.value.after}
          onInput={({ currentTarget }) => set({ after: currentTarget.value })}
        />
      </label>
    </div>
  );
}
