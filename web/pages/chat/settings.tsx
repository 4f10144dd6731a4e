/** What holds for the answers to come. */
import { useEffect, useState } from 'preact/hooks';
import type { ModelInfo } from '../../runs/run.ts';
import { change, conversation, set, settings } from './conversations.ts';
import type { Settings as Values } from './conversations.ts';
import { checkSchema } from './schema.ts';
import type { Checked } from './schema.ts';

const VIEWS: readonly [Values['view'], string][] = [
  ['final', 'Final'],
  ['denoising', 'Denoising'],
  ['both', 'Both'],
];
const CHECK_MS = 250;

interface SettingsProps {
  models: readonly ModelInfo[];
  model: ModelInfo;
  schema: Checked | null;
}

export function Settings({ models, model, schema }: SettingsProps) {
  const { maxTokens, temperature, threshold, isBound, view } = settings.value;
  const { id, system } = conversation.value;
  return (
    <div class="settings stack">
      <label>
        Model
        <select value={model.id} onChange={({ currentTarget }) => set({ model: currentTarget.value })}>
          {models.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <fieldset class="row">
        <legend>Show answers</legend>
        {VIEWS.map(([name, label]) => (
          <label key={name}>
            <input type="radio" name="view" checked={view === name} onChange={() => set({ view: name })} />
            {label}
          </label>
        ))}
      </fieldset>
      <label class="tall">
        System prompt of this conversation
        <textarea
          rows={3}
          value={system}
          onInput={({ currentTarget }) => change(id, { system: currentTarget.value })}
        />
      </label>
      <label>
        Most tokens
        <input
          type="number"
          min="1"
          max={model.contextLength - 1}
          placeholder="512"
          value={maxTokens}
          onInput={({ currentTarget }) => set({ maxTokens: currentTarget.value })}
        />
      </label>
      <label>
        Temperature
        <input
          type="number"
          min="0"
          max="2"
          step="0.1"
          value={temperature}
          onChange={({ currentTarget }) => set({ temperature: within(currentTarget.value, 2) })}
        />
      </label>
      <label title="A token is committed as soon as the model gives it this probability">
        Threshold
        <input
          type="number"
          min="0"
          max="1"
          step="0.05"
          placeholder="its own"
          value={threshold}
          onInput={({ currentTarget }) => set({ threshold: currentTarget.value })}
        />
      </label>
      <label>
        <input
          type="checkbox"
          checked={isBound}
          onChange={({ currentTarget }) => set({ isBound: currentTarget.checked })}
        />
        Answer as JSON, by a schema
      </label>
      {isBound && <Schema checked={schema} />}
    </div>
  );
}

const within = (text: string, most: number): number => Math.min(most, Math.max(0, Number(text) || 0));

function Schema({ checked }: { checked: Checked | null }) {
  const fault = checked !== null && 'fault' in checked ? checked.fault : null;
  return (
    <>
      <label class="tall">
        JSON Schema
        <textarea
          class="source"
          rows={8}
          spellcheck={false}
          aria-invalid={fault !== null}
          aria-describedby="schema-state"
          value={settings.value.schema}
          onInput={({ currentTarget }) => set({ schema: currentTarget.value })}
        />
      </label>
      <p id="schema-state" role="status" class={fault === null ? 'soft why' : 'error why'}>
        {fault ?? (checked === null ? 'Checking …' : 'The schema can be held: every answer will be valid.')}
      </p>
    </>
  );
}

/** Of what is pasted now; null while it is looked at, and where no schema is wanted. */
export function useSchema(): Checked | null {
  const { isBound, schema } = settings.value;
  const [checked, setChecked] = useState<{ text: string; result: Checked } | null>(null);
  useEffect(() => {
    if (!isBound) return;
    let isHere = true;
    const timer = setTimeout(() => {
      checkSchema(schema).then(
        (result) => isHere && setChecked({ text: schema, result }),
        (error: unknown) =>
          isHere && setChecked({ text: schema, result: { fault: `It cannot be checked: ${String(error)}` } }),
      );
    }, CHECK_MS);
    return () => {
      isHere = false;
      clearTimeout(timer);
    };
  }, [isBound, schema]);
  return isBound && checked?.text === schema ? checked.result : null;
}
