/** `ai` 6 with `@ai-sdk/openai-compatible` and `@ai-sdk/openai`, unmodified. */
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

let server: ClientServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const compatible = () =>
  createOpenAICompatible({
    name: 'tintype',
    baseURL: `${server.url}/v1`,
    supportsStructuredOutputs: true,
    includeUsage: true,
  });
const schema = jsonSchema<{ ok: boolean }>({
  type: 'object',
  properties: { ok: { type: 'boolean' } },
  required: ['ok'],
});
const common = { maxOutputTokens: 60, maxRetries: 0, prompt: 'hi' };

describe('@ai-sdk/openai-compatible', () => {
  it('streams chat to the text that it generates', async () => {
    const model = compatible().chatModel('chat');
    const { text, usage } = await generateText({ model, ...common, seed: 3 });
    const result = streamText({ model, ...common, seed: 3 });
    let streamed = '';
    for await (const piece of result.textStream) streamed += piece;
    expect(streamed).toBe(text);
    expect((await result.usage).outputTokens).toBe(usage.outputTokens);
  });

  it('completes, streamed too', async () => {
    const model = compatible().completionModel('code');
    const { text, finishReason } = await generateText({ model, ...common, maxOutputTokens: 8 });
    expect(['stop', 'length']).toContain(finishReason);
    const result = streamText({ model, ...common, maxOutputTokens: 8 });
    expect(await result.text).toBe(text);
  });

  it('gets objects by schema, and calls of tools', async () => {
    const model = compatible().chatModel('chat');
    const { output } = await generateText({ model, ...common, output: Output.object({ schema }) });
    expect(typeof output.ok).toBe('boolean');
    const tools = { set: tool({ description: 'sets', inputSchema: schema }) };
    const result = streamText({ model, ...common, tools, toolChoice: 'required' });
    const [call] = await result.toolCalls;
    expect(call).toMatchObject({ toolName: 'set', input: { ok: expect.any(Boolean) } });
  });
});

describe('@ai-sdk/openai', () => {
  it('chats and completes', async () => {
    const provider = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none' });
    const { text } = await generateText({ model: provider.chat('chat'), ...common });
    expect(typeof text).toBe('string');
    const result = streamText({ model: provider.completion('code'), ...common, maxOutputTokens: 8 });
    expect(typeof (await result.text)).toBe('string');
  });
});
