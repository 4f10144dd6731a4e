/** The answer that is being written, drawn at most once a frame of the screen, and put into the conversation at its end. */
import { signal } from '@preact/signals';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { randomId, randomSeed } from '../../random.ts';
import { RunError } from '../../runs/run.ts';
import { notice } from '../../state.ts';
import { chat } from './answer.ts';
import type { ChatRequest, Frame } from './answer.ts';
import type { Answer, Conversation, Message } from './conversations.ts';
import { change } from './conversations.ts';

/** Canvases of answers of this visit, by message; they are too many to keep for longer. */
export const films = signal<ReadonlyMap<string, Frame[]>>(new Map());
const MOST_FILMS = 20;

export interface Running {
  conversation: string;
  answer: Answer;
  frames: Frame[];
}

export function useAnswer() {
  const [running, setRunning] = useState<Running | null>(null);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);

  /** @param messages what is said so far; the last one is answered */
  const answer = useCallback(
    async (
      { id, system }: Conversation,
      messages: Message[],
      request: Omit<ChatRequest, 'messages' | 'seed'>,
    ) => {
      controller.current?.abort();
      const own = new AbortController();
      controller.current = own;
      change(id, { messages });
      const frames: Frame[] = [];
      const startedMs = performance.now();
      let written: Answer = {
        id: randomId(),
        role: 'assistant',
        text: '',
        model: request.model,
        ending: 'stopped',
        isJson: request.schema !== undefined,
        figures: { tokens: null, forwards: 0, elapsedMs: 0 },
      };
      const put = (figures: Partial<Answer['figures']>, part: Partial<Answer> = {}): void => {
        written = { ...written, ...part, figures: { ...written.figures, ...figures } };
      };
      let scheduled = 0;
      const draw = (): void => {
        scheduled ||= requestAnimationFrame(() => {
          scheduled = 0;
          put({ elapsedMs: performance.now() - startedMs });
          if (controller.current === own)
            setRunning({ conversation: id, answer: written, frames: [...frames] });
        });
      };
      draw();
      try {
        const seed = randomSeed();
        for await (const event of chat({ ...request, messages: wire(system, messages), seed }, own.signal)) {
          if (event.type === 'text') put({}, { text: written.text + event.text });
          if (event.type === 'frame') {
            frames.push(event.frame);
            put({ forwards: event.frame.step });
          }
          if (event.type === 'end') put({}, { ending: event.reason === 'length' ? 'length' : 'done' });
          if (event.type === 'usage') put({ tokens: event.tokens });
          draw();
        }
      } catch (error) {
        const isStopped = error instanceof RunError && error.code === 'aborted';
        const why = error instanceof Error ? error.message : String(error);
        put({}, isStopped ? { ending: 'stopped' } : { ending: 'failed', error: why });
      }
      cancelAnimationFrame(scheduled);
      put({ elapsedMs: performance.now() - startedMs });
      change(id, { messages: [...messages, written] });
      films.value = new Map([...films.value, [written.id, frames] as const].slice(-MOST_FILMS));
      if (controller.current !== own) return;
      controller.current = null;
      setRunning(null);
      notice.value = written.ending === 'failed' ? `No answer: ${written.error}` : 'The answer is there.';
    },
    [],
  );
  const stop = useCallback(() => controller.current?.abort(), []);
  return { running, answer, stop };
}

/** Questions that got no answer are one with the next: many templates want the two sides to take turns. */
function wire(system: string, messages: readonly Message[]): ChatRequest['messages'] {
  const said: ChatRequest['messages'] = [];
  if (system.trim() !== '') said.push({ role: 'system', content: system });
  for (const { role, text } of messages) {
    const last = said.at(-1);
    if (role === 'assistant' && text === '') continue;
    if (last?.role === role) last.content += `\n\n${text}`;
    else said.push({ role, content: text });
  }
  return said;
}
