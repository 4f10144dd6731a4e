/** llama.cpp's and Ollama's shapes, as their clients send and read them (API.md, "What real clients send"). */
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import { json, serverRig } from '../../tests/server-rig.ts';

describe('llama.cpp', () => {
  it('/infill puts prefix, line and extra files together and never refuses for length', async () => {
    const { post, engine } = serverRig();
    const response = await post('/infill', {
      id_slot: 0,
      input_prefix: 'let a = 1;\n',
      input_suffix: '\nlet c;',
      prompt: 'let b',
      input_extra: [{ text: 'export {}', time: 3, filename: 'x.ts' }],
      n_predict: 10_000,
      n_indent: 2,
      top_k: 40,
      top_p: 0.99,
      stop: [],
      samplers: ['top_k', 'infill'],
      cache_prompt: true,
      t_max_prompt_ms: 500,
      t_max_predict_ms: 250,
    });
    expect(response.status).toBe(200);
    expect(engine.asked[0]).toMatchObject({
      prompt: '// x.ts\nexport {}\nlet a = 1;\nlet b',
      suffix: '\nlet c;',
      maxTokens: 2048,
      predictMs: 250,
      shrink: true,
      overflow: 'keepNearest',
      temperature: 0,
      options: { topK: 40 },
    });
    expect(await json(response)).toMatchObject({
      content: 'a + b;',
      stop: true,
      tokens_evaluated: 12,
      timings: { prompt_n: 7, predicted_n: 4, prompt_ms: 1.5, predicted_ms: 2 },
    });
  });

  it('warms the cache with n_predict 0 and answers only the fields that are asked for', async () => {
    const { post, engine } = serverRig();
    const body = { input_prefix: 'a', n_predict: 0, samplers: 'k' };
    expect(await json(await post('/infill', { ...body, response_fields: [''] }))).toEqual({});
    expect(await json(await post('/infill', body))).toMatchObject({ content: '', tokens_predicted: 0 });
    expect(engine.asked[0].maxTokens).toBe(1);
    const response_fields = ['content', 'timings/prompt_n', 'timings/none', 'toString'];
    expect(await json(await post('/infill', { ...body, n_predict: 4, response_fields }))).toEqual({
      content: 'a + b;',
      'timings/prompt_n': 7,
    });
  });

  it('takes -1 as no limit, and refuses other negative numbers', async () => {
    const { post, engine } = serverRig();
    expect((await post('/completion', { prompt: 'a', n_predict: -1, seed: -1 })).status).toBe(200);
    expect(engine.asked[0]).toMatchObject({ maxTokens: 1024, shrink: true, suffix: null });
    await post('/completion', { prompt: 'a', t_max_predict_ms: 0 });
    expect(engine.asked[1]).toMatchObject({ maxTokens: 256 });
    expect(engine.asked[1].predictMs).toBeUndefined();
    const refused = await post('/completion', { prompt: 'a', n_predict: -3 });
    expect((await json(refused)).error).toMatchObject({ param: 'n_predict', code: 'invalid_value' });
  });

  it('says its properties', async () => {
    const { app } = serverRig();
    const props = await json(await app.request('/props'));
    expect(props).toMatchObject({ total_slots: 8, default_generation_settings: { n_ctx: 1024 } });
    const slots = await json(await app.request('/slots'));
    expect(slots).toHaveLength(8);
    expect(slots[0]).toMatchObject({ is_processing: true });
    expect(slots[1]).toMatchObject({ is_processing: false });
  });
});

describe('Ollama', () => {
  it('generates: a continuation, a gap, a gap in a templated prompt, an answer of a chat model', async () => {
    const { post, engine } = serverRig();
    const ask = (body: object) =>
      post('/api/generate', { model: 'tintype-code:latest', stream: false, ...body });
    const reply = await json(await ask({ prompt: 'a', options: { num_predict: 9, seed: 4, stop: ['x'] } }));
    expect(reply).toMatchObject({
      model: 'tintype-code:latest',
      response: 'a + b;',
      done: true,
      eval_count: 4,
    });
    await ask({ prompt: 'a', suffix: 'b' });
    await ask({ prompt: '<fim_prefix>p<fim_suffix>s<fim_middle>', raw: true });
    await ask({ prompt: 'hi', system: 'be brief', model: 'tintype-chat' });
    await ask({ prompt: 'hi', model: 'tintype-chat', raw: true });
    expect(engine.asked[0]).toMatchObject({ prompt: 'a', suffix: null, maxTokens: 9, seed: 4, stop: ['x'] });
    expect(engine.asked[1]).toMatchObject({ prompt: 'a', suffix: 'b' });
    expect(engine.asked[2]).toMatchObject({ prompt: 'p', suffix: 's' });
    expect(engine.asked[3].chat!.messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(engine.asked[4]).toMatchObject({ prompt: 'hi', suffix: null });
  });

  it('loads with an empty prompt, and holds to a format', async () => {
    const { post, engine } = serverRig();
    const loaded = await json(await post('/api/generate', { model: 'tintype-code' }));
    expect(loaded).toMatchObject({ done: true, done_reason: 'load', response: '' });
    await post('/api/generate', { model: 'tintype-code', prompt: 'a', format: 'json', stream: false });
    expect(engine.asked[0].options!.schema).toEqual({ type: 'object' });
  });

  it('chats, lists and describes', async () => {
    const { post, app } = serverRig();
    const body = { model: 'tintype-chat', messages: [{ role: 'user', content: 'hi' }], stream: false };
    expect(await json(await post('/api/chat', body))).toMatchObject({
      message: { role: 'assistant', content: 'a + b;' },
      done: true,
    });
    const { models } = await json(await app.request('/api/tags'));
    expect(models[0]).toMatchObject({ name: 'tintype-code:latest' });
    expect(await json(await post('/api/show', { model: 'tintype-code' }))).toMatchObject({
      capabilities: ['completion', 'insert'],
    });
    expect((await json(await app.request('/api/version'))).version).toMatch(/^\d/);
  });

  it('says its errors in one string', async () => {
    const { post } = serverRig();
    const missing = await post('/api/generate', { model: 'llama9', prompt: 'a' });
    expect(missing.status).toBe(404);
    expect((await json(missing)).error).toContain('model "llama9" is not loaded');
    expect(typeof (await json(await post('/api/chat', { model: 3 }))).error).toBe('string');
  });
});

describe('/v1/infill', () => {
  it('fills one hole after the other and shows the whole', async () => {
    const { post, engine } = serverRig(createFakeEngine(({ suffix }) => ({ text: `<${suffix!.length}>` })));
    const reply = await json(await post('/v1/infill', { template: 'a<|hole|>b<|hole|>cd' }));
    expect(reply).toMatchObject({
      object: 'infill',
      text: 'a<3>b<2>cd',
      holes: [
        { index: 0, text: '<3>', finish_reason: 'stop' },
        { index: 1, text: '<2>' },
      ],
      usage: { completion_tokens: 8 },
    });
    expect(engine.asked.map(({ prompt, suffix }) => [prompt, suffix])).toEqual([
      ['a', 'bcd'],
      ['a<3>b', 'cd'],
    ]);
    const streamed = await post('/v1/infill', { template: '<|hole|>', stream: true });
    expect(await streamed.text()).toMatch(/"hole":0,"delta":"<"[\s\S]*"text":"<0>"[\s\S]*\[DONE\]/);
    expect((await post('/v1/infill', { template: 'none' })).status).toBe(400);
  });
});
