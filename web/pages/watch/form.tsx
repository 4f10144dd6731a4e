/** What to run: text with a gap, or a puzzle; model, mode, policy and their numbers. */
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { parametersOf, POLICIES, POLICY_PARAMETERS } from '../../../src/decode/policies/index.ts';
import type { PolicyName } from '../../../src/decode/policies/index.ts';
import { HOLE } from '../../../src/text/fim.ts';
import { models } from '../../state.ts';
import type { ModelInfo } from '../../runs/run.ts';
import { POLICY_NAMES } from './opinions.tsx';
import { canVerify, isPuzzleModel, modesOf, newPuzzle, SAMPLES } from './setup.ts';
import type { Setup } from './setup.ts';

export interface SetupFormProps {
  setup: Setup;
  model: ModelInfo | null;
  isRunning: boolean;
  onChange: (changes: Partial<Setup>) => void;
  onRun: () => void;
  onStop: () => void;
}

const MODE_WORDS = {
  diffusion: 'diffusion: several at once',
  verify: 'verify: draft, then check',
  ar: 'ar: one at a time',
} as const;

export function SetupForm({ setup, model, isRunning, onChange, onRun, onStop }: SetupFormProps) {
  const modes = model ? modesOf(model) : [];
  const mode = modes.includes(setup.mode) ? setup.mode : modes[0];
  return (
    <form
      class="card setup"
      aria-label="Run"
      onSubmit={(event) => {
        event.preventDefault();
        onRun();
      }}
    >
      {model && isPuzzleModel(model.id) ? (
        <PuzzleText puzzle={setup.puzzle} onChange={onChange} />
      ) : (
        <PromptText text={setup.text} onChange={onChange} />
      )}
      <div class="setup-fields">
        <Field label="Model">
          {(id) => (
            <select
              id={id}
              value={model?.id ?? ''}
              disabled={!model}
              onChange={(event) => {
                const next = event.currentTarget.value;
                onChange({ model: next });
                if (isPuzzleModel(next) && setup.puzzle === '') {
                  void newPuzzle(1).then((puzzle) => onChange({ puzzle }));
                }
              }}
            >
              {model === null && <option value="">none yet</option>}
              {models.value.map(({ id }) => (
                <option key={id}>{id}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Mode">
          {(id) => (
            <select
              id={id}
              value={mode ?? ''}
              disabled={modes.length < 2}
              onChange={(event) =>
                onChange(modeChange(event.currentTarget.value as Setup['mode'], setup.policy))
              }
            >
              {modes.map((each) => (
                <option key={each} value={each}>
                  {MODE_WORDS[each]}
                </option>
              ))}
            </select>
          )}
        </Field>
        {mode !== 'ar' && (
          <>
            <Field label="Policy" title={POLICIES[setup.policy].doc}>
              {(id) => (
                <select
                  id={id}
                  value={setup.policy}
                  onChange={(event) =>
                    onChange({ policy: event.currentTarget.value as PolicyName, parameters: {} })
                  }
                >
                  {POLICY_NAMES.map((name) => (
                    <option key={name} disabled={mode === 'verify' && !canVerify(name)}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            {parametersOf(setup.policy, setup.parameters.inner).map((name) => (
              <ParameterField
                key={name}
                name={name}
                setup={setup}
                onChange={(value) => onChange({ parameters: { ...setup.parameters, [name]: value } })}
              />
            ))}
            <NumberField
              label="Block length"
              value={setup.blockLength}
              min={1}
              max={65_536}
              placeholder="the model’s"
              onChange={(blockLength) => onChange({ blockLength })}
            />
          </>
        )}
        {!(model && isPuzzleModel(model.id)) && (
          <NumberField
            label="Most tokens"
            value={setup.maxTokens}
            min={1}
            max={65_536}
            placeholder="64"
            onChange={(maxTokens) => onChange({ maxTokens })}
          />
        )}
        <NumberField
          label="Temperature"
          value={setup.temperature}
          min={0}
          max={2}
          step="any"
          placeholder="0"
          onChange={(temperature) => onChange({ temperature })}
        />
        <NumberField
          label="Seed"
          value={setup.seed}
          min={0}
          max={Number.MAX_SAFE_INTEGER}
          placeholder="0"
          onChange={(seed) => onChange({ seed })}
        />
      </div>
      <p class="soft setup-doc">
        {mode === 'ar'
          ? 'One token a forward, from left to right.'
          : `Commits ${POLICIES[setup.policy].doc}.`}
      </p>
      <div class="row">
        {/* Two buttons, not one that changes: a click that stops would go on to submit. */}
        {isRunning ? (
          <button key="stop" type="button" class="primary" onClick={onStop}>
            Stop
          </button>
        ) : (
          <button key="run" type="submit" class="primary" disabled={!model}>
            Run
          </button>
        )}
      </div>
    </form>
  );
}

/** `verify` takes only policies that never change their mind. */
const modeChange = (mode: Setup['mode'], policy: PolicyName): Partial<Setup> =>
  mode === 'verify' && !canVerify(policy)
    ? { mode, policy: 'confidenceThreshold', parameters: {} }
    : { mode };

function PromptText({ text, onChange }: { text: string; onChange: (changes: Partial<Setup>) => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const mark = (): void => {
    const { selectionStart, selectionEnd } = area.current!;
    const clean = (part: string): string => part.replaceAll(HOLE, '');
    onChange({ text: clean(text.slice(0, selectionStart)) + HOLE + clean(text.slice(selectionEnd)) });
  };
  return (
    <div class="setup-text">
      <div class="row spread">
        <label for="watch-text">Text, with a gap marked {HOLE}</label>
        <button
          type="button"
          onClick={mark}
          title="Put the gap where the cursor is, in place of what is selected"
        >
          Mark gap
        </button>
      </div>
      <textarea
        id="watch-text"
        ref={area}
        rows={7}
        spellcheck={false}
        value={text}
        onInput={(event) => onChange({ text: event.currentTarget.value })}
      />
      <div class="row" role="group" aria-label="Samples">
        {SAMPLES.map((sample) => (
          <button key={sample.name} type="button" onClick={() => onChange({ text: sample.text })}>
            {sample.name}
          </button>
        ))}
      </div>
    </div>
  );
}

function PuzzleText({ puzzle, onChange }: { puzzle: string; onChange: (changes: Partial<Setup>) => void }) {
  const next = useRef(1);
  return (
    <div class="setup-text">
      <label for="watch-puzzle">A sudoku, 6 by 6: digits, and dots for cells to fill</label>
      <textarea
        id="watch-puzzle"
        rows={7}
        spellcheck={false}
        value={puzzle}
        onInput={(event) => onChange({ puzzle: event.currentTarget.value })}
      />
      <div class="row">
        <button
          type="button"
          onClick={() => void newPuzzle(++next.current).then((text) => onChange({ puzzle: text }))}
        >
          Another puzzle
        </button>
      </div>
    </div>
  );
}

interface FieldProps {
  label: string;
  title?: string | undefined;
  /** What the label is for; it takes the id. */
  children: (id: string) => ComponentChildren;
}

function Field({ label, title, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field" title={title}>
      <label for={id}>{label}</label>
      {children(id)}
    </div>
  );
}

interface NumberFieldProps {
  label: string;
  value: string;
  min: number;
  max: number;
  step?: string;
  placeholder: string;
  title?: string | undefined;
  onChange: (value: string) => void;
}

function NumberField({ label, title, onChange, ...input }: NumberFieldProps) {
  return (
    <Field label={label} title={title}>
      {(id) => (
        <input id={id} type="number" {...input} onInput={(event) => onChange(event.currentTarget.value)} />
      )}
    </Field>
  );
}

type ParameterName = keyof typeof POLICY_PARAMETERS;

function ParameterField({
  name,
  setup: { policy, parameters },
  onChange,
}: {
  name: ParameterName;
  setup: Setup;
  onChange: (value: string) => void;
}) {
  const parameter = POLICY_PARAMETERS[name];
  const defaults = POLICIES[policy].defaults as Partial<Record<ParameterName, string | number | null>>;
  const label = name
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace(/^./, (c) => c.toUpperCase());
  const value = parameters[name] ?? '';
  if (parameter.type === 'choice') {
    return (
      <Field label={label} title={parameter.doc}>
        {(id) => (
          <select
            id={id}
            value={value || String(defaults[name] ?? parameter.values[0])}
            onChange={(event) => onChange(event.currentTarget.value)}
          >
            {parameter.values.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        )}
      </Field>
    );
  }
  return (
    <NumberField
      label={label}
      title={parameter.doc}
      value={value}
      min={parameter.min}
      max={parameter.max}
      step={parameter.type === 'integer' ? '1' : 'any'}
      placeholder={String(defaults[name] ?? 'the block')}
      onChange={onChange}
    />
  );
}
