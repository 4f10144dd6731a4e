/** Two completions above each other, as Copilot Arena shows them. While they have the focus, Tab is a vote. */
import { useEffect, useRef } from 'preact/hooks';
import { Code } from '../../views/code.tsx';
import type { Completion, Duel } from './duel.ts';
import type { Gap } from './gaps.ts';
import type { Outcome } from './votes.ts';

interface PairProps {
  duel: Extract<Duel, { gap: Gap }>;
  onVote: (outcome: Outcome) => void;
  onNext: () => void;
  onStop: () => void;
}

export function Pair({ duel, onVote, onNext, onStop }: PairProps) {
  const pair = useRef<HTMLDivElement>(null);
  const next = useRef<HTMLButtonElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  const { state, gap } = duel;
  useEffect(() => {
    if (state === 'open') pair.current?.focus();
    if (state === 'voted' || state === 'same') next.current?.focus();
  }, [state, gap]);

  const onKeyDown = (event: KeyboardEvent): void => {
    // Buttons inside keep their own keys.
    if (state !== 'open' || event.target !== pair.current) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const outcome = outcomeOf(event);
    if (outcome !== null) {
      event.preventDefault();
      onVote(outcome);
    } else if (event.key === 's') onNext();
    else if (event.key === 'Escape') first.current?.focus();
  };
  const pairOf = state === 'open' || state === 'same' || state === 'voted' ? duel : null;
  return (
    <div
      ref={pair}
      class="pair stack"
      role="group"
      tabIndex={-1}
      aria-label="Two completions. Tab takes the top one, Shift Tab the bottom one, B both, N neither, S skips, Escape leaves."
      aria-busy={state === 'writing'}
      onKeyDown={onKeyDown}
    >
      <pre class="around">
        <Code text={tailOf(gap.before)} />
      </pre>
      <Side place="top" completion={pairOf?.top ?? null} duel={duel} />
      <Side place="bottom" completion={pairOf?.bottom ?? null} duel={duel} />
      <pre class="around">
        <Code text={headOf(gap.after)} />
      </pre>
      <div class="row ballot">
        {state === 'open' && (
          <>
            <button ref={first} type="button" onClick={() => onVote('top')}>
              Top is better <kbd>Tab</kbd>
            </button>
            <button type="button" onClick={() => onVote('bottom')}>
              Bottom is better <kbd>⇧ Tab</kbd>
            </button>
            <button type="button" onClick={() => onVote('both')}>
              Both <kbd>B</kbd>
            </button>
            <button type="button" onClick={() => onVote('neither')}>
              Neither <kbd>N</kbd>
            </button>
            <button type="button" class="quiet" onClick={onNext}>
              Skip <kbd>S</kbd>
            </button>
          </>
        )}
        {state === 'writing' && (
          <>
            <span role="status">Writing, one after the other: {duel.done} of 2</span>
            <button type="button" onClick={onStop}>
              Stop
            </button>
          </>
        )}
        {(state === 'voted' || state === 'same' || state === 'failed') && (
          <>
            <button ref={next} type="button" class="primary" onClick={onNext}>
              {state === 'failed' ? 'Try again' : 'Next pair'}
            </button>
            <span role={state === 'failed' ? 'alert' : 'status'} class={state === 'failed' ? 'error' : ''}>
              {state === 'same' && 'Both wrote the same, so there is nothing to choose.'}
              {state === 'voted' && SAID[duel.outcome]}
              {state === 'failed' && duel.message}
            </span>
          </>
        )}
      </div>
    </div>
  );
}

const SAID: Record<Outcome, string> = {
  top: 'You took the top one.',
  bottom: 'You took the bottom one.',
  both: 'You like both.',
  neither: 'You like neither.',
};

function outcomeOf({ key, shiftKey }: KeyboardEvent): Outcome | null {
  if (key === 'Tab') return shiftKey ? 'bottom' : 'top';
  if (key === 'b') return 'both';
  return key === 'n' ? 'neither' : null;
}

function Side({
  place,
  completion,
  duel,
}: {
  place: 'top' | 'bottom';
  completion: Completion | null;
  duel: Duel;
}) {
  const isKnown = duel.state === 'voted' || duel.state === 'same';
  const hasWon = duel.state === 'voted' && (duel.outcome === place || duel.outcome === 'both');
  return (
    <section
      class="side"
      data-won={hasWon}
      aria-label={place === 'top' ? 'Top completion' : 'Bottom completion'}
    >
      <header class="row spread">
        <span class="soft">
          {isKnown && completion ? completion.contestant.name : place === 'top' ? 'Top' : 'Bottom'}
        </span>
        <span class="soft figures">
          {hasWon && '✓ '}
          {isKnown && completion
            ? `${completion.reply.completionTokens} tokens, ${completion.reply.nfe} forwards, ${completion.reply.elapsedMs.toFixed(0)} ms`
            : ' '}
        </span>
      </header>
      <pre>
        {completion &&
          (completion.text === '' ? <em class="soft">nothing</em> : <Code text={completion.text} />)}
      </pre>
    </section>
  );
}

const LINES = 8;
const tailOf = (text: string): string => text.split('\n').slice(-LINES).join('\n');
const headOf = (text: string): string => text.split('\n').slice(0, LINES).join('\n').replace(/\n$/, '');
