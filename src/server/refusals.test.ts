/** What the server will not do: the status, the shape and the words. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import { json, serverRig as rig } from '../../tests/server-rig.ts';
import { TintypeError } from '../errors.ts';

const FIM = '/v1/fim/completions';
const COMPLETIONS = '/v1/completions';

describe('refusals', () => {
  it.each([
    ['prompt', { suffix: 'x' }],
    ['prompt', { prompt: 3 }],
    ['prompt', { prompt: [] }],
    ['suffix', { prompt: 'a', suffix: 1 }],
    ['max_tokens', { prompt: 'a', max_tokens: 0 }],
    ['max_tokens', { prompt: 'a', max_tokens: 1.5 }],
    ['max_tokens', { prompt: 'a', max_tokens: '9' }],
    ['temperature', { prompt: 'a', temperature: -1 }],
    ['temperature', { prompt: 'a', temperature: 3 }],
    ['top_p', { prompt: 'a', top_p: 0 }],
    ['seed', { prompt: 'a', seed: 0.5 }],
    ['stop', { prompt: 'a', stop: [''] }],
    ['n', { prompt: 'a', n: 17 }],
    ['n', { prompt: ['a', 'b'], n: 9 }],
    ['n', { prompt: 'a', n: 1e30 }],
    ['stream', { prompt: 'a', stream: 'yes' }],
    ['diffusing', { prompt: 'a', diffusing: 'all' }],
    ['max_tokens', { prompt: 'a', max_tokens: -1 }],
    ['logit_bias', { prompt: 'a', logit_bias: { 1: 200 } }],
    ['response_format', { prompt: 'a', response_format: { type: 'xml' } }],
    ['logit_bias', { prompt: 'a', logit_bias: { word: 1 } }],
    ['repetition_penalty', { prompt: 'a', repetition_penalty: 0 }],
    ['top_k', { prompt: 'a', top_k: -2 }],
  ])('name %s in %j', async (param, body) => {
    const response = await rig().post(FIM, body);
    expect(response.status).toBe(400);
    const { error } = await json(response);
    expect(error).toMatchObject({ type: 'invalid_request_error', param, code: 'invalid_value' });
    expect(error.message).toContain(param);
  });

  it('an unknown model is 404 and names those that are loaded', async () => {
    const response = await rig().post(FIM, { model: 'gpt-9', prompt: 'a' });
    expect(response.status).toBe(404);
    expect((await json(response)).error).toEqual({
      message: 'model "gpt-9" is not loaded; loaded: tintype-code, tintype-code-ar, tintype-chat',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    });
  });

  it.each(['', '{', '[]', '"x"', 'null', '{"prompt":"\\ud8"}'])(
    'the body %j is 400, not 500',
    async (body) => {
      expect((await rig().post(FIM, body)).status).toBe(400);
    },
  );

  it('a value nested 100,000 deep is 400 with a short message', async () => {
    const deep = `{"prompt":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const response = await rig().post(FIM, deep);
    expect(response.status).toBe(400);
    expect((await response.text()).length).toBeLessThan(400);
  });

  it.each([
    ['an unknown option', { tintype: { ['k'.repeat(1e6)]: 1 } }],
    ['many options', { tintype: Object.fromEntries(Array.from({ length: 4e4 }, (_, i) => [i, 1])) }],
    ['a bias', { logit_bias: { ['k'.repeat(1e6)]: 1 } }],
    ['a model', { model: 'm'.repeat(1e6) }],
  ])('quote little of %s that is long', async (_, wrong) => {
    const response = await rig().post(FIM, { prompt: 'a', ...wrong });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect((await response.text()).length).toBeLessThan(1200);
  });

  it('more tokens in all answers together than one request may have are 400', async () => {
    const { post, engine } = rig();
    expect((await post(FIM, { prompt: 'a', n: 16, max_tokens: 128 })).status).toBe(200);
    const bodies = [
      [FIM, { prompt: 'a', n: 16, max_tokens: 129 }],
      [COMPLETIONS, { prompt: ['a', 'b', 'c'], max_tokens: 700 }],
      ['/v1/infill', { template: 'a <|hole|> b <|hole|> c <|hole|>', max_tokens: 700 }],
    ] as const;
    for (const [path, body] of bodies) {
      const response = await post(path, body);
      expect(response.status, path).toBe(400);
      expect((await json(response)).error).toMatchObject({ param: 'max_tokens', code: 'too_many_tokens' });
    }
    expect(engine.asked).toHaveLength(16);
  });

  it('answers whose length is not asked for share what one request may have', async () => {
    const { post, engine } = rig();
    const messages = [{ role: 'user', content: 'hi' }];
    const ask = (n: number) =>
      post('/v1/chat/completions', { model: 'tintype-chat', messages, max_tokens: -1, n });
    expect((await ask(1)).status).toBe(200);
    expect((await ask(8)).status).toBe(200);
    expect(engine.asked.map(({ maxTokens }) => maxTokens)).toEqual([1024, ...Array(8).fill(256)]);
  });

  it('a schema that would take seconds to compile is 400 at once', async () => {
    const schema = { enum: Array.from({ length: 40_000 }, (_, i) => `value ${i}`) };
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } };
    const response = await rig().post(FIM, { prompt: 'a', response_format });
    expect(response.status).toBe(400);
    expect((await json(response)).error).toMatchObject({
      param: 'response_format',
      code: 'schema_too_large',
    });
  });

  it.each([
    ['invalid_utf8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['invalid_json', `{"prompt":"a","tintype":${'{"a":'.repeat(300)}1${'}'.repeat(301)}`],
    ['too_many_values', `{"prompt":"a","unknown":[${'1,'.repeat(50_000)}1]}`],
    ['too_many_values', `{"prompt":"a"${Array.from({ length: 50_000 }, (_, i) => `,"k${i}":1`).join('')}}`],
    ['too_many_values', `{"prompt":"a","unknown":[${'[],'.repeat(26_000)}1]}`],
  ])('%s', async (code, body) => {
    const response = await rig().post(FIM, body);
    expect(response.status).toBe(400);
    expect((await json(response)).error.code).toBe(code);
  });

  it('signs in strings are no values, and what real clients send is far below the limit', async () => {
    const { post } = rig();
    expect((await post(FIM, { prompt: '[{,"\\'.repeat(100_000) })).status).toBe(200);
    const messages = Array.from({ length: 1000 }, () => ({ role: 'user', content: 'hi' }));
    const properties = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`p${i}`, { type: 'string', description: 'a, b' }]),
    );
    const tools = Array.from({ length: 128 }, (_, i) => ({
      type: 'function',
      function: { name: `f${i}`, parameters: { type: 'object', properties } },
    }));
    const chat = await post('/v1/chat/completions', { model: 'tintype-chat', messages, tools });
    expect(chat.status).toBe(200);
  });

  it('a body beyond the limit is 413', async () => {
    const response = await rig().post(FIM, { prompt: 'x'.repeat(10 * 1024 * 1024) });
    expect(response.status).toBe(413);
    expect((await json(response)).error.code).toBe('body_too_large');
  });

  it('a prompt longer than the context is 400 and keeps the words of the engine', async () => {
    const { post } = rig(
      createFakeEngine(() => {
        throw new TintypeError('prompt_too_long', { what: 'the prompt is too long', got: '2000 tokens' });
      }),
    );
    const response = await post(FIM, { prompt: 'a' });
    expect(response.status).toBe(400);
    const { error } = await json(response);
    expect(error).toMatchObject({ code: 'context_length_exceeded', param: 'prompt' });
    expect(error.message).toContain('2000 tokens');
  });

  it('an unexpected error is 500, hides its words and logs them', async () => {
    const { post, log } = rig(
      createFakeEngine(() => {
        throw new Error('tensor 7 at /secret/path');
      }),
    );
    const response = await post(FIM, { prompt: 'a' });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    expect(log()).toContain('tensor 7');
  });

  it('any JSON body gets an answer below 500', async () => {
    const { post } = rig();
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.constantFrom(FIM, COMPLETIONS), async (body, path) => {
        expect((await post(path, body)).status).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
  });
});
