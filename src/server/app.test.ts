import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import { json, serverRig as rig } from '../../tests/server-rig.ts';
import type { CompletionRequest } from '../decode/engine-types.ts';
import { TintypeError } from '../errors.ts';

const FIM = '/v1/fim/completions';
const COMPLETIONS = '/v1/completions';

describe('GET', () => {
  it('/health says that it is well and with what', async () => {
    const response = await rig().app.request('/health');
    expect(response.status).toBe(200);
    expect(await json(response)).toEqual({
      status: 'ok',
      models: ['tintype-code', 'tintype-code-ar', 'tintype-chat'],
    });
  });

  it('/v1/models lists models as OpenAI does, with their context length', async () => {
    const body = await json(await rig().app.request('/v1/models'));
    expect(body.object).toBe('list');
    expect(body.data[0]).toEqual({
      id: 'tintype-code',
      object: 'model',
      created: 1_800_000_000,
      owned_by: 'tintype',
      name: 'tintype-code',
      layout: 'causalContext',
      context_length: 1024,
      max_output_length: 1023,
      pricing: { prompt: '0', completion: '0', input_cache_reads: '0' },
      supported_features: ['fim', 'edit', 'completions', 'json_mode', 'structured_outputs', 'diffusing'],
    });
  });

  it('/metrics names the routes that were asked, also beside the files of the page', async () => {
    const { app, post } = rig(createFakeEngine(), { page: import.meta.dirname });
    await post(FIM, { prompt: 'a' });
    await app.request('/nothing/that/exists');
    const text = await (await app.request('/metrics')).text();
    expect(text).toContain(`tintype_http_requests_total{method="POST",route="${FIM}",status="200"} 1`);
    expect(text).toContain('tintype_http_requests_total{method="GET",route="none",status="404"} 1');
  });

  it('an unknown route is an OpenAI error', async () => {
    const response = await rig().app.request('/v2/nothing');
    expect(response.status).toBe(404);
    expect((await json(response)).error).toMatchObject({ type: 'invalid_request_error', code: 'not_found' });
  });
});

