/** What files and batches must do, wherever they are kept: the routes, a worker, and OpenAI's own client. */
import OpenAI, { toFile } from 'openai';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TintypeError } from '../src/errors.ts';
import { accountsParts } from '../src/server/accounts/index.ts';
import { hashOf } from '../src/server/accounts/keys.ts';
import { DEFAULT_PRICES } from '../src/server/accounts/prices.ts';
import type { Accounts, ApiKey } from '../src/server/accounts/types.ts';
import { batchRoutes, MOST_FILE_BYTES } from '../src/server/batches/routes.ts';
import { startBatches, type BatchService } from '../src/server/batches/service.ts';
import type { Batches } from '../src/server/batches/types.ts';
import { listen, type Listening } from '../src/server/listen.ts';
import { newKey } from './check-accounts.ts';
import { createFakeEngine } from './fake-engine.ts';
import { json, serverRig } from './server-rig.ts';

export interface OpenBatches {
  accounts: Accounts;
  batches: Batches;
  close: () => Promise<void>;
}

const KEYS: Record<string, Partial<ApiKey>> = {
  own: { scopes: ['batch', 'complete'] },
  other: { scopes: ['batch', 'complete'] },
  batchOnly: { scopes: ['batch'] },
  chatOnly: { scopes: ['chat', 'complete'] },
  poor: { scopes: ['batch', 'complete'], budgetNanos: 1 },
};

const NOW_MS = Date.UTC(2026, 10, 25, 12);
const COMPLETIONS = '/v1/completions';

const line = (id: string, body: object = { prompt: id }, url = COMPLETIONS) =>
  JSON.stringify({ custom_id: id, method: 'POST', url, body });

