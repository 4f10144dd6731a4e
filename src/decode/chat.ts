/** Conversations: messages in, one run of `decode`, the answer out. */
import { TintypeError } from '../errors.ts';
import type { ChatFormat, ChatMessage } from '../text/chat.ts';
import { planLengths, streamPrompt } from './complete.ts';
import type { CompleteOptions, CompletionStream, TextModel } from './complete.ts';

export interface ChatStream extends CompletionStream {
  /** Messages at the beginning that had no room in the prompt. */
  droppedMessages: number;
}

/**
 * Starts an answer; nothing is computed until the events are read. Of a conversation that is too long the oldest turns are
 * left out, never the system message and never the last message. Throws `bad_template`, `prompt_too_long`, `bad_option`.
 */
export function streamChat(
  model: TextModel,
  format: ChatFormat,
  messages: readonly ChatMessage[],
  { overflow = 'keepNearest', ...options }: CompleteOptions = {},
): ChatStream {
  const { room, maxTokens } = planLengths(model.denoiser.config, options);
  const system = messages.filter(({ role }) => role === 'system');
  let turns = messages.filter(({ role }) => role !== 'system');
  let ids = format.encode([...system, ...turns]);
  const all = turns.length;
  while (ids.length > room) {
    // A conversation goes on with a user's message.
    const next = turns.findIndex(({ role }, i) => i > 0 && role === 'user');
    if (next === -1 || overflow === 'throw') {
      throw new TintypeError('prompt_too_long', {
        what: 'the message and its answer do not fit into the context of the model',
        got: `${ids.length} prompt tokens and ${maxTokens} to write`,
        wanted: `at most ${room + maxTokens} together`,
        next: 'shorten the message or ask for fewer tokens',
      });
    }
    turns = turns.slice(next);
    ids = format.encode([...system, ...turns]);
  }
  const dropped = { prefixTokens: 0, prefixCharacters: 0, suffixTokens: 0, suffixCharacters: 0 };
  return {
    ...streamPrompt(model, { ids, dropped }, options),
    droppedMessages: all - turns.length,
  };
}
