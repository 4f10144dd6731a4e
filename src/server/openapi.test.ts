/** The description of the routes: it is OpenAPI, says what the schemas say, and asks nothing of other servers. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { json, serverRig } from '../../tests/server-rig.ts';
import { openApi } from './openapi.ts';
import { DESCRIBED } from './routes/described.ts';
import { ROUTES } from './routes/index.ts';

const ajv = new Ajv2020({ strict: false });

describe('/openapi.json', () => {
  it('describes every route, with bodies that are JSON Schema and accept what the server accepts', async () => {
    const { app, post } = serverRig();
    const document = await json(await app.request('/openapi.json'));
    expect(document.openapi).toBe('3.1.0');
    for (const { method, path, body } of ROUTES) {
      const operation = document.paths[path.replace(':id', '{id}')][method];
      expect(operation, path).toBeDefined();
      expect(operation.requestBody !== undefined, path).toBe(body !== undefined);
    }
    const ids = Object.values<any>(document.paths).flatMap((each) =>
      Object.values<any>(each).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);

    const schema = document.paths['/v1/chat/completions'].post.requestBody.content['application/json'].schema;
    const accepts = ajv.compile(schema);
    const messages = [{ role: 'user', content: 'hi' }];
    for (const body of [
      { messages },
      { messages, model: null, max_tokens: -1, n: 2, stop: 'x', unknown: 1 },
      { messages, response_format: { type: 'json_object' }, tool_choice: 'auto' },
      { messages: [] },
      { messages, temperature: 9 },
      { messages, n: 'two' },
      { messages: [{ role: 'king', content: 'x' }] },
    ]) {
      const { status } = await post('/v1/chat/completions', { ...body, model: 'tintype-chat' });
      expect(accepts(body), JSON.stringify(body)).toBe(status === 200);
    }
  });

  it('has only patterns that all languages read, and read alike', () => {
    const text = JSON.stringify(openApi(DESCRIBED));
    const patterns = [...text.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(([, each]) => JSON.parse(each));
    expect(patterns.length).toBeGreaterThan(5);
    // \p is unknown to Python; \w, \d and \s are ASCII here and Unicode there.
    for (const pattern of patterns) expect(pattern).not.toMatch(/\\[pwds]|\(\?/i);
  });

  it('/docs is one page without external requests', async () => {
    const page = await (await serverRig().app.request('/docs')).text();
    for (const { path } of ROUTES) expect(page).toContain(path);
    expect(page).not.toMatch(/https?:\/\//);
    expect(page).not.toMatch(/<script|<link|@import/);
  });
});

describe('for browsers', () => {
  const preflight = (origin: string) =>
    serverRig().app.request('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-os,x-stainless-lang',
      },
    });

  it('pages of this machine may ask, with the headers of OpenAI’s client', async () => {
    const { headers } = await preflight('http://localhost:5173');
    expect(headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    expect(headers.get('access-control-allow-headers')).toContain('authorization');
    expect(headers.get('access-control-allow-headers')).toContain('x-stainless-os');
  });

  it.each(['https://example.com', 'http://localhost.example.com', 'null'])('%s may not', async (origin) => {
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('/metrics', () => {
  it('counts under the names that API.md gives', async () => {
    const { app, post } = serverRig();
    await post('/v1/fim/completions', { prompt: 'a' });
    await (await post('/v1/fim/completions', { prompt: 'a', stream: true })).text();
    const text = await (await app.request('/metrics')).text();
    for (const line of [
      'tintype_num_requests_running 1',
      'tintype_num_requests_waiting 2',
      'tintype_kv_cache_usage_perc 0.1',
      'tintype_generation_tokens_total{model="tintype-code"} 8',
      'tintype_denoising_steps_total{model="tintype-code"} 4',
      'tintype_time_to_first_token_seconds_count{model="tintype-code"} 2',
      'tintype_tokens_per_forward_sum{model="tintype-code"} 4',
      'tintype_http_requests_total{method="POST",route="/v1/fim/completions",status="200"} 2',
    ]) {
      expect(text).toContain(line);
    }
  });
});
