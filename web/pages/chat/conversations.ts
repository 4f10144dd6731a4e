/** What was said, kept in this browser. */
import { computed } from '@preact/signals';
import { randomId } from '../../random.ts';
import { remembered } from '../../state.ts';

/** `length`: the answer was cut where its tokens ran out. */
export type Ending = 'done' | 'length' | 'stopped' | 'failed';

export interface Figures {
  tokens: number | null;
  forwards: number;
  elapsedMs: number;
}

export type Message =
  | { id: string; role: 'user'; text: string }
  | {
      id: string;
      role: 'assistant';
      text: string;
      model: string;
      ending: Ending;
      /** Why it failed. */
      error?: string;
      /** Text that a schema bound. */
      isJson: boolean;
      figures: Figures;
    };
export type Answer = Extract<Message, { role: 'assistant' }>;

export interface Conversation {
  id: string;
  system: string;
  messages: Message[];
}

const MOST_KEPT = 50;

const empty = (): Conversation => ({ id: randomId(), system: '', messages: [] });

/** Newest first; never none. */
export const conversations = remembered<Conversation[]>('chat.conversations', [empty()]);
const chosenId = remembered('chat.chosen', '');

export const conversation = computed(
  () => conversations.value.find(({ id }) => id === chosenId.value) ?? conversations.value[0],
);

export const titleOf = ({ messages }: Conversation): string => {
  const first =
    messages
      .find(({ role }) => role === 'user')
      ?.text.trim()
      .split('\n')[0] ?? '';
  return first === '' ? 'New conversation' : first.length > 40 ? `${first.slice(0, 40)}…` : first;
};

export const choose = (id: string): void => void (chosenId.value = id);

/** One without messages is not made twice. */
export function begin(): void {
  const fresh = conversations.value.find(({ messages }) => messages.length === 0) ?? empty();
  const others = conversations.value.filter(({ id }) => id !== fresh.id);
  conversations.value = [fresh, ...others].slice(0, MOST_KEPT);
  choose(fresh.id);
}

export function remove(id: string): void {
  const rest = conversations.value.filter((each) => each.id !== id);
  conversations.value = rest.length === 0 ? [empty()] : rest;
}

export function change(id: string, part: Partial<Omit<Conversation, 'id'>>): void {
  conversations.value = conversations.value.map((each) => (each.id === id ? { ...each, ...part } : each));
}

export interface Settings {
  /** Empty: the first that can chat. */
  model: string;
  /** Empty: up to 512, as many as the context leaves. */
  maxTokens: string;
  temperature: number;
  /** Empty: the model's own. */
  threshold: string;
  /** Whether answers are bound by the schema. */
  isBound: boolean;
  schema: string;
  view: 'final' | 'denoising' | 'both';
}

export const settings = remembered<Settings>('chat.settings', {
  model: '',
  maxTokens: '',
  temperature: 0,
  threshold: '',
  isBound: false,
  schema: '',
  view: 'both',
});
export const set = (part: Partial<Settings>): void => void (settings.value = { ...settings.value, ...part });
