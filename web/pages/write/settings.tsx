/** How the model writes. */
import { writer, change, modes, settings } from './state.ts';
import type { Mode } from './state.ts';

const NAMES: Record<Mode, string> = {
  diffusion: 'diffusion',
  verify: 'verify: drafts by diffusion, checked',
  ar: 'autoregressive: the twin',
};
const [FEWEST_TOKENS, MOST_TOKENS] = [1, 256];

export function SettingsPanel() {
  const { ghost, lines, maxTokens, mode, threshold, slow } = settings.value;
  return (
    <fieldset class="card row write-settings">
      <legend class="sr-only">Settings</legend>
      <label>
        <input
          type="checkbox"
          checked={ghost}
          onChange={(event) => change({ ghost: event.currentTarget.checked })}
        />
        Complete while typing
      </label>
      <label>
        <select
          aria-label="Length of completions"
          value={lines}
          onChange={(event) => change({ lines: event.currentTarget.value as 'one' | 'several' })}
        >
          <option value="one">one line</option>
          <option value="several">several lines</option>
        </select>
      </label>
      <label>
        at most
        <input
          type="number"
          min={FEWEST_TOKENS}
          max={MOST_TOKENS}
          value={maxTokens}
          onChange={(event) => {
            const tokens = Math.round(event.currentTarget.valueAsNumber);
            if (tokens >= FEWEST_TOKENS && tokens <= MOST_TOKENS) change({ maxTokens: tokens });
            else event.currentTarget.value = String(maxTokens);
          }}
        />
        tokens
      </label>
      <label>
        Mode
        <select value={mode} onChange={(event) => change({ mode: event.currentTarget.value as Mode })}>
          {(modes.value.length > 0 ? modes.value : [mode]).map((mode) => (
            <option key={mode} value={mode}>
              {NAMES[mode]}
            </option>
          ))}
        </select>
      </label>
      <label>
        Commit from
        <input
          type="range"
          min="0.3"
          max="1"
          step="0.05"
          value={threshold}
          disabled={mode === 'ar'}
          onInput={(event) => change({ threshold: event.currentTarget.valueAsNumber })}
        />
        <output class="figures">{threshold.toFixed(2)}</output>
      </label>
      <label>
        <input
          type="checkbox"
          checked={slow}
          onChange={(event) => change({ slow: event.currentTarget.checked })}
        />
        Holes in slow motion
      </label>
      <small class="write-model">{writer.value?.model ?? ''}</small>
    </fieldset>
  );
}
