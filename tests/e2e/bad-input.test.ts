/** What a server must refuse, sent to a real one: each gets its documented answer, and the next request is served. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { finished, start } from './run.ts';
import { serve, type Served } from './served.ts';
import { writeTinyModel } from './tiny-model.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-bad-'));
const data = join(dir, 'data');
let served: Served;
let secret: string;

const makeKey = async (...args: string[]): Promise<string> => {
  const made = await finished(start(['keys', 'create', 'k', '--json', '--data', data, ...args]));
  return (JSON.parse(made.stdout) as { secret: string }).secret;
};
const send = async (path: string, body: string | object | Uint8Array, key = secret): Promise<any> => {
  const response = await fetch(served.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
};
/** All that a server says to bytes, which no client that tidies up would send. */
const raw = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(served.url);
    let text = '';
    connect(Number(port), hostname)
      .on('data', (chunk) => (text += String(chunk)))
      .on('error', reject)
      .on('close', () => resolve(text))
      .write(bytes);
  });

beforeAll(async () => {
  await writeTinyModel(join(dir, 'model'));
  secret = await makeKey();
  served = await serve([
    '--model',
    join(dir, 'model'),
    '--threads',
    '1',
    '--log-level',
    'silent',
    '--data',
    data,
  ]);
});
afterAll(async () => {
  served.child.kill('SIGTERM');
  await served.end;
  rmSync(dir, { recursive: true });
});
afterEach(async () => {
  const { status } = await send('/v1/completions', { prompt: 'a', max_tokens: 2 });
  if (status !== 200) throw new Error(`the next request was answered with ${status}`);
});

const MiB = 1024 * 1024;
const withSchema = (schema: object): object => ({
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
});
/** 2 to the power of 60 ways, in sixty definitions. */
const doubling = {
  $defs: Object.fromEntries(
    Array.from({ length: 60 }, (_, i) => [
      `a${i}`,
      i === 59
        ? { type: 'null' }
        : { anyOf: [1, 2].map((n) => ({ title: `${n}`, $ref: `#/$defs/a${i + 1}` })) },
    ]),
  ),
  $ref: '#/$defs/a0',
};

