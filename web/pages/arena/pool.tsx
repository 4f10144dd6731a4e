/** Who may be drawn. */
import { useState } from 'preact/hooks';
import type { ModelInfo } from '../../runs/run.ts';
import type { Contestant, Draft, Mode } from './contestants.ts';
import { contestantOf, fillers, MODES, PLAIN } from './contestants.ts';

interface PoolProps {
  models: readonly ModelInfo[];
  pool: readonly Contestant[];
  onChange: (pool: Contestant[] | null) => void;
}

export function Pool({ models, pool, onChange }: PoolProps) {
  const able = fillers(models);
  const [draft, setDraft] = useState<Draft>({ ...PLAIN, model: '' });
  const chosen = { ...draft, model: draft.model || (able[0]?.id ?? '') };
  const made = contestantOf(chosen);
  const isThere = pool.some(({ name }) => name === made.name);
  const set = (part: Partial<Draft>): void => setDraft({ ...chosen, ...part });
  return (
    <details class="card pool">
      <summary>
        Pool: {pool.length} {pool.length === 1 ? 'contestant' : 'contestants'}
      </summary>
      <ul class="stack">
        {pool.map((each) => (
          <li key={each.name} class="row spread">
            <span>{each.name}</span>
            <button
              type="button"
              aria-label={`Remove ${each.name}`}
              onClick={() => onChange(pool.filter(({ name }) => name !== each.name))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isThere) onChange([...pool, made]);
        }}
      >
        <label>
          Model
          <select value={chosen.model} onChange={({ currentTarget }) => set({ model: currentTarget.value })}>
            {able.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        <label>
          Mode
          <select
            value={chosen.mode}
            onChange={({ currentTarget }) => set({ mode: currentTarget.value as Mode | '' })}
          >
            <option value="">its own</option>
            {MODES.map((mode) => (
              <option key={mode}>{mode}</option>
            ))}
          </select>
        </label>
        <label>
          Threshold
          <input
            type="number"
            min="0"
            max="1"
            step="0.05"
            placeholder="its own"
            value={chosen.threshold}
            onInput={({ currentTarget }) => set({ threshold: currentTarget.value })}
          />
        </label>
        <label>
          Temperature
          <input
            type="number"
            min="0"
            max="2"
            step="0.1"
            placeholder="0"
            value={chosen.temperature}
            onInput={({ currentTarget }) => set({ temperature: currentTarget.value })}
          />
        </label>
        <button type="submit" disabled={isThere || chosen.model === ''}>
          Add
        </button>
        <button type="button" class="quiet" onClick={() => onChange(null)}>
          As at the start
        </button>
      </form>
    </details>
  );
}
