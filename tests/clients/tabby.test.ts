/** `tabby-agent`, unmodified, with this server in the place of Tabby's. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

let server: ClientServer;
let home: string;
beforeAll(async () => {
  server = await startServer();
  home = await mkdtemp(join(tmpdir(), 'tintype-tabby-'));
});
afterAll(async () => {
  await server.close();
  await rm(home, { recursive: true });
});

it('tabby-agent gets what belongs at the cursor', async () => {
  const [before, after] = ['function add(a, b) {\n  return ', '\n}\n'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(import.meta.dirname, 'tabby_agent.cjs'), server.url, before + after, String(before.length)],
    { env: { ...process.env, HOME: home, USERPROFILE: home }, timeout: 60_000 },
  );
  const { status, reply } = JSON.parse(stdout.trim().split('\n').at(-1)!);
  expect(status).toBe('ready');
  expect(reply.id).toMatch(/^cmpl-/);
  const asked = server.log().filter(({ path }) => path === '/v1/completions' || path === '/v1/events');
  expect(asked.map(({ status: code }) => code)).toEqual([200, 200]);

  const direct = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ prompt: before, suffix: after }),
  });
  const segments = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ segments: { prefix: before, suffix: after } }),
  });
  const texts = [direct, segments].map(async (each) => ((await each.json()) as any).choices[0].text);
  expect(await texts[1]).toBe(await texts[0]);
});