export function checkBatches(name: string, open: () => Promise<OpenBatches>): void {
  describe(`batches in ${name}`, () => {
    let opened: OpenBatches;
    let services: BatchService[] = [];
    let servers: Listening[] = [];
    let nowMs: number;
    /** How often each prompt was decoded. */
    let ran: Map<string, number>;
    let hold: Promise<void>;

    beforeEach(async () => {
      opened = await open();
      nowMs = NOW_MS;
      ran = new Map();
      hold = Promise.resolve();
      for (const [secret, key] of Object.entries(KEYS)) {
        const limits = { requestsPerMinute: null, budgetNanos: null };
        await opened.accounts.keys.add(
          newKey({ id: `key_${secret}`, ...limits, ...key, hash: hashOf(secret) }),
        );
      }
    });
    afterEach(async () => {
      for (const server of servers.splice(0)) await server.close(100, () => {});
      for (const service of services.splice(0)) await service.close();
      await opened.close();
    });

    const engine = createFakeEngine(async ({ prompt = '' }) => {
      ran.set(prompt, (ran.get(prompt) ?? 0) + 1);
      await hold;
      if (prompt.startsWith('busy') && ran.get(prompt) === 1)
        throw new TintypeError('overloaded', { what: 'full' });
      if (prompt.startsWith('bad')) throw new TintypeError('prompt_too_long', { what: 'too long' });
      return { text: prompt.toUpperCase() };
    });

    /** A server, with or without a worker of its own. */
    function start({ works = true } = {}) {
      const { accounts, batches } = opened;
      const clock = (): number => nowMs;
      const parts = accountsParts({
        accounts,
        prices: DEFAULT_PRICES,
        keys: true,
        logger: pino({ enabled: false }),
        nowMs: clock,
      });
      const rig = serverRig(engine, {
        guards: parts.guards,
        routes: [...parts.routes, ...batchRoutes(batches, clock)],
        bodyBytes: { '/v1/files': MOST_FILE_BYTES },
      });
      if (works) {
        const fetch = (request: Request, bindings: object) => rig.app.fetch(request, bindings);
        services.push(startBatches({ batches, accounts, fetch, nowMs: clock, sweepMs: 50 }));
      }
      type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };
      const call = (path: string, init: Init = {}, secret = 'own') =>
        rig.app.request(path, { ...init, headers: { authorization: `Bearer ${secret}`, ...init.headers } });
      const upload = async (text: string, secret = 'own', filename = 'in.jsonl', purpose = 'batch') => {
        const form = new FormData();
        form.set('purpose', purpose);
        form.set('file', new File([text], filename));
        return call('/v1/files', { method: 'POST', body: form }, secret);
      };
      const create = (body: object, secret = 'own', headers: Record<string, string> = {}) =>
        call(
          '/v1/batches',
          {
            method: 'POST',
            headers,
            body: JSON.stringify({ endpoint: COMPLETIONS, completion_window: '24h', ...body }),
          },
          secret,
        );
      const run = async (lines: string[], secret = 'own') => {
        const { id } = await json(await upload(lines.join('\n'), secret));
        return json(await create({ input_file_id: id }, secret));
      };
      const batch = async (id: string, secret = 'own') => json(await call(`/v1/batches/${id}`, {}, secret));
      const ended = async (id: string, status = 'completed', secret = 'own') => {
        await expect.poll(async () => (await batch(id, secret)).status, { timeout: 20_000 }).toBe(status);
        return batch(id, secret);
      };
      const content = async (id: string, secret = 'own') =>
        (await (await call(`/v1/files/${id}/content`, {}, secret)).text())
          .trim()
          .split('\n')
          .map((each) => JSON.parse(each));
      return { ...rig, call, upload, create, run, batch, ended, content };
    }
    const usage = async () =>
      (await opened.accounts.usage.rows({})).filter(({ priceNanos }) => priceNanos > 0);

    it('work with OpenAI’s client, from upload to answers', async () => {
      const { app } = start();
      const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
      servers.push(server);
      const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'own' });
      const input = `${line('a')}\n\n${line('b')}\n${line('bad')}\n`;
      const file = await client.files.create({
        file: await toFile(Buffer.from(input), 'requests.jsonl'),
        purpose: 'batch',
      });
      expect(file).toMatchObject({ object: 'file', filename: 'requests.jsonl', bytes: input.length });
      expect(await (await client.files.content(file.id)).text()).toBe(input);
      const batch = await client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/completions',
        completion_window: '24h',
        metadata: { what: 'a test' },
      });
      expect(batch).toMatchObject({ object: 'batch', status: 'in_progress', metadata: { what: 'a test' } });
      await expect
        .poll(async () => (await client.batches.retrieve(batch.id)).status, { timeout: 20_000 })
        .toBe('completed');
      const done = await client.batches.retrieve(batch.id);
      expect(done.request_counts).toEqual({ total: 3, completed: 2, failed: 1 });
      const answers = (await (await client.files.content(done.output_file_id!)).text())
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each));
      expect(answers.map((each) => [each.custom_id, each.response.body.choices[0].text])).toEqual([
        ['a', 'A'],
        ['b', 'B'],
      ]);
      expect(answers[0]).toMatchObject({ error: null, response: { status_code: 200 } });
      const [failed] = (await (await client.files.content(done.error_file_id!)).text()).trim().split('\n');
      expect(JSON.parse(failed)).toMatchObject({
        custom_id: 'bad',
        response: { status_code: 400, body: { error: { code: 'context_length_exceeded' } } },
      });
      const listed = [];
      for await (const each of client.batches.list({ limit: 1 })) listed.push(each.id);
      expect(listed).toEqual([batch.id]);
      expect((await client.files.list()).data.map(({ purpose }) => purpose).sort()).toEqual([
        'batch',
        'batch_output',
        'batch_output',
      ]);
      expect(await client.files.delete(file.id)).toMatchObject({ deleted: true });
      await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
      await expect(client.batches.cancel(batch.id)).rejects.toMatchObject({ status: 409 });
      expect((await usage()).map(({ requestId, keyId }) => `${keyId} ${requestId}`).sort()).toEqual([
        `key_own req_${batch.id}_0`,
        `key_own req_${batch.id}_1`,
      ]);
    });

    it('answer and bill each line once, with several workers', async () => {
      const one = start();
      start();
      start();
      const lines = Array.from({ length: 40 }, (_, index) => line(`p${index}`));
      const { id } = await one.run(lines);
      const done = await one.ended(id);
      expect(done.request_counts).toEqual({ total: 40, completed: 40, failed: 0 });
      const answers = await one.content(done.output_file_id);
      expect(answers.map((each) => each.custom_id)).toEqual(lines.map((_, index) => `p${index}`));
      expect(await usage()).toHaveLength(40);
    });

    it('keep one result of a line, however often it is finished', async () => {
      const { run } = start({ works: false });
      const { id } = await run([line('a')]);
      const { store } = opened.batches;
      const result = { customId: 'a', statusCode: 200, requestId: 'r', body: '{}' };
      expect(await store.finishLine(id, 0, result, null)).toBe(true);
      expect(await store.finishLine(id, 0, { ...result, statusCode: 500 }, null)).toBe(false);
      expect(await store.finishLine(id, 7, result, null)).toBe(false);
      expect(await store.counts(id)).toEqual({ completed: 1, failed: 0 });
      const asked = [1, 2, 3].map((time) =>
        store.change(id, ['in_progress'], { status: 'finalizing', total: time }),
      );
      expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
    });

    it('try a line again when the server had no room', async () => {
      const { run, ended } = start();
      const { id } = await run([line('busy')]);
      expect((await ended(id)).request_counts.completed).toBe(1);
      expect(ran.get('busy')).toBe(2);
    });

    it('can be cancelled, and expire; what is done stays', async () => {
      let release = (): void => {};
      const { run, ended, call, content } = start();
      const cancelled = await (async () => {
        const { id } = await run([line('a')]);
        await ended(id);
        hold = new Promise((resolve) => (release = resolve));
        const second = await run([line('c'), line('d'), line('e')]);
        await expect.poll(() => ran.get('c'), { timeout: 10_000 }).toBe(1);
        const answer = await json(await call(`/v1/batches/${second.id}/cancel`, { method: 'POST' }));
        expect(answer.status).toBe('cancelling');
        const done = await ended(second.id, 'cancelled');
        release();
        return done;
      })();
      expect(cancelled).toMatchObject({ output_file_id: null, request_counts: { completed: 0 } });
      expect(cancelled.cancelled_at).not.toBeNull();

      hold = new Promise((resolve) => (release = resolve));
      const { id } = await run([line('x'), line('y')]);
      await expect.poll(() => ran.get('x'), { timeout: 10_000 }).toBe(1);
      nowMs += 86_400_000;
      const expired = await ended(id, 'expired');
      release();
      const lost = await content(expired.error_file_id);
      expect(lost.map((each) => [each.custom_id, each.error.code])).toEqual([
        ['x', 'batch_expired'],
        ['y', 'batch_expired'],
      ]);
      // What was still running then is neither kept nor billed.
      expect(await usage()).toHaveLength(1);
    });

    it.each([
      ['empty_file', ''],
      ['invalid_json_line', '{'],
      ['invalid_request', '[]'],
      ['duplicate_custom_id', `${line('a')}\n${line('a')}`],
      ['mismatched_url', line('a', {}, '/v1/batches')],
      ['invalid_request', line('a', { prompt: 'a', stream: true })],
      ['invalid_request', JSON.stringify({ custom_id: 'a', method: 'GET', url: COMPLETIONS, body: {} })],
    ])('fail at once: %s', async (code, text) => {
      const { run } = start({ works: false });
      const batch = await run([`${text}\n`]);
      expect(batch).toMatchObject({
        status: 'failed',
        request_counts: { total: 0, completed: 0, failed: 0 },
      });
      expect(batch.errors.data[0]).toMatchObject({ code });
    });

    it('are forgotten after thirty days, with their files and lines; those under way are not', async () => {
      const { run, ended, call, upload, create, batch } = start();
      const { id: done } = await run([line('a'), line('b')]);
      const { input_file_id: input, output_file_id: output } = await ended(done);
      const day = 86_400_000;
      const keyed = { 'idempotency-key': 'once' };
      const first = await json(await create({ input_file_id: input }, 'own', keyed));
      await ended(first.id);

      nowMs += 29 * day;
      const young = await json(await upload(line('c')));
      expect(young.expires_at).toBe((nowMs + 30 * day) / 1000);
      await services[0].sweep();
      expect((await batch(done)).status).toBe('completed');

      nowMs += day + 1;
      await services[0].sweep();
      for (const id of [input, output]) {
        expect((await call(`/v1/files/${id}`)).status).toBe(404);
        expect((await call(`/v1/files/${id}/content`)).status).toBe(404);
      }
      expect((await call(`/v1/batches/${done}`)).status).toBe(404);
      expect(await opened.batches.store.results(done)).toEqual([]);
      expect((await call(`/v1/files/${young.id}`)).status).toBe(200);

      // The key of a forgotten batch is free again, and what is under way stays.
      let release = (): void => {};
      hold = new Promise((resolve) => (release = resolve));
      const again = await json(await create({ input_file_id: young.id }, 'own', keyed));
      expect(again.id).not.toBe(first.id);
      await opened.batches.store.expire(nowMs + 1);
      expect((await batch(again.id)).status).toBe('in_progress');
      expect((await call(`/v1/files/${young.id}`)).status).toBe(404);
      release();
      await ended(again.id);
    });

    it('made twice with one idempotency key are one', async () => {
      const { upload, create } = start({ works: false });
      const { id } = await json(await upload(line('a')));
      const ask = async (secret: string, key: string) =>
        json(await create({ input_file_id: id }, secret, { 'idempotency-key': key }));
      const [one, two, three] = [await ask('own', 'k'), await ask('own', 'k'), await ask('own', 'l')];
      expect(two.id).toBe(one.id);
      expect(three.id).not.toBe(one.id);
    });

    it('belong to their key', async () => {
      const { run, upload, call, create } = start({ works: false });
      const file = await json(await upload(line('a')));
      const batch = await run([line('a')]);
      for (const path of [`/v1/files/${file.id}`, `/v1/files/${file.id}/content`, `/v1/batches/${batch.id}`])
        expect((await call(path, {}, 'other')).status).toBe(404);
      expect((await call(`/v1/batches/${batch.id}/cancel`, { method: 'POST' }, 'other')).status).toBe(404);
      expect((await call(`/v1/files/${file.id}`, { method: 'DELETE' }, 'other')).status).toBe(404);
      expect((await create({ input_file_id: file.id }, 'other')).status).toBe(404);
      expect((await json(await call('/v1/files', {}, 'other'))).data).toEqual([]);
      expect((await json(await call('/v1/batches', {}, 'other'))).data).toEqual([]);
      expect((await call('/v1/files', {}, 'chatOnly')).status).toBe(403);
      const { id } = await json(await upload(line('a'), 'batchOnly'));
      expect((await create({ input_file_id: id }, 'batchOnly')).status).toBe(403);
    });

    it('stop when their key is revoked or has no money left', async () => {
      const { run, ended, content } = start();
      const poor = await run(
        ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => line(id)),
        'poor',
      );
      const done = await ended(poor.id, 'completed', 'poor');
      expect(done.request_counts.completed).toBeGreaterThan(0);
      const refused = await content(done.error_file_id, 'poor');
      expect(refused.at(-1).response).toMatchObject({
        status_code: 402,
        body: { error: { code: 'insufficient_quota' } },
      });
      const { error } = await run([line('g')], 'poor');
      expect(error.code).toBe('insufficient_quota');
      hold = new Promise((resolve) => setTimeout(resolve, 300));
      const batch = await run(['m', 'n', 'o', 'p'].map((id) => line(id)));
      await opened.accounts.keys.revoke('key_own', nowMs);
      await expect
        .poll(async () => (await opened.batches.store.batch(batch.id))!.status, { timeout: 20_000 })
        .toBe('completed');
      const { errorFileId } = (await opened.batches.store.batch(batch.id))!;
      const text = Buffer.from((await opened.batches.store.content(errorFileId!))!).toString();
      expect(JSON.parse(text.split('\n')[0]).response.status_code).toBe(401);
    });

    it.each([
      ['../../etc/passwd', 'passwd'],
      ['C:\\windows\\x.jsonl', 'x.jsonl'],
      ['..', '..'],
      ['a\u0000b\n', 'ab'],
      ['x'.repeat(1000), 'x'.repeat(255)],
    ])('take a file name for a name only: %#', async (filename, shown) => {
      const { upload, call } = start({ works: false });
      const file = await json(await upload(line('a'), 'own', filename));
      expect(file.filename).toBe(shown);
      expect(file.id).toMatch(/^file-[0-9a-f]{24}$/);
      const content = await call(`/v1/files/${file.id}/content`);
      expect(content.headers.get('content-disposition')).toBe(`attachment; filename="${file.id}.jsonl"`);
    });

    it('refuse what is no upload', async () => {
      const { upload, call, create } = start({ works: false });
      expect((await upload('', 'own')).status).toBe(400);
      expect((await upload('a', 'own', 'a', 'fine-tune')).status).toBe(400);
      expect((await call('/v1/files', { method: 'POST', body: '{}' })).status).toBe(400);
      const big = await call('/v1/files', {
        method: 'POST',
        body: 'x',
        headers: { 'content-length': String(MOST_FILE_BYTES + 1) },
      });
      expect(big.status).toBe(413);
      for (const id of ['nothing', '..%2F..%2Fetc%2Fpasswd', '%00', 'x'.repeat(5000)])
        expect((await call(`/v1/files/${id}`)).status).toBe(404);
      const { id } = await json(await upload(line('a')));
      for (const body of [
        { input_file_id: 7 },
        { input_file_id: id, endpoint: '/v1/batches' },
        { input_file_id: id, completion_window: '1h' },
        { input_file_id: id, metadata: { a: 'x'.repeat(600) } },
      ])
        expect((await create(body)).status).toBe(400);
      expect((await create({ input_file_id: 'file-none' })).status).toBe(404);
      for (const query of ['limit=0', 'limit=x', 'after=nothing'])
        expect((await call(`/v1/batches?${query}`)).status).toBe(400);
    });
  });
}
