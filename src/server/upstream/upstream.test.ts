/** The whole server in front of a small OpenAI-compatible one that answers, breaks, hangs and refuses. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { json, serverRig, sseEvents } from '../../../tests/server-rig.ts';
import { accountsRig } from '../../../tests/accounts-rig.ts';
import type { CompletionEngine } from '../../decode/engine-types.ts';
import { connectUpstream } from './client.ts';
import { createUpstreamEngine } from './engine.ts';

interface Asked {
  path: string;
  body: any;
  key: string | undefined;
}

const asked: Asked[] = [];
let left = 0;
let server: Server;
let url: string;

const read = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
};

/** What the last word of the prompt says. */
const BEHAVIOURS: Record<string, (response: ServerResponse, write: (chunk: object) => void) => void> = {
  long: (response) => refuse(response, 400, { error: { message: 'maximum context length is 8' } }),
  key: (response) => refuse(response, 401, { error: { message: 'secret-key is wrong' } }),
  full: (response) => refuse(response, 429, {}, { 'retry-after': '7' }),
  broken: (response) => refuse(response, 500, '<html>a page</html>'),
  cut: (response, write) => {
    write({ choices: [{ text: 'half' }] });
    setTimeout(() => response.destroy(), 20);
  },
  ends: (response, write) => {
    write({ choices: [{ text: 'half' }] });
    response.end();
  },
  strange: (response, write) => {
    write({ choices: 7 });
    response.end();
  },
  garbage: (response) => {
    response.writeHead(200);
    response.end('data: {"choi\n\n');
  },
  error: (response, write) => {
    write({ error: { message: 'CUDA out of memory' } });
    response.end();
  },
  silent: () => {},
  slow: (response, write) => {
    write({ choices: [{ text: 'one ' }] });
    let pings = 0;
    const timer = setInterval(() => {
      if (++pings < 5) return response.write(': ping\n\n');
      clearInterval(timer);
      return finish(response, write);
    }, PATIENCE_MS / 4);
  },
};

/** Short for a test, long enough for a machine that does other things too. */
const PATIENCE_MS = 1_000;

function refuse(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, headers);
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

function finish(response: ServerResponse, write: (chunk: object) => void): void {
  write({ choices: [{ text: 'a + b;', delta: { content: 'a + b;' }, finish_reason: null }] });
  write({ choices: [{ text: '', delta: {}, finish_reason: 'stop' }] });
  const details = { prompt_tokens_details: { cached_tokens: 3 } };
  write({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 4, ...details } });
  response.end('data: [DONE]\n\n');
}