describe('a method that a path does not know', () => {
  it.each([
    ['GET', FIM, 'POST'],
    ['GET', '/fim/completions', 'POST'],
    ['PUT', '/v1/chat/completions', 'POST'],
    ['POST', '/v1/models/tintype-code', 'GET, HEAD'],
    ['DELETE', '/health', 'GET, HEAD'],
  ])('%s %s is 405 and says %s', async (method, path, allow) => {
    for (const page of [undefined, import.meta.dirname]) {
      const response = await rig(createFakeEngine(), { page }).app.request(path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
      expect((await json(response)).error).toEqual({
        message: `this route is asked with ${allow}`,
        type: 'invalid_request_error',
        param: null,
        code: 'method_not_allowed',
      });
    }
  });

  it('is said in Ollama’s shape on its paths; HEAD and preflights are answered', async () => {
    const { app } = rig();
    const wrong = await app.request('/api/generate');
    expect(wrong.status).toBe(405);
    expect(await json(wrong)).toEqual({ error: 'this route is asked with POST' });
    expect((await app.request('/v1/models', { method: 'HEAD' })).status).toBe(200);
    const preflight = { origin: 'http://localhost:1', 'access-control-request-method': 'POST' };
    expect((await app.request(FIM, { method: 'OPTIONS', headers: preflight })).status).toBe(204);
    expect((await app.request('/v1/nothing', { method: 'PUT' })).status).toBe(404);
  });
});

describe('completions', () => {
  it('fills a gap and answers in OpenAI’s shape, text in both places that clients read', async () => {
    const { post, engine } = rig();
    const response = await post(FIM, {
      model: 'tintype-code',
      prompt: 'return ',
      suffix: '\n}',
      max_tokens: 32,
      temperature: 0.5,
      top_p: 0.9,
      seed: 7,
      stop: ['\n\n'],
    });
    expect(response.status).toBe(200);
    expect(await json(response)).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f-]{36}$/),
      object: 'text_completion',
      created: 1_800_000_000,
      model: 'tintype-code',
      choices: [
        {
          index: 0,
          text: 'a + b;',
          message: { role: 'assistant', content: 'a + b;' },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
      usage: {
        prompt_tokens: 12,
        completion_tokens: 4,
        total_tokens: 16,
        reasoning_tokens: 0,
        cached_input_tokens: 5,
        prompt_tokens_details: { cached_tokens: 5 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
    expect(engine.asked[0]).toMatchObject({
      model: 'tintype-code',
      prompt: 'return ',
      suffix: '\n}',
      maxTokens: 32,
      temperature: 0.5,
      topP: 0.9,
      seed: 7,
      stop: ['\n\n'],
    });
  });

  it('hands on the decoder’s own options and biases, as they were said', async () => {
    const { post, engine } = rig();
    const tintype = { mode: 'verify', policy: 'entropyBound', gamma: 0.2, regex: '[0-9]+' };
    const response = await post(FIM, { prompt: 'a', logit_bias: { 7: -100 }, tintype });
    expect(response.status).toBe(200);
    expect(engine.asked[0]).toMatchObject({ options: tintype, logitBias: { 7: -100 } });
  });

  it.each([
    [{ policy: 'best' }, 'tintype.policy: one of confidenceThreshold, '],
    [{ threshold: 3 }, 'tintype.threshold: a number from 0 to 2'],
    [{ mode: 1 }, 'tintype.mode: one of diffusion, verify, ar'],
    [{ tresh: 1 }, 'tresh'],
    [{ precision: 'int8' }, 'tintype.precision: not of a request: weights are loaded once'],
    [{ mode: 'diffusion', draft: 'ar' }, 'tintype.draft: not of a request'],
  ])('refuses %o with what would be right', async (tintype, message) => {
    const response = await rig().post(FIM, { prompt: 'a', tintype });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { message: string; param: string } };
    expect(error.message).toContain(message);
    expect(error.param).toBe('tintype');
  });

  it('continues when there is no suffix and fills when there is, on /v1/completions', async () => {
    const { post, engine } = rig();
    await post(COMPLETIONS, { model: 'tintype-code', prompt: 'a' });
    await post(COMPLETIONS, { model: 'tintype-code', prompt: 'a', suffix: null });
    await post(COMPLETIONS, { model: 'tintype-code', prompt: 'a', suffix: '' });
    await post(FIM, { model: 'tintype-code', prompt: 'a' });
    expect(engine.asked.map((request) => request.suffix)).toEqual([null, null, '', '']);
  });

  it('is greedy and bounded by default, and takes null for a default', async () => {
    const { post, engine } = rig();
    await post(FIM, { prompt: 'a' });
    await post(FIM, {
      prompt: 'a',
      model: null,
      max_tokens: null,
      temperature: null,
      top_p: null,
      stop: null,
    });
    for (const request of engine.asked) {
      expect(request).toMatchObject({
        model: 'tintype-code',
        maxTokens: 64,
        temperature: 0,
        topP: 1,
        stop: [],
      });
      expect(Number.isSafeInteger(request.seed)).toBe(true);
    }
  });

  it('answers several prompts in order and sums their usage', async () => {
    const { post } = rig(createFakeEngine((request) => ({ text: request.prompt!.toUpperCase() })));
    const body = await json(await post(COMPLETIONS, { prompt: ['a', 'b', 'c'] }));
    expect(
      body.choices.map((choice: { text: string; index: number }) => [choice.index, choice.text]),
    ).toEqual([
      [0, 'A'],
      [1, 'B'],
      [2, 'C'],
    ]);
    expect(body.usage).toMatchObject({ prompt_tokens: 36, completion_tokens: 12, total_tokens: 48 });
  });

  it('ignores fields it does not know', async () => {
    const response = await rig().post(FIM, { prompt: 'a', user: 'x', lora: [{ id: 1 }], best_of: 3 });
    expect(response.status).toBe(200);
  });

  it('says where the time went', async () => {
    const header = (await rig().post(FIM, { prompt: 'a' })).headers.get('server-timing');
    expect(header).toMatch(
      /^queue;dur=0\.3, prefill;dur=1\.5, decode;dur=3\.5;desc="2 forwards", total;dur=\d+\.\d$/,
    );
  });
});

describe('a request that is over', () => {
  it.each([false, true])('is held by nothing: stream %s', async (stream) => {
    const shutdown = new AbortController();
    const { app } = rig(createFakeEngine(), { shutdown: shutdown.signal });
    const [own, before] = [new AbortController(), getEventListeners(shutdown.signal, 'abort').length];
    const body = JSON.stringify({ prompt: 'a', stream });
    const request = new Request(`http://localhost${FIM}`, { method: 'POST', body, signal: own.signal });
    await (await app.request(request)).text();
    // Node keeps a signal that others depend on as long as somebody listens.
    expect(getEventListeners(request.signal, 'abort').map(({ name }) => name)).not.toContain('leave');
    expect(getEventListeners(shutdown.signal, 'abort')).toHaveLength(before);
  });
});

describe('cancelling', () => {
  /** Waits until the request is aborted, as the decoder does between steps. */
  const waiting = () =>
    createFakeEngine(
      ({ signal }: CompletionRequest) =>
        new Promise((_resolve, reject) => {
          signal!.addEventListener('abort', () => reject(new TintypeError('aborted', { what: 'stopped' })));
        }),
    );

  it('stops decoding when the client leaves', async () => {
    const { post, engine, log } = rig(waiting());
    const client = new AbortController();
    const response = post(FIM, { prompt: 'a' }, { signal: client.signal });
    await expect.poll(() => engine.asked.length).toBe(1);
    client.abort();
    expect((await response).status).toBe(499);
    expect(log()).toContain('"status":499');
  });

  it('answers 503 to what is still running when the server ends', async () => {
    const shutdown = new AbortController();
    const { post, engine } = rig(waiting(), { shutdown: shutdown.signal });
    const response = post(FIM, { prompt: 'a' });
    await expect.poll(() => engine.asked.length).toBe(1);
    shutdown.abort();
    expect((await response).status).toBe(503);
  });
});

describe('the log', () => {
  it('has one line a request with counts, and no text of prompt or answer', async () => {
    const { post, log } = rig();
    await post(FIM, { prompt: 'my secret prompt', suffix: 'my secret suffix' });
    expect(log()).not.toContain('secret');
    expect(log()).not.toContain('a + b');
    const line = JSON.parse(log());
    expect(line).toMatchObject({
      path: FIM,
      status: 200,
      model: 'tintype-code',
      promptTokens: 12,
      completionTokens: 4,
      nfe: 2,
    });
    expect(line.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });
});
