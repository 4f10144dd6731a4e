/** A conversation with a chat checkpoint: the answer as it develops, and as it ends up. */
import { useEffect, useRef } from 'preact/hooks';
import { randomId } from '../../random.ts';
import type { ModelInfo } from '../../runs/run.ts';
import { models, remembered, serverState } from '../../state.ts';
import { CanvasLegend } from '../../views/canvas.tsx';
import type { Message } from './conversations.ts';
import { begin, choose, conversation, conversations, remove, settings, titleOf } from './conversations.ts';
import { AnswerMessage, UserMessage } from './message.tsx';
import { Settings, useSchema } from './settings.tsx';
import { films, useAnswer } from './use-answer.ts';
import './chat.css';

export default function Chat() {
  const able = models.value.filter(({ features }) => features.includes('chat'));
  return (
    <div class="view chat">
      <h1>Chat</h1>
      {able.length > 0 ? <Talk models={able} /> : <Without isKnown={models.value.length > 0} />}
    </div>
  );
}

/** Nothing here can be talked to: why, and what to do. */
function Without({ isKnown }: { isKnown: boolean }) {
  if (!isKnown) {
    return (
      <p class="soft">{serverState.value === 'away' ? 'The server is away.' : 'Looking for models …'}</p>
    );
  }
  return (
    <section class="card stack" aria-labelledby="without">
      <h2 id="without">No chat model is loaded</h2>
      <p>
        The models that run here complete code or solve puzzles: they have no chat template, so they cannot
        hold a conversation. A published diffusion chat checkpoint can. Fetch one, and start the server with
        it:
      </p>
      <pre class="source">
        {'tintype pull OWNER/NAME        for one, JetLM/SDAR-1.7B-Chat\ntintype serve --model OWNER/NAME'}
      </pre>
      <p class="soft">
        A folder that is there already: <code>tintype serve --model DIR</code>. The table of checkpoints that
        tintype reads, with the memory that each needs, is in docs/models.md.
      </p>
    </section>
  );
}

const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));

const draft = remembered('chat.draft', '');

function Talk({ models }: { models: readonly ModelInfo[] }) {
  const { running, answer, stop } = useAnswer();
  const schema = useSchema();
  const end = useRef<HTMLDivElement>(null);
  const now = conversation.value;
  const { maxTokens, temperature, threshold, isBound, view } = settings.value;
  const model = models.find(({ id }) => id === settings.value.model) ?? models[0];
  const isHere = running?.conversation === now.id;
  const hasFilm = isHere || now.messages.some(({ id }) => films.value.has(id));
  const isBlocked = running !== null || (isBound && (schema === null || 'fault' in schema));

  const ask = (messages: Message[]): void =>
    void answer(now, messages, {
      model: model.id,
      maxTokens: numberOf(maxTokens),
      temperature,
      threshold: numberOf(threshold),
      ...(isBound && schema && 'schema' in schema ? { schema: schema.schema } : {}),
    });
  const send = (): void => {
    const text = draft.value;
    if (isBlocked || text.trim() === '') return;
    draft.value = '';
    ask([...now.messages, { id: randomId(), role: 'user', text }]);
  };
  // What comes is kept in sight, unless one has scrolled away to read.
  const isAtEnd = useRef(true);
  useEffect(() => {
    const look = (): void => {
      const { scrollHeight } = document.documentElement;
      isAtEnd.current = scrollHeight - innerHeight - scrollY < 120;
    };
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);
  useEffect(() => {
    if (running && isAtEnd.current) end.current?.scrollIntoView({ block: 'end' });
  }, [running]);

  return (
    <div class="talk">
      <aside class="stack" aria-label="Conversations and settings">
        <History isBusy={running !== null} />
        <details class="card" open={innerWidth > 900}>
          <summary>Settings</summary>
          <Settings models={models} model={model} schema={schema} />
        </details>
      </aside>
      <section class="stack" aria-label="Messages">
        {now.messages.length === 0 && !isHere && (
          <p class="soft">
            Ask {model.id} something. Its answer starts as masks and is uncovered in parallel; the canvas
            stands beside the finished text.
          </p>
        )}
        {now.messages.map((message, index) =>
          message.role === 'user' ? (
            <UserMessage
              key={message.id}
              message={message}
              isBusy={isBlocked}
              onEdit={(text) => ask([...now.messages.slice(0, index), { ...message, id: randomId(), text }])}
            />
          ) : (
            <AnswerMessage
              key={message.id}
              answer={message}
              frames={films.value.get(message.id) ?? []}
              view={view}
              isRunning={false}
              isBusy={isBlocked}
              onAgain={() => ask(now.messages.slice(0, index))}
            />
          ),
        )}
        {isHere && (
          <AnswerMessage
            answer={running.answer}
            frames={running.frames}
            view={view}
            isRunning={true}
            isBusy={true}
            onAgain={() => {}}
          />
        )}
        {view !== 'final' && hasFilm && <CanvasLegend />}
        <form
          class="composer card"
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <textarea
            aria-label="Message"
            placeholder="Message"
            rows={3}
            value={draft.value}
            onInput={({ currentTarget }) => (draft.value = currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              send();
            }}
          />
          <div class="row spread">
            <span class="soft">
              <kbd>Enter</kbd> sends, <kbd>⇧ Enter</kbd> begins a line
            </span>
            {running === null ? (
              <button type="submit" class="primary" disabled={isBlocked || draft.value.trim() === ''}>
                Send
              </button>
            ) : (
              <button type="button" class="primary" onClick={stop}>
                Stop
              </button>
            )}
          </div>
          {isBound && schema !== null && 'fault' in schema && (
            <p class="error" role="status">
              The schema in the settings cannot be used yet, so nothing is sent.
            </p>
          )}
        </form>
        <div ref={end} />
      </section>
    </div>
  );
}

function History({ isBusy }: { isBusy: boolean }) {
  const now = conversation.value;
  return (
    <div class="history">
      <select
        aria-label="Conversation"
        value={now.id}
        onChange={({ currentTarget }) => choose(currentTarget.value)}
      >
        {conversations.value.map((each) => (
          <option key={each.id} value={each.id}>
            {titleOf(each)}
          </option>
        ))}
      </select>
      <div class="row">
        <button type="button" onClick={begin} disabled={now.messages.length === 0}>
          New
        </button>
        <button
          type="button"
          onClick={() => remove(now.id)}
          disabled={isBusy || (now.messages.length === 0 && conversations.value.length === 1)}
        >
          Delete
        </button>
        <span class="soft">kept in this browser</span>
      </div>
    </div>
  );
}
