/** Two servers that share Redis, behind each proxy as deploy/ configures it; skipped with a reason where one is missing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROXIES, startProxy, type RunningProxy } from '../proxies.ts';
import { missingRedis, startRedis, type RedisProcess } from '../redis-server.ts';
import { finished, start } from './run.ts';
import { serve, type Served } from './served.ts';
import { writeTinyModel } from './tiny-model.ts';

describe.each(PROXIES)('replicas behind $name', (behind) => {
  const lack = missingRedis() ?? behind.missing;
  describe.skipIf(lack !== null)(`of deploy/${lack === null ? '' : ` (skipped: ${lack})`}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'tintype-replicas-'));
    const env: Record<string, string> = {};
    let redis: RedisProcess;
    let replicas: Served[] = [];
    let proxy: RunningProxy;

    const makeKey = async (...args: string[]): Promise<string> => {
      const made = await finished(start(['keys', 'create', 'k', '--json', ...args], env));
      return (JSON.parse(made.stdout) as { secret: string }).secret;
    };
    const call = (path: string, secret: string, body?: object | FormData): Promise<Response> =>
      fetch(`${proxy.url}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${secret}` },
        ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
      });
    const json = async (answer: Promise<Response>): Promise<any> => (await answer).json();
    const ask = (secret: string, more: object = {}): Promise<Response> =>
      call('/v1/completions', secret, { prompt: 'let a = ', max_tokens: 8, ...more });

    beforeAll(async () => {
      await writeTinyModel(join(dir, 'model'));
      redis = await startRedis();
      env.REDIS_URL = redis.url;
      // Servers ask for keys as soon as there is one.
      await makeKey();
      const args = ['--model', join(dir, 'model'), '--threads', '1', '--log-level', 'silent'];
      replicas = await Promise.all(
        ['a', 'b'].map((name) => serve([...args, '--data', join(dir, name)], env)),
      );
      const servers = replicas.map((replica) => new URL(replica.url).host);
      proxy = await startProxy(behind, dir, servers);
    }, 240_000);
    afterAll(async () => {
      await proxy.stop();
      for (const { child } of replicas) child.kill('SIGTERM');
      await Promise.all(replicas.map(({ end }) => end));
      await redis.stop();
      rmSync(dir, { recursive: true });
    }, 60_000);

    it('stream to the end mark', { timeout: 60_000 }, async () => {
      const secret = await makeKey();
      for (let i = 0; i < 4; i++) {
        const response = await ask(secret, { stream: true, max_tokens: 24 });
        expect(response.headers.get('content-type')).toContain('text/event-stream');
        expect(await response.text()).toMatch(/^data: \{.*\n\ndata: \[DONE\]\n\n$/s);
      }
      const told = async (): Promise<unknown> => (await json(call('/v1/usage', secret))).data;
      // Rows are written by whichever replica answered; both read them all.
      for (let i = 0; i < 2; i++) await expect.poll(told).toHaveLength(4);
    });

    it('share the limits of a key', { timeout: 60_000 }, async () => {
      const secret = await makeKey('--requests-per-minute', '3');
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(secret)));
      const statuses = answers.map(({ status }) => status);
      // At least three; the bucket fills again while a slow machine answers.
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
      expect(statuses).toContain(429);
    });

    it('finish a batch when one of them dies, each line once', { timeout: 120_000 }, async () => {
      const secret = await makeKey('--scope', 'batch', 'complete');
      const ids = Array.from({ length: 30 }, (_, i) => `line ${i}`);
      const lines = ids.map((custom_id, seed) =>
        JSON.stringify({
          custom_id,
          method: 'POST',
          url: '/v1/completions',
          body: { prompt: `let a${seed} = `, max_tokens: 16, seed, temperature: 1 },
        }),
      );
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new File([lines.join('\n')], 'in.jsonl'));
      const file = await json(call('/v1/files', secret, form));
      const asked = { input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' };
      const { id } = await json(call('/v1/batches', secret, asked));
      const batch = (): Promise<any> => json(call(`/v1/batches/${id}`, secret));
      await expect
        .poll(async () => (await batch()).request_counts.completed, { timeout: 30_000 })
        .toBeGreaterThan(0);
      const [first] = replicas;
      first.child.kill('SIGKILL');
      await first.end;
      replicas = replicas.slice(1);
      // The proxy asks the other one: a connection that is refused has delivered nothing.
      for (let i = 0; i < 4; i++) expect((await ask(secret)).status).toBe(200);
      await expect
        .poll(async () => (await batch()).status, { timeout: 90_000, interval: 200 })
        .toBe('completed');
      const { output_file_id, request_counts } = await batch();
      expect(request_counts).toEqual({ total: 30, completed: 30, failed: 0 });
      const output = await (await call(`/v1/files/${output_file_id}/content`, secret)).text();
      const answered = output.trim().split('\n');
      expect(answered.map((each) => JSON.parse(each).custom_id)).toEqual(ids);
      // Thirty lines and the four that were asked directly.
      await expect.poll(async () => (await json(call('/v1/usage?limit=1000', secret))).data.length).toBe(34);
    });
  });
});
