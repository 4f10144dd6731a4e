import { afterAll, describe, expect, it } from 'vitest';
import { CHAT_TEMPLATE } from '../../tests/chat-model.ts';
import { codeTokenizer, codeTokenizerJson } from '../../tests/text-model.ts';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { createChatFormat } from '../text/chat.ts';
import type { ChatMessage } from '../text/chat.ts';
import { streamChat } from './chat.ts';
import { collect } from './events.ts';

const tokenizer = codeTokenizer();
const format = createChatFormat(
  { 'tokenizer_config.json': JSON.stringify({ chat_template: CHAT_TEMPLATE }) },
  codeTokenizerJson(),
  tokenizer,
);
const denoiser = createToyDenoiser({
  layout: 'blockCausal',
  vocabSize: tokenizer.vocabSize,
  contextLength: 64,
  endless: true,
});
afterAll(() => denoiser.close());
const model = { denoiser, tokenizer };

const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const long = 'const answer = 42;'.repeat(2);

describe('a conversation', () => {
  it('is answered after its prompt', async () => {
    const run = streamChat(model, format, [user('a'), assistant('b'), user('c')], { maxTokens: 8 });
    expect(run.prompt.ids).toEqual(format.encode([user('a'), assistant('b'), user('c')]));
    const { done } = await collect(run.events);
    expect(done.ids).toHaveLength(8);
    expect(run.text(done)).toBe(tokenizer.decode(done.ids));
    expect(run.droppedMessages).toBe(0);
  });

  it('loses its oldest turns where it is too long, and begins with a user', () => {
    const turns = [user(long), assistant(long), user(long), assistant('b'), user('last')];
    const run = streamChat(model, format, turns, { maxTokens: 16 });
    expect(run.droppedMessages).toBeGreaterThan(0);
    expect(run.prompt.ids).toEqual(format.encode(turns.slice(run.droppedMessages)));
    expect(turns[run.droppedMessages].role).toBe('user');
    expect(() => streamChat(model, format, turns, { maxTokens: 16, overflow: 'throw' })).toThrow(
      expect.objectContaining({ code: 'prompt_too_long' }) as Error,
    );
  });

  it('is refused where its last message alone is too long', () => {
    expect(() => streamChat(model, format, [user(long.repeat(9))], { maxTokens: 8 })).toThrow(
      expect.objectContaining({ code: 'prompt_too_long' }) as Error,
    );
  });
});
