/** The `openai` package, unmodified. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

let server: ClientServer;
let client: OpenAI;
beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => server.close());

const messages = [{ role: 'user' as const, content: 'hi' }];

describe('openai', () => {
  it('chats, streamed and whole, to the same text', async () => {
    const body = { model: 'chat', messages, max_tokens: 16, seed: 5 };
    const { data: whole, request_id } = await client.chat.completions.create(body).withResponse();
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0].message.content);
    expect(usage?.total_tokens).toBe(whole.usage?.total_tokens);
    expect(request_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('completes, with a suffix and without', async () => {
    const reply = await client.completions.create({
      model: 'code',
      prompt: 'let a',
      suffix: ';',
      max_tokens: 6,
      n: 2,
    });
    expect(reply.choices.map(({ index }) => index)).toEqual([0, 1]);
    const stream = await client.completions.create({
      model: 'code',
      prompt: 'let a',
      max_tokens: 6,
      stream: true,
    });
    let chunks = 0;
    for await (const chunk of stream) chunks += chunk.choices.length;
    expect(chunks).toBeGreaterThan(0);
  });

  it('parses structured outputs and runs tools', async () => {
    const schema = {
      type: 'object',
      properties: { ok: { type: 'boolean' }, kind: { enum: ['a', 'b'] } },
      required: ['ok', 'kind'],
    };
    const reply = await client.chat.completions.parse({
      model: 'chat',
      messages,
      max_tokens: 60,
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    });
    expect(reply.choices[0].message.parsed).toMatchObject({ ok: expect.any(Boolean) });

    const tools = [{ type: 'function' as const, function: { name: 'set', parameters: schema } }];
    const stream = client.chat.completions.stream({
      model: 'chat',
      messages,
      max_tokens: 90,
      tools,
      tool_choice: 'required',
    });
    const final = await stream.finalChatCompletion();
    const [choice] = final.choices;
    expect(choice.finish_reason).toBe('tool_calls');
    const [call] = choice.message.tool_calls!;
    expect(call).toMatchObject({ type: 'function', function: { name: 'set' } });
    expect(JSON.parse(call.type === 'function' ? call.function.arguments : '')).toHaveProperty('kind');
  });

  it('turns errors into its classes, and lists models', async () => {
    const chat = (model: string) => client.chat.completions.create({ model, messages });
    await expect(chat('none')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(chat('code')).rejects.toMatchObject({
      status: 400,
      code: 'chat_unsupported',
      param: 'model',
    });
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['code', 'chat']);
    expect((await client.models.retrieve('code')).owned_by).toBe('tintype');
  });

  it('stops the decoder when it aborts a stream', async () => {
    const stream = await client.completions.create({
      model: 'code',
      prompt: 'x',
      max_tokens: 200,
      stream: true,
    });
    for await (const _ of stream) break;
    await expect.poll(() => server.log().at(-1)).toMatchObject({ status: 499, path: '/v1/completions' });
  });
});