beforeAll(async () => {
  server = createServer((request, response) => {
    void (async () => {
      if (request.url === '/v1/models') {
        const data = ['Qwen2.5-Coder', 'plain'].map((id) => ({ id, object: 'model', max_model_len: 256 }));
        return response.end(JSON.stringify({ object: 'list', data }));
      }
      const body = JSON.parse(await read(request));
      asked.push({ path: request.url!, body, key: request.headers.authorization });
      response.on('close', () => {
        if (!response.writableFinished) left++;
      });
      const write = (chunk: object): void => void response.write(`data: ${JSON.stringify(chunk)}\n\n`);
      if (body.tools) {
        const call = (part: object): object => ({
          choices: [{ delta: { tool_calls: [{ index: 0, function: part }] } }],
        });
        write(call({ name: 'add', arguments: '' }));
        write(call({ arguments: '{"a": ' }));
        write(call({ arguments: '1}' }));
        return finish(response, (chunk) => write({ ...chunk, choices: [] }));
      }
      const word = String(body.prompt ?? body.messages?.at(-1).content)
        .split(' ')
        .at(-1)!;
      (BEHAVIOURS[word] ?? finish)(response, write);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterAll(() => server.closeAllConnections());
afterEach(() => {
  asked.length = 0;
  left = 0;
});

const engineOf = (base = url, timeoutMs = 30_000): Promise<CompletionEngine> =>
  createUpstreamEngine(connectUpstream({ url: base, key: 'theirs', timeoutMs }));
const rig = async (timeoutMs?: number) => serverRig((await engineOf(url, timeoutMs)) as any);

describe('in front of an upstream', () => {
  it('lists its models', async () => {
    const { app } = await rig();
    const { data } = await json(await app.request('/v1/models'));
    expect(data.map((model: any) => [model.id, model.context_length])).toEqual([
      ['Qwen2.5-Coder', 256],
      ['plain', 256],
    ]);
  });

  it.each([url, `${url}/`, `${url}/v1`, `${url}/v1/`].map((_, index) => ['', '/', '/v1', '/v1/'][index]))(
    'finds it at an address with %j at its end',
    async (end) => {
      expect((await engineOf(url + end)).models()).toHaveLength(2);
    },
  );

  it('fills gaps in the form of its model, with the key of the server', async () => {
    const { post } = await rig();
    const body = {
      model: 'Qwen2.5-Coder',
      prompt: 'return ',
      suffix: '\n}',
      max_tokens: 9,
      seed: 7,
      stop: ['\n\n'],
    };
    const answer = await json(await post('/v1/fim/completions', body));
    expect(answer.choices[0]).toMatchObject({ text: 'a + b;', finish_reason: 'stop' });
    expect(answer.usage).toMatchObject({
      prompt_tokens: 9,
      completion_tokens: 4,
      prompt_tokens_details: { cached_tokens: 3 },
    });
    expect(asked[0]).toMatchObject({
      path: '/v1/completions',
      key: 'Bearer theirs',
      body: {
        prompt: '<|fim_prefix|>return <|fim_suffix|>\n}<|fim_middle|>',
        max_tokens: 9,
        seed: 7,
        stop: expect.arrayContaining(['\n\n', '<|endoftext|>']),
      },
    });
    const unknown = await post('/v1/fim/completions', { ...body, model: 'plain' });
    expect(unknown.status).toBe(400);
  });

  it('answers conversations, whole and streamed, and Ollama’s and llama.cpp’s clients', async () => {
    const { post } = await rig();
    const messages = [{ role: 'user', content: 'hi' }];
    const whole = await json(await post('/v1/chat/completions', { messages }));
    expect(whole.choices[0].message.content).toBe('a + b;');
    const events = await sseEvents(await post('/v1/chat/completions', { messages, stream: true }));
    expect(events.at(-1)).toBe('[DONE]');
    expect(asked[0].body.messages).toMatchObject(messages);
    const infill = await json(
      await post('/infill', { input_prefix: 'x'.repeat(5000), input_suffix: 'y', n_predict: 8 }),
    );
    expect(infill.content).toBe('a + b;');
    expect(asked.at(-1)!.body.prompt.length).toBeLessThan(900);
    const ollama = await json(await post('/api/generate', { model: 'plain', prompt: 'a', stream: false }));
    expect(ollama.response).toBe('a + b;');
  });

  it('hands on calls of tools', async () => {
    const { post } = await rig();
    const tools = [{ type: 'function', function: { name: 'add', parameters: { type: 'object' } } }];
    const messages = [{ role: 'user', content: 'add' }];
    const answer = await json(await post('/v1/chat/completions', { messages, tools }));
    expect(answer.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'add', arguments: '{"a":1}' } }] },
    });
    expect(asked[0].body.tools).toMatchObject(tools);
  });

  it.each([
    ['long', 400, 'context_length_exceeded'],
    ['key', 502, 'upstream_refused'],
    ['full', 503, 'overloaded'],
    ['broken', 502, 'upstream_failed'],
    ['cut', 502, 'upstream_unreachable'],
    ['ends', 502, 'upstream_broken'],
    ['strange', 502, 'upstream_broken'],
    ['garbage', 502, 'upstream_broken'],
    ['error', 502, 'upstream_broken'],
    ['silent', 504, 'upstream_timeout'],
  ])('says clearly what went wrong: %s', async (word, status, code) => {
    const { post } = await rig(word === 'silent' ? PATIENCE_MS : undefined);
    const response = await post('/v1/completions', { prompt: `x ${word}` });
    expect(response.status).toBe(status);
    const text = await response.text();
    expect(JSON.parse(text).error.code).toBe(code);
    expect(text).not.toMatch(/secret-key|html/);
    if (word === 'full') expect(response.headers.get('retry-after')).toBe('7');
  });

  it('breaks a stream off with an error, not silently', async () => {
    const { post } = await rig();
    const events = await sseEvents(await post('/v1/completions', { prompt: 'x cut', stream: true }));
    expect(events[0].choices[0].text).toBe('half');
    expect(events.at(-1).error.code).toBe('upstream_unreachable');
  });

  it('waits as long as there are signs of life', async () => {
    const { post } = await rig(PATIENCE_MS);
    const response = await post('/v1/completions', { prompt: 'x slow' });
    expect((await json(response)).choices[0].text).toBe('one a + b;');
  });

  it('leaves when its client leaves', async () => {
    const { post } = await rig();
    const client = new AbortController();
    const answer = post('/v1/completions', { prompt: 'x silent' }, { signal: client.signal });
    await expect.poll(() => asked.length).toBe(1);
    client.abort();
    expect((await answer).status).toBe(499);
    await expect.poll(() => left).toBe(1);
  });

  it('that is not there is a clear error', async () => {
    await expect(engineOf('http://127.0.0.1:1')).rejects.toMatchObject({
      status: 502,
      body: { error: { code: 'upstream_unreachable' } },
    });
  });

  it('meters what the upstream counted, and of a broken stream what was delivered', async () => {
    const { post, rows, close } = await accountsRig({ good: {} }, (await engineOf()) as any);
    await post('good', '/v1/completions', { prompt: 'x' });
    await sseEvents(await post('good', '/v1/completions', { prompt: 'x cut', stream: true }));
    await post('good', '/v1/completions', { prompt: 'x broken' });
    const [broken, cut, whole] = await rows();
    expect(whole).toMatchObject({ promptTokens: 9, cachedTokens: 3, completionTokens: 4, state: 'answered' });
    expect(cut).toMatchObject({ completionTokens: 1, state: 'answered' });
    expect(broken).toMatchObject({ priceNanos: 0, state: 'failed', status: 502 });
    close();
  });
});
