/** Choosing a policy and its parameters; names, ranges and defaults are the decoder's own. */
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import { POLICIES, POLICY_PARAMETERS } from '../../../src/decode/policies/index.ts';
import type { PolicyName, PolicyParameter } from '../../../src/decode/policies/index.ts';

const TABLE: Record<string, { doc: string; defaults: object }> = POLICIES;
const PARAMETERS: Record<string, PolicyParameter> = POLICY_PARAMETERS;

export function PolicyFields({
  value,
  change,
}: {
  value: CompleteOptions;
  change: (options: CompleteOptions) => void;
}) {
  const policy = typeof value.policy === 'string' ? value.policy : 'confidenceThreshold';
  const { doc, defaults } = TABLE[policy] ?? TABLE.confidenceThreshold;
  const said = value as Record<string, string | number | undefined>;
  const set = (name: string, given: string | number | undefined): void => {
    const { [name]: _, ...others } = said;
    change(given === undefined ? others : { ...others, [name]: given });
  };
  return (
    <div class="policy-fields">
      <label class="field">
        Policy
        <select
          value={policy}
          aria-describedby="policy-doc"
          onChange={({ currentTarget }) => change({ policy: currentTarget.value as PolicyName })}
        >
          {Object.keys(TABLE).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <p class="soft" id="policy-doc">
        Commits {doc}.
      </p>
      {Object.entries(defaults).map(([name, initial]) => (
        <Parameter
          key={name}
          name={name}
          parameter={PARAMETERS[name]}
          initial={initial as string | number | null}
          value={said[name]}
          change={(given) => set(name, given)}
        />
      ))}
    </div>
  );
}

function Parameter({
  name,
  parameter,
  initial,
  value,
  change,
}: {
  name: string;
  parameter: PolicyParameter;
  initial: string | number | null;
  value: string | number | undefined;
  change: (given: string | number | undefined) => void;
}) {
  if (parameter.type === 'choice') {
    return (
      <label class="field" title={parameter.doc}>
        {name}
        <select value={value ?? initial ?? ''} onChange={({ currentTarget }) => change(currentTarget.value)}>
          {parameter.values.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
    );
  }
  return (
    <label class="field" title={parameter.doc}>
      {name}
      <input
        type="number"
        min={parameter.min}
        max={parameter.max}
        step={parameter.type === 'integer' ? 1 : 'any'}
        placeholder={initial === null ? 'one a cell' : String(initial)}
        value={value ?? ''}
        onChange={({ currentTarget }) => {
          if (currentTarget.value === '') change(undefined);
          else if (currentTarget.reportValidity()) change(currentTarget.valueAsNumber);
        }}
      />
    </label>
  );
}
