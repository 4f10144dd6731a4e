/** Conversations: who can be talked to, formats, tools. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import { json, jsonLines, serverRig, sseEvents } from '../../tests/server-rig.ts';
import { forcedCallReader, freeCallReader, messageOf } from './tool-calls.ts';
import type { Piece } from './tool-calls.ts';

const CHAT = '/v1/chat/completions';
const model = 'tintype-chat';
const messages = [{ role: 'user', content: 'hi' }];
const parameters = {
  type: 'object',
  properties: { place: { $ref: '#/$defs/place' } },
  $defs: { place: { type: 'string' } },
};
const weather = { type: 'function', function: { name: 'weather', description: 'of a place', parameters } };
const clock = { type: 'function', function: { name: 'clock' } };

describe('chat', () => {
  it('answers in OpenAI’s shape and hands the conversation on as templates read it', async () => {
    const { post, engine } = serverRig();
    const response = await post(CHAT, {
      model,
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'be ' },
            { type: 'text', text: 'brief' },
          ],
        },
        { role: 'user', content: 'hi', name: 'x' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'clock', arguments: '{"zone":1}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'noon' },
      ],
      max_completion_tokens: 20,
      seed: -3,
      top_k: 500,
    });
    expect(response.status).toBe(200);
    expect(await json(response)).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'a + b;' }, finish_reason: 'stop' }],
    });
    const [asked] = engine.asked;
    expect(asked.chat!.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'clock', arguments: { zone: 1 } } }],
      },
      { role: 'tool', content: 'noon', tool_call_id: 'c1' },
    ]);
    expect(asked).toMatchObject({ maxTokens: 20, shrink: false, options: { topK: 64 } });
    expect(asked.seed).toBeGreaterThan(0);
  });

  it('takes no limit or -1 as what the context leaves', async () => {
    const { post, engine } = serverRig();
    await post(CHAT, { model, messages });
    await post(CHAT, { model, messages, max_tokens: -1 });
    expect(engine.asked.map(({ maxTokens, shrink }) => [maxTokens, shrink])).toEqual([
      [512, true],
      [1024, true],
    ]);
  });

  it('says what to do with a model that only completes', async () => {
    const response = await serverRig().post(CHAT, { model: 'tintype-code', messages });
    expect(response.status).toBe(400);
    const { error } = await json(response);
    expect(error).toMatchObject({ param: 'model', code: 'chat_unsupported' });
    expect(error.message).toContain('/v1/fim/completions');
  });

  it.each([
    ['messages', { messages: [] }],
    ['messages', { messages: [{ role: 'king', content: 'x' }] }],
    ['messages', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }],
    ['messages', { messages: 'hi' }],
    ['stop', { messages, stop: ['a', 'b', 'c', 'd', 'e'] }],
    ['max_tokens', { messages, max_tokens: -2 }],
    ['max_tokens', { messages, max_tokens: 1024 }],
    ['tools', { messages, tools: [{ type: 'function', function: { name: 'no spaces' } }] }],
    ['tool_choice', { messages, tool_choice: 'required' }],
    ['tool_choice', { messages, tools: [clock], tool_choice: { type: 'function', function: { name: 'x' } } }],
    ['response_format', { messages, response_format: { type: 'json_schema', json_schema: { name: 'x' } } }],
    [
      'response_format',
      { messages, response_format: { type: 'json_object' }, tools: [clock], tool_choice: 'required' },
    ],
    ['tintype', { messages, response_format: { type: 'json_object' }, tintype: { regex: 'a' } }],
  ])('refuses %s of %j', async (param, body) => {
    const response = await serverRig().post(CHAT, { model, ...body });
    expect(response.status).toBe(400);
    expect((await json(response)).error).toMatchObject({ param });
  });

  it('makes response formats schemas', async () => {
    const { post, engine } = serverRig();
    const schema = { type: 'object', properties: { a: { type: 'number' } } };
    await post(CHAT, { model, messages, response_format: { type: 'json_object' } });
    await post(CHAT, {
      model,
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    });
    expect(engine.asked.map(({ options }) => options!.schema)).toEqual([{ type: 'object' }, schema]);
  });
});

describe('tools', () => {
  const call = '{"name":"weather","arguments":{"place":"Bern"}}';
  const calling = () => serverRig(createFakeEngine(() => ({ text: call })));

  it('hold a demanded call to its schema, references included', async () => {
    const { post, engine } = calling();
    const body = { model, messages, tools: [weather, clock] };
    const named = await post(CHAT, {
      ...body,
      tool_choice: { type: 'function', function: { name: 'weather' } },
    });
    await post(CHAT, { ...body, tool_choice: 'required' });
    expect(engine.asked[0].options!.schema).toMatchObject({
      properties: {
        name: { const: 'weather' },
        arguments: { properties: { place: { $ref: '#/properties/arguments/$defs/place' } } },
      },
    });
    expect(JSON.stringify(engine.asked[1].options!.schema)).toContain(
      '#/anyOf/0/properties/arguments/$defs/place',
    );
    const [choice] = (await json(named)).choices;
    expect(choice.finish_reason).toBe('tool_calls');
    expect(choice.message).toMatchObject({
      content: null,
      tool_calls: [{ type: 'function', function: { name: 'weather', arguments: '{"place":"Bern"}' } }],
    });
    expect(choice.message.tool_calls[0].id).toMatch(/^call_/);
  });

  it('stream a call as a name and pieces of arguments', async () => {
    const { post } = calling();
    const events = await sseEvents(
      await post(CHAT, { model, messages, tools: [weather], tool_choice: 'required', stream: true }),
    );
    const deltas = events.slice(0, -1).flatMap(({ choices }) => choices[0].delta.tool_calls ?? []);
    expect(deltas[0]).toMatchObject({
      index: 0,
      type: 'function',
      function: { name: 'weather', arguments: '' },
    });
    expect(deltas.map((each: any) => each.function.arguments).join('')).toBe('{"place":"Bern"}');
    expect(events.at(-2).choices[0].finish_reason).toBe('tool_calls');
  });

  it('are offered to the template unless tool_choice is none', async () => {
    const { post, engine } = serverRig();
    await post(CHAT, { model, messages, tools: [clock] });
    await post(CHAT, { model, messages, tools: [clock], tool_choice: 'none' });
    expect(engine.asked.map(({ chat }) => chat!.tools?.length)).toEqual([1, undefined]);
  });

  it('are read from Hermes’ tags, with OpenAI and with Ollama', async () => {
    const text = `Let me see.<tool_call>\n${call}\n</tool_call>`;
    const { post } = serverRig(createFakeEngine(() => ({ text })));
    const [choice] = (await json(await post(CHAT, { model, messages, tools: [weather] }))).choices;
    expect(choice.message).toMatchObject({
      content: 'Let me see.',
      tool_calls: [{ function: { name: 'weather' } }],
    });
    const lines = await jsonLines(await post('/api/chat', { model, messages, tools: [weather] }));
    expect(lines.flatMap(({ message }) => message.tool_calls ?? [])).toEqual([
      { function: { name: 'weather', arguments: { place: 'Bern' } } },
    ]);
  });

  it('are the same however the text is cut', () => {
    const texts = [
      call,
      'x'.repeat(3),
      `a<tool_call>${call}</tool_call>b<tool_c`,
      '<tool_call>no json</tool_call>',
      `<tool_call>${call}`,
      '{"name":"a\\"b","arguments":{}}',
    ];
    for (const makeReader of [forcedCallReader, freeCallReader]) {
      const readIn = (pieces: string[]) => {
        const reader = makeReader();
        const all: Piece[] = [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
        return messageOf(all, String);
      };
      fc.assert(
        fc.property(fc.constantFrom(...texts), fc.array(fc.nat(80), { maxLength: 6 }), (text, cuts) => {
          const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
          const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
          expect(readIn(pieces)).toEqual(readIn([text]));
        }),
      );
    }
  });
});
