/** LangChain, Ollama's client and Continue's adapters, unmodified; Tabby's and llama.vim's requests as they send them. */
import { constructLlmApi } from '@continuedev/openai-adapters';
import { ChatOpenAI, OpenAI } from '@langchain/openai';
import { Ollama } from 'ollama';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

let server: ClientServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const post = async (path: string, body: object): Promise<any> => {
  const response = await fetch(server.url + path, { method: 'POST', body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return response.json();
};

describe('@langchain/openai', () => {
  it('chats and completes, streamed and whole', async () => {
    const configuration = { baseURL: `${server.url}/v1` };
    const options = { apiKey: 'none', configuration, maxTokens: 8, maxRetries: 0 };
    const chat = new ChatOpenAI({ ...options, model: 'chat' });
    const reply = await chat.invoke('hi');
    let text = '';
    for await (const chunk of await chat.stream('hi')) text += chunk.text;
    expect(text).toBe(reply.text);
    const completion = new OpenAI({ ...options, model: 'code' });
    const texts = await completion.generate(['let a', 'let b']);
    expect(texts.generations).toHaveLength(2);
  });
});

describe('ollama', () => {
  it('generates, chats, lists and shows', async () => {
    const client = new Ollama({ host: server.url });
    const options = { num_predict: 6 };
    const whole = await client.generate({ model: 'code:latest', prompt: 'let a', suffix: ';', options });
    let text = '';
    const stream = await client.generate({
      model: 'code',
      prompt: 'let a',
      suffix: ';',
      options,
      stream: true,
    });
    for await (const part of stream) text += part.response;
    expect(text).toBe(whole.response);
    const chat = await client.chat({ model: 'chat', messages: [{ role: 'user', content: 'hi' }], options });
    expect(chat.message.role).toBe('assistant');
    expect((await client.list()).models.map(({ name }) => name)).toEqual(['code:latest', 'chat:latest']);
    expect((await client.show({ model: 'code' })).capabilities).toContain('insert');
    await expect(client.generate({ model: 'none', prompt: 'x' })).rejects.toThrow('not loaded');
  });
});

describe('@continuedev/openai-adapters', () => {
  it.each([
    ['inception', '/v1/'],
    ['mistral', '/v1/'],
    ['llama.cpp', '/'],
    ['openai', '/v1/'],
  ])('%s fills gaps, streamed', async (provider, path) => {
    const api = constructLlmApi({ provider, apiKey: 'none', apiBase: server.url + path } as never)!;
    const body = {
      model: 'code',
      prompt: 'let a',
      suffix: ';',
      max_tokens: 8,
      stream: true as const,
      stop: ['\n'],
    };
    let text = '';
    for await (const chunk of api.fimStream(body, new AbortController().signal))
      text += chunk.choices[0]?.delta.content ?? '';
    const direct = await post('/v1/fim/completions', { ...body, stream: false });
    if (provider !== 'inception') expect(text).toBe(direct.choices[0].text);
    expect(text.length).toBeGreaterThan(0);
  });

  it('chats', async () => {
    const api = constructLlmApi({
      provider: 'openai',
      apiKey: 'none',
      apiBase: `${server.url}/v1/`,
    } as never)!;
    const body = { model: 'chat', messages: [{ role: 'user' as const, content: 'hi' }], max_tokens: 8 };
    const whole = await api.chatCompletionNonStream({ ...body, stream: false }, new AbortController().signal);
    let text = '';
    for await (const chunk of api.chatCompletionStream(
      { ...body, stream: true },
      new AbortController().signal,
    ))
      text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(whole.choices[0].message.content);
  });
});

describe('requests of editors', () => {
  it('Tabby agent’s http model: openai/completion and llama.cpp/completion', async () => {
    const prompt = '<fim_prefix>let a<fim_suffix>;<fim_middle>';
    const openai = await post('/v1/completions', {
      model: 'code',
      prompt,
      max_tokens: 8,
      temperature: 0,
      stream: false,
      presence_penalty: 0,
    });
    expect(typeof openai.choices[0].text).toBe('string');
    const llama = await post('/completion', {
      prompt,
      n_predict: 8,
      stop: ['\n\n'],
      stream: false,
      penalty_last_n: 0,
    });
    expect(llama).toMatchObject({ stop: true, content: openai.choices[0].text.split('\n\n')[0] });
  });

  it('llama.vim: a warm-up, then a request', async () => {
    const ring = Array.from({ length: 16 }, (_, i) => ({
      text: `line ${i}\n`.repeat(64),
      time: i,
      filename: 'x',
    }));
    const body = {
      input_prefix: 'let a',
      input_suffix: ';',
      input_extra: ring,
      samplers: ['top_k'],
      cache_prompt: true,
    };
    expect(await post('/infill', { ...body, n_predict: 0, response_fields: [''] })).toEqual({});
    const response_fields = ['content', 'timings/prompt_n', 'timings/predicted_n', 'truncated'];
    const reply = await post('/infill', {
      ...body,
      n_predict: 8,
      stop: [],
      n_indent: 0,
      t_max_predict_ms: 250,
      response_fields,
    });
    expect(Object.keys(reply).sort()).toEqual([...response_fields].sort());
  });

  it('llama.vscode: a warm-up, then a request', async () => {
    const common = {
      input_extra: [{ text: 'let b', time: 1, filename: 'b.ts' }],
      prompt: '',
      cache_prompt: true,
    };
    const limits = { t_max_prompt_ms: 500, lora: [{ id: 0, scale: 0.5 }] };
    const warmUp = { ...common, ...limits, input_prefix: '', input_suffix: '', n_predict: 0, samplers: [] };
    expect(await post('/infill', { ...warmUp, t_max_predict_ms: 1 })).toMatchObject({ content: '' });
    const reply = await post('/infill', {
      ...common,
      ...limits,
      input_prefix: 'let a',
      input_suffix: ';',
      n_predict: 8,
      n_indent: 4,
      top_k: 40,
      top_p: 0.99,
      stream: false,
      samplers: ['top_k', 'top_p', 'infill'],
      t_max_predict_ms: 2500,
    });
    expect(reply.content.length).toBeGreaterThan(0);
    expect(reply).toMatchObject({ timings: { predicted_n: expect.any(Number) }, truncated: false });
  });

  it.each([
    ['qwen', '<|fim_prefix|>let a<|fim_suffix|>;<|fim_middle|>'],
    ['star_coder', '<fim_prefix>let a<fim_suffix>;<fim_middle>'],
    ['deepseek_coder', '<｜fim▁begin｜>let a<｜fim▁hole｜>;<｜fim▁end｜>'],
    ['code_llama', '<PRE> let a <SUF>; <MID>'],
    ['codestral', '[SUFFIX];[PREFIX]let a'],
    ['glm', '<|code_prefix|>let a<|code_suffix|>;<|code_middle|>'],
  ])('Zed: the prompt format %s', async (_, prompt) => {
    const stop = ['<|endoftext|>', '<|fim_prefix|>', '<|fim_middle|>', '<|fim_suffix|>'];
    const { choices } = await post('/v1/completions', { model: 'code', prompt, max_tokens: 8, stop });
    const direct = await post('/v1/fim/completions', { prompt: 'let a', suffix: ';', max_tokens: 8 });
    expect(choices[0].text).toBe(direct.choices[0].text);
  });

  it('Minuet: a gap, streamed, though it accepts JSON', async () => {
    const response = await fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      headers: { accept: 'application/json', authorization: 'Bearer xterm' },
      body: JSON.stringify({ model: 'code', prompt: 'let a', suffix: ';', max_tokens: 8, stream: true }),
    });
    const events = [...(await response.text()).matchAll(/^data: (\{.*)$/gm)].map(([, json]) =>
      JSON.parse(json),
    );
    const direct = await post('/v1/fim/completions', { prompt: 'let a', suffix: ';', max_tokens: 8 });
    expect(events.map(({ choices }) => choices[0].text).join('')).toBe(direct.choices[0].text);
  });

  it('twinny: a marked prompt as Ollama’s, streamed', async () => {
    const response = await fetch(`${server.url}/api/generate`, {
      method: 'POST',
      body: JSON.stringify({
        model: 'code:latest',
        prompt: '<fim_prefix>let a<fim_suffix>;<fim_middle>',
        stream: true,
        keep_alive: -1,
        options: { temperature: 0, num_predict: 8, stop: ['<fim_prefix>', '<|endoftext|>'] },
      }),
    });
    const lines = (await response.text())
      .trim()
      .split('\n')
      .map((each) => JSON.parse(each));
    const direct = await post('/v1/fim/completions', { prompt: 'let a', suffix: ';', max_tokens: 8 });
    expect(lines.map((each) => each.response).join('')).toBe(direct.choices[0].text);
    expect(lines.at(-1)).toMatchObject({ done: true, done_reason: 'length' });
  });
});
