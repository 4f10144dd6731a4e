/** Accounts over HTTP: who may ask, how much, and what is written of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { accountsRig, NOW_MS } from '../../../tests/accounts-rig.ts';
import { createFakeEngine } from '../../../tests/fake-engine.ts';
import { json, sseEvents } from '../../../tests/server-rig.ts';
import { listen } from '../listen.ts';
import { ROUTES } from '../routes/index.ts';
import { needOf } from './scopes.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const FIM = '/v1/fim/completions';
const CHAT = '/v1/chat/completions';
const ask = { prompt: 'a' };
const talk = { model: 'tintype-chat', messages: [{ role: 'user', content: 'hi' }] };
/** 7 new tokens at .25, 5 cached at .025, 4 written at 1.00. */
const PRICE = (7 * 0.25 + 5 * 0.025 + 4) / 1e6;

/** Closed after the test. */
const rig = async (...parameters: Parameters<typeof accountsRig>) => {
  const opened = await accountsRig(...parameters);
  closers.push(opened.close);
  return opened;
};

describe('keys', () => {
  it('are asked for, by Bearer or x-api-key', async () => {
    const { open, post, app } = await rig({ good: {} });
    const without = await open(FIM, ask);
    expect(without.status).toBe(401);
    expect(without.headers.get('www-authenticate')).toBe('Bearer');
    expect(await json(without)).toEqual({
      error: {
        message: expect.stringContaining('Authorization'),
        type: 'authentication_error',
        param: null,
        code: 'missing_api_key',
      },
    });
    const wrong = await post('bad', FIM, ask);
    expect(wrong.status).toBe(401);
    expect((await json(wrong)).error.code).toBe('invalid_api_key');
    expect((await post('good', FIM, ask)).status).toBe(200);
    expect((await open(FIM, ask, { headers: { 'x-api-key': 'good' } })).status).toBe(200);
    expect((await app.request('/health')).status).toBe(200);
    expect((await app.request('/v1/models')).status).toBe(401);
    expect((await app.request('/nowhere')).status).toBe(401);
  });

  it.each([
    '',
    'Bearer',
    'Basic good',
    'Bearer good good',
    `Bearer ${'x'.repeat(5000)}`,
    "Bearer ' OR 1=1 --",
  ])('the header %j is 401', async (authorization) => {
    const { open } = await rig({ good: {} });
    expect((await open(FIM, ask, { headers: { authorization } })).status).toBe(401);
  });

  it('open what their scopes say', async () => {
    const { post, get } = await rig({ one: { scopes: ['chat'] }, two: { scopes: ['admin'] } });
    expect((await post('one', CHAT, talk)).status).toBe(200);
    const refused = await post('one', FIM, ask);
    expect(refused.status).toBe(403);
    expect((await json(refused)).error).toMatchObject({
      type: 'permission_error',
      code: 'insufficient_permissions',
      message: expect.stringContaining('"complete"'),
    });
    expect((await get('one', '/metrics')).status).toBe(403);
    expect((await get('two', '/metrics')).status).toBe(200);
    expect((await post('two', CHAT, talk)).status).toBe(403);
  });

  it('stop when revoked, at once', async () => {
    const { post, accounts } = await rig({ good: {} });
    await accounts.keys.revoke('key_good', NOW_MS);
    expect((await post('good', FIM, ask)).status).toBe(401);
  });

  it('are asked for a scope on every route that decodes, under all its names', () => {
    const paths = ROUTES.flatMap(({ method, path, aliases = [] }) =>
      method === 'post' ? [path, ...aliases] : [],
    );
    expect(paths.length).toBeGreaterThan(10);
    const unguarded = paths.filter((path) => !['chat', 'complete', 'any'].includes(needOf(path)));
    expect(unguarded).toEqual([]);
    const free = paths.filter((path) => needOf(path) === 'any');
    // What decodes nothing.
    expect(free.filter((path) => /completion|infill|chat|generate/.test(path))).toEqual([]);
  });
});

describe('limits', () => {
  it('of requests answer 429 with OpenAI’s headers', async () => {
    const { post, wait } = await rig({ good: { requestsPerMinute: 2 } });
    const first = await post('good', FIM, ask);
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-reset-requests')).toBe('30.000s');
    await post('good', FIM, ask);
    const refused = await post('good', FIM, ask);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect((await json(refused)).error).toMatchObject({
      type: 'rate_limit_error',
      code: 'rate_limit_reached',
    });
    wait(30_000);
    expect((await post('good', FIM, ask)).status).toBe(200);
  });

  it('of tokens count what was used', async () => {
    const { post, rows } = await rig({ good: { tokensPerMinute: 16 } });
    expect((await post('good', FIM, ask)).status).toBe(200);
    await rows();
    const refused = await post('good', FIM, ask);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-ratelimit-limit-tokens')).toBe('16');
    expect((await json(refused)).error.message).toContain('16 tokens a minute');
  });

  it('of money end with the month', async () => {
    const { post, rows, wait } = await rig({ good: { budgetNanos: 1 } });
    expect((await post('good', FIM, ask)).status).toBe(200);
    await rows();
    const refused = await post('good', FIM, ask);
    expect(refused.status).toBe(402);
    expect((await json(refused)).error).toMatchObject({ type: 'account_error', code: 'insufficient_quota' });
    wait(5.5 * 86_400_000);
    expect((await post('good', FIM, ask)).status).toBe(200);
  });
});

