/** A message, and what can be done with it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { CanvasText } from '../../views/canvas.tsx';
import { Code } from '../../views/code.tsx';
import type { Frame } from './answer.ts';
import type { Answer, Message, Settings } from './conversations.ts';
import { Markdown } from './markdown.tsx';

interface UserProps {
  message: Extract<Message, { role: 'user' }>;
  isBusy: boolean;
  onEdit: (text: string) => void;
}

export function UserMessage({ message, isBusy, onEdit }: UserProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const edit = useRef<HTMLButtonElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const isEditing = draft !== null;
  const wasEditing = useRef(false);
  useEffect(() => {
    if (isEditing) field.current?.focus();
    else if (wasEditing.current) edit.current?.focus();
    wasEditing.current = isEditing;
  }, [isEditing]);
  const cancel = (): void => setDraft(null);
  return (
    <article class="message user" aria-label="You">
      {draft === null ? (
        <p class="said">{message.text}</p>
      ) : (
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            if (draft.trim() === '') return;
            setDraft(null);
            onEdit(draft);
          }}
        >
          <textarea
            ref={field}
            aria-label="Your message, to be changed"
            rows={3}
            value={draft}
            onInput={({ currentTarget }) => setDraft(currentTarget.value)}
            onKeyDown={({ key }) => key === 'Escape' && cancel()}
          />
          <p class="row">
            <button type="submit" class="primary" disabled={isBusy || draft.trim() === ''}>
              Ask again from here
            </button>
            <button type="button" onClick={cancel}>
              Cancel
            </button>
            <span class="soft">What follows is replaced.</span>
          </p>
        </form>
      )}
      {draft === null && (
        <p class="row acts">
          <button
            ref={edit}
            type="button"
            class="quiet"
            disabled={isBusy}
            onClick={() => setDraft(message.text)}
          >
            Edit
          </button>
          <Copy text={message.text} />
        </p>
      )}
    </article>
  );
}

interface AnswerProps {
  answer: Answer;
  frames: readonly Frame[];
  view: Settings['view'];
  isRunning: boolean;
  isBusy: boolean;
  onAgain: () => void;
}

export function AnswerMessage({ answer, frames, view, isRunning, isBusy, onAgain }: AnswerProps) {
  const hasFilm = frames.length > 0 && view !== 'final';
  const isFinal = view !== 'denoising' || (!hasFilm && !isRunning);
  return (
    <article class="message answer" aria-label={answer.model} aria-busy={isRunning}>
      <div class="sides" data-both={hasFilm && isFinal}>
        {hasFilm && <Film frames={frames} isRunning={isRunning} />}
        {isFinal && (
          <div class="final">
            {answer.isJson ? (
              <pre>
                <Code text={answer.text} language="json" />
              </pre>
            ) : (
              <Markdown text={answer.text} />
            )}
            {answer.text === '' && !isRunning && answer.ending !== 'failed' && (
              <p class="soft">An empty answer.</p>
            )}
          </div>
        )}
      </div>
      {answer.ending === 'failed' && !isRunning && (
        <p role="alert" class="error why">
          {answer.error}
        </p>
      )}
      <p class="row acts">
        {!isRunning && (
          <>
            <button type="button" class="quiet" disabled={isBusy} onClick={onAgain}>
              {answer.ending === 'failed' ? 'Try again' : 'Another answer'}
            </button>
            {answer.text !== '' && <Copy text={answer.text} />}
          </>
        )}
        <span class="soft figures">{figuresOf(answer, isRunning)}</span>
      </p>
    </article>
  );
}

function figuresOf(
  { figures: { tokens, forwards, elapsedMs }, ending, model }: Answer,
  isRunning: boolean,
): string {
  return [
    model,
    ...(isRunning ? ['writing'] : []),
    ...(tokens === null ? [] : [`${tokens} tokens`]),
    `${forwards} forwards`,
    ...(tokens === null || forwards === 0 ? [] : [`${(tokens / forwards).toFixed(2)} a forward`]),
    `${(elapsedMs / 1000).toFixed(1)} s`,
    ...(ending === 'length' ? ['cut at the most tokens'] : []),
    ...(ending === 'stopped' && !isRunning ? ['stopped'] : []),
  ].join(', ');
}

/** The canvas as it is, or at a step that one chooses. */
function Film({ frames, isRunning }: { frames: readonly Frame[]; isRunning: boolean }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const index = isRunning || chosen === null ? frames.length - 1 : Math.min(chosen, frames.length - 1);
  const { step, canvas } = frames[index];
  return (
    <div class="film">
      <CanvasText pieces={canvas} label={`Canvas after ${step} forwards`} />
      <label class="soft figures">
        {step} forwards
        <input
          type="range"
          min="0"
          max={frames.length - 1}
          value={index}
          disabled={isRunning || frames.length < 2}
          aria-label="State of the canvas"
          aria-valuetext={`after ${step} forwards`}
          onInput={({ currentTarget }) => setChosen(Number(currentTarget.value))}
        />
      </label>
    </div>
  );
}

function Copy({ text }: { text: string }) {
  const [told, setTold] = useState('');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setTold('Copied');
    } catch {
      setTold('The browser does not allow it');
    }
    setTimeout(() => setTold(''), 2000);
  };
  return (
    <>
      <button type="button" class="quiet" onClick={() => void copy()}>
        Copy
      </button>
      <span class="soft" role="status">
        {told}
      </span>
    </>
  );
}
