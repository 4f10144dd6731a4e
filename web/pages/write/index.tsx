/** The first screen: a file with holes, and a button that fills them. */
import { useEffect, useRef } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Command } from '@codemirror/view';
import { undo } from '@codemirror/commands';
import { models, serverState, source } from '../../state.ts';
import { CanvasLegend } from '../../views/canvas.tsx';
import { createDesk, desk } from './desk.ts';
import type { Desk } from './desk.ts';
import { fill, filling } from './fill.ts';
import { refuse, takeAll, takeLine, takeWord } from './ghost.ts';
import { toggleHole } from './holes.ts';
import { SAMPLES } from './samples.ts';
import { SettingsPanel } from './settings.tsx';
import { figures, trouble, writer } from './state.ts';
import './write.css';

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const MOD = isMac ? '⌘' : 'Ctrl';

export default function Write() {
  const host = useRef<HTMLDivElement>(null);
  const own = useRef<Desk | null>(null);
  useEffect(() => {
    own.current = createDesk(host.current!);
    return () => own.current?.close();
  }, []);
  /** A command of the editor, which keeps the keyboard. */
  const command = (run: Command) => (): void => {
    const { view } = own.current!;
    view.focus();
    run(view);
  };
  const { name, isChanged, holes, touched, hasGhost } = desk.value;
  const isFilling = filling.value !== null;
  const isSample = SAMPLES.some((sample) => sample.name === name);
  return (
    <div class="view write">
      <header class="write-head">
        <h1>Code that develops like a photograph</h1>
        <p class="soft">
          A diffusion language model starts from masks and uncovers them in any order, several at a time. Fill
          the holes in this file and watch, or just type.
        </p>
      </header>
      <div class="write-legend">
        <CanvasLegend />
      </div>
      <div class="row write-bar">
        {isFilling ? (
          <button type="button" class="primary write-fill" onClick={() => filling.value?.abort()}>
            Stop <kbd>Esc</kbd>
          </button>
        ) : holes === 0 && isSample ? (
          <button type="button" class="write-fill" onClick={() => own.current!.take(name)}>
            Start over
          </button>
        ) : (
          <button
            type="button"
            class="primary write-fill"
            disabled={holes === 0}
            onMouseDown={stay}
            onClick={command((view) => {
              void fill(view);
              return true;
            })}
          >
            {holes === 1 ? 'Fill the hole' : holes === 0 ? 'Fill holes' : `Fill ${holes} holes`}{' '}
            <kbd>{MOD} ↵</kbd>
          </button>
        )}
        <button type="button" class="write-punch" onMouseDown={stay} onClick={command(toggleHole)}>
          {touched > 0 ? 'Close hole' : 'Punch hole'} <kbd>{MOD} K</kbd>
        </button>
        <span class="write-changed">{isChanged ? '● not saved' : ''}</span>
        <select
          aria-label="File"
          value={name}
          onChange={(event) => {
            own.current!.take(event.currentTarget.value);
            event.currentTarget.value = desk.value.name;
          }}
        >
          {!isSample && <option value={name}>{name}</option>}
          {SAMPLES.map((sample) => (
            <option key={sample.name} value={sample.name}>
              {sample.name}
            </option>
          ))}
        </select>
        <button type="button" onClick={() => void own.current!.open()}>
          Open …
        </button>
        <button type="button" onClick={() => void own.current!.save()}>
          Save
        </button>
      </div>
      <div class="write-desk">
        <div ref={host} class="write-editor" />
        <Trouble />
      </div>
      <div class="row spread write-foot">
        <Result />
        <div class="row write-keys" role="group" aria-label="Editing">
          <Key label="Take" sign="Tab" run={command(takeAll)} isOn={hasGhost} />
          <Key label="Word" sign={`${MOD} →`} run={command(takeWord)} isOn={hasGhost} />
          <Key label="Line" sign={`${MOD} ↓`} run={command(takeLine)} isOn={hasGhost} />
          <Key label="Refuse" sign="Esc" run={command(refuse)} isOn={hasGhost} />
          <Key label="Undo" sign={`${MOD} Z`} run={command(undo)} isOn />
        </div>
      </div>
      <SettingsPanel />
    </div>
  );
}

/** A press of the mouse leaves the focus where it is. */
const stay = (event: Event): void => event.preventDefault();

function Key({ label, sign, run, isOn }: { label: string; sign: string; run: () => void; isOn: boolean }) {
  return (
    <button type="button" class="quiet" disabled={!isOn} onMouseDown={stay} onClick={run}>
      {label} <kbd>{sign}</kbd>
    </button>
  );
}

function Result() {
  const result = figures.value;
  const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
  const two = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const cell = (name: string, value: ComponentChildren) => (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
  if (!result) return <p class="soft write-figures">Figures of the last run stand here.</p>;
  const { what, tokens, forwards, elapsedMs } = result;
  return (
    <dl class="figures write-figures" aria-label="Last run">
      {cell(what, `${tokens} tokens`)}
      {cell('Forwards', forwards)}
      {cell('Tokens per forward', forwards === 0 ? '–' : two.format(tokens / forwards))}
      {cell('Time', `${Math.round(elapsedMs)} ms`)}
      {cell('Useful tokens/s', one.format(tokens / (elapsedMs / 1000)))}
    </dl>
  );
}

function Trouble() {
  return (
    <p class="error write-trouble" role="alert">
      {trouble.value ?? hindrance()}
    </p>
  );
}

/** Why nothing can be written at all. */
function hindrance(): string | null {
  if (source.value?.kind === 'tab') return null;
  if (serverState.value === 'away') {
    return 'The server does not answer. Your text is kept; the rest goes on when it is back.';
  }
  if (models.value.length > 0 && !writer.value) {
    return 'None of the loaded models fills gaps. Start the server with one that does, such as tintype-code.';
  }
  return null;
}