describe('usage', () => {
  it('is a row a request, whole or streamed, with its price', async () => {
    const { post, rows } = await rig({ good: {} });
    const whole = await post('good', FIM, ask);
    await sseEvents(await post('good', CHAT, { ...talk, stream: true }));
    const counts = {
      promptTokens: 12,
      cachedTokens: 5,
      completionTokens: 4,
      priceNanos: Math.round(PRICE * 1e9),
    };
    const [chat, fim] = await rows();
    expect(fim).toMatchObject({ ...counts, requestId: whole.headers.get('x-request-id'), state: 'answered' });
    expect(fim).toMatchObject({ keyId: 'key_good', model: 'tintype-code', route: FIM, status: 200 });
    expect(chat).toMatchObject({ ...counts, model: 'tintype-chat', route: CHAT, state: 'answered' });
  });

  it('counts one prompt once, however many answers', async () => {
    const { post, rows } = await rig({ good: {} });
    await sseEvents(await post('good', '/v1/completions', { ...ask, n: 3, temperature: 1, stream: true }));
    expect((await rows())[0]).toMatchObject({ promptTokens: 12, completionTokens: 12 });
  });

  it('of a refused or broken request costs nothing', async () => {
    const broken = createFakeEngine(() => {
      throw new Error('no');
    });
    const { post, rows } = await rig({ good: {} }, broken);
    await post('good', FIM, { prompt: 3 });
    await post('good', FIM, ask);
    expect((await rows()).map(({ status, state, priceNanos }) => [status, state, priceNanos])).toEqual([
      [500, 'failed', 0],
      [400, 'failed', 0],
    ]);
  });

  it('of a stream that is left is what was delivered', async () => {
    const { post, rows } = await rig({ good: {} });
    const response = await post('good', FIM, { ...ask, stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.read();
    await reader.cancel();
    const [row] = await rows();
    expect(row).toMatchObject({ state: 'left', promptTokens: 12, completionTokens: 2, status: 499 });
    expect(row.priceNanos).toBe(Math.round((7 * 0.25 + 5 * 0.025 + 2) * 1000));
  });

  it('is the key’s own, and all of it for an admin', async () => {
    const { post, get } = await rig({ one: {}, two: {}, boss: { scopes: ['admin'] } });
    await post('one', FIM, ask);
    await post('two', FIM, ask);
    await post('two', FIM, ask);
    const own = await json(await get('one', '/v1/usage?key_id=key_two'));
    expect(own.data).toHaveLength(1);
    expect(own.data[0]).toMatchObject({ key_id: 'key_one', price: PRICE, cached_tokens: 5 });
    const all = await json(await get('boss', '/v1/usage?limit=1'));
    expect(all.data).toHaveLength(1);
    expect(all.totals.map((each: any) => [each.key_id, each.requests])).toEqual([
      ['key_one', 1],
      ['key_two', 2],
    ]);
    const some = await json(await get('boss', '/v1/usage?key_id=key_two&since=2026-11-25'));
    expect(some.data).toHaveLength(2);
    expect((await json(await get('boss', `/v1/usage?since=${NOW_MS / 1000 + 1}`))).data).toEqual([]);
    for (const bad of ['since=soon', 'limit=-1', 'limit=x', 'until=99999999999999999'])
      expect((await get('boss', `/v1/usage?${bad}`)).status).toBe(400);
  });

  it('of an open server belongs to nobody, and anybody there may see it', async () => {
    const { open, app } = await rig(null);
    await open(FIM, ask);
    const { data } = await json(await app.request('/v1/usage'));
    expect(data[0]).toMatchObject({ key_id: null, completion_tokens: 4 });
  });

  it('cannot be written on a full disk: the answer is withheld, and nothing is billed', async () => {
    const { post, db, rows } = await rig({ good: {} });
    db.exec(
      `CREATE TRIGGER full BEFORE INSERT ON usage BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
    );
    for (const stream of [false, true]) {
      const response = await post('good', FIM, { ...ask, stream });
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('5');
      const text = await response.text();
      expect(JSON.parse(text).error.code).toBe('storage_full');
      expect(text).not.toContain('a + b');
    }
    db.exec('DROP TRIGGER full');
    expect((await post('good', FIM, ask)).status).toBe(200);
    expect((await rows()).filter(({ priceNanos }) => priceNanos > 0)).toHaveLength(1);
  });
});

describe('over a socket', () => {
  it('bills what was sent, and not what nobody waited for', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { app, rows, engine } = await rig(
      { good: {} },
      createFakeEngine(async ({ prompt }) => {
        if (prompt === 'slow') await gate;
        return {};
      }),
    );
    const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
    const ask = (prompt: string, signal?: AbortSignal) =>
      fetch(`${server.url}${FIM}`, {
        method: 'POST',
        headers: { authorization: 'Bearer good' },
        body: JSON.stringify({ prompt }),
        signal: signal ?? null,
      });
    expect((await ask('quick')).status).toBe(200);
    await expect.poll(async () => (await rows())[0]?.state).toBe('answered');

    const client = new AbortController();
    const left = ask('slow', client.signal);
    await expect.poll(() => engine.asked.length).toBe(2);
    client.abort();
    await expect(left).rejects.toThrow();
    // An answer that is ready before the server knows is handed to the socket.
    await expect.poll(() => engine.asked[1].signal?.aborted).toBe(true);
    release();
    await expect.poll(async () => (await rows()).length).toBe(2);
    await expect
      .poll(async () => (await rows()).map(({ state }) => state).sort())
      .toEqual(['answered', 'left']);
    expect((await rows()).find(({ state }) => state === 'left')!.priceNanos).toBe(0);
    await server.close(1000, () => {});
  });
});