describe('a body', () => {
  it.each([
    ['of 11 MB', 413, 'body_too_large', 'x'.repeat(11 * MiB)],
    ['with a prompt of 9 MB', 400, 'context_length_exceeded', { prompt: 'x'.repeat(9 * MiB) }],
    ['nested 100,000 deep', 400, 'invalid_json', `{"prompt":${'['.repeat(1e5)}${']'.repeat(1e5)}}`],
    [
      'of 700,000 keys',
      400,
      'too_many_values',
      `{"prompt":"a"${Array.from({ length: 7e5 }, (__, i) => `,"k${i}":1`).join('')}}`,
    ],
    ['that is not UTF-8', 400, 'invalid_utf8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['that is cut off', 400, 'invalid_json', '{"prompt":"a'],
  ])('%s', async (_, status, code, body) => {
    expect(await send('/v1/completions', body)).toMatchObject({ status, error: { code } });
  });

  it.each([
    ['n', { n: 1e9 }],
    ['n', { n: -1 }],
    ['max_tokens', { max_tokens: 1e9 }],
    ['max_tokens', { max_tokens: -2 }],
    ['temperature', { temperature: -1 }],
    ['top_k', { top_k: -2 }],
    ['repetition_penalty', { repetition_penalty: -1 }],
    ['stream', { stream: 'yes' }],
    ['stop', { stop: 5 }],
    ['logit_bias', { logit_bias: Object.fromEntries(Array.from({ length: 4e4 }, (__, i) => [i, 1])) }],
    ['tintype', { tintype: { steps: 1e9 } }],
  ])('names %s where that is wrong', async (param, wrong) => {
    const answer = await send('/v1/completions', { prompt: 'a', ...wrong });
    expect(answer).toMatchObject({ status: 400, error: { param } });
    expect(answer.error.message.length).toBeLessThan(300);
  });
});

describe('a constraint', () => {
  it.each([
    ['that doubles sixty times', withSchema(doubling)],
    ['of a thousand million items', withSchema({ type: 'array', minItems: 1e9, items: { type: 'null' } })],
    ['that is only itself', withSchema({ $ref: '#' })],
    ['that repeats repetitions', { tintype: { regex: '((a{1,1000}){1,1000}){1,1000}' } }],
  ])('%s', async (_, constraint) => {
    const answer = await send('/v1/completions', { prompt: 'a', max_tokens: 16, ...constraint });
    expect(answer.status).toBe(400);
    expect(['unsupported', 'bad_option', 'bad_request']).toContain(answer.error.code);
  });

  it('with exponentially many ways is held to the end, and others are answered meanwhile', async () => {
    const tintype = { regex: '([^]*a[^]{60}b)+' };
    const slow = send('/v1/completions', { prompt: 'a', max_tokens: 200, tintype });
    expect((await send('/v1/completions', { prompt: 'a', max_tokens: 4 })).status).toBe(200);
    expect((await slow).status).toBe(200);
  });

  it('made for backtracking is written in one go, as there is none', async () => {
    const tintype = { regex: '((a+)+)+b' };
    const { status, choices } = await send('/v1/completions', { prompt: 'a', max_tokens: 64, tintype });
    expect(status).toBe(200);
    expect(choices[0].text).toMatch(/^a+b?$/);
  });
});

describe('an update to apply', () => {
  const apply = (original: string, update: string): Promise<any> => {
    const content = `<|original_code|>\n${original}\n<|/original_code|>\n<|update_snippet|>\n${update}\n<|/update_snippet|>`;
    return send('/v1/apply/completions', { messages: [{ role: 'user', content }] });
  };
  it.each([
    ['a line of spaces', 'a', `${' '.repeat(3 * MiB)}x`],
    ['a mark with spaces', 'a', `//${' '.repeat(3 * MiB)}...`],
    ['a million lines', 'a\n'.repeat(MiB), 'b'],
    ['a million fences', 'a', '```x\n'.repeat(MiB)],
  ])('with %s', async (_, original, update) => {
    expect((await apply(original, update)).status).toBe(200);
  });
});

describe('a request', () => {
  it('whose head never ends is cut off', async () => {
    expect(await raw('GET /health HTTP/1.1\r\nhost: a\r\nx-slow: l')).toMatch(
      /^HTTP\/1\.1 408 .*request_timeout/s,
    );
  });
  it('with a flood of headers', async () => {
    const text = await raw(`GET /health HTTP/1.1\r\nhost: a\r\n${'x-flood: 1\r\n'.repeat(9000)}\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 431 .*headers_too_large/s);
  });
  it.each([
    '/../../package.json',
    '/%2e%2e/%2e%2e/package.json',
    '/..%2f..%2fpackage.json',
    '/..%5c..%5cpackage.json',
    '/assets/../../../package.json',
    '//etc/passwd',
    '/index.html%00',
    '/page/models/../../../package.json',
    '/page/runs/log?run=../../package.json',
    '/v1/files/..%2f..%2fpackage.json/content',
  ])('for %s', async (path) => {
    const text = await raw(
      `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer ${secret}\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 40[34] /);
    expect(text).not.toMatch(/"version"|root:/);
  });
});

describe('a key', () => {
  it('of another scope', async () => {
    const chat = await makeKey('--scope', 'chat');
    expect(await send('/v1/completions', { prompt: 'a' }, chat)).toMatchObject({
      status: 403,
      error: { code: 'insufficient_permissions' },
    });
  });

  it('that repeats a batch, or asks for that of another key', async () => {
    const batch = await makeKey('--scope', 'batch', 'complete');
    const form = new FormData();
    form.set('purpose', 'batch');
    const line = {
      custom_id: 'a',
      method: 'POST',
      url: '/v1/completions',
      body: { prompt: 'a', max_tokens: 2 },
    };
    form.set('file', new File([JSON.stringify(line)], 'in.jsonl'));
    const ask = async (path: string, key: string, init: RequestInit = {}): Promise<any> => {
      const headers = { authorization: `Bearer ${key}`, 'idempotency-key': 'once' };
      const response = await fetch(served.url + path, { ...init, headers });
      return { ...((await response.json()) as object), http: response.status };
    };
    const file = await ask('/v1/files', batch, { method: 'POST', body: form });
    const asked = { input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' };
    const create = (): Promise<any> =>
      ask('/v1/batches', batch, { method: 'POST', body: JSON.stringify(asked) });
    const [first, again] = [await create(), await create()];
    expect(again.id).toBe(first.id);
    await expect
      .poll(async () => (await ask(`/v1/batches/${first.id}`, batch)).status, { timeout: 20_000 })
      .toBe('completed');
    expect((await ask('/v1/usage', batch)).data).toHaveLength(1);
    const other = await makeKey('--scope', 'batch', 'complete');
    expect(await ask(`/v1/batches/${first.id}`, other)).toMatchObject({
      http: 404,
      error: { code: 'batch_not_found' },
    });
    expect(await ask(`/v1/files/${file.id}`, other)).toMatchObject({
      http: 404,
      error: { code: 'file_not_found' },
    });
  });
});
