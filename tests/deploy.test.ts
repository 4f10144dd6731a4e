/** deploy/: nginx as it is configured, in front of a server; skipped with a reason where there is no nginx. */
import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const config = join(import.meta.dirname, '..', 'deploy', 'nginx.conf');
const nginx = ['nginx', '/usr/sbin/nginx'].find((name) => !spawnSync(name, ['-v']).error);
if (nginx === undefined) console.warn('skipped: no nginx on this machine (apt-get install nginx-light)');

/** nginx opens /dev/stdout by its name, which works with files and not with Node's sockets. */
const STDIO: StdioOptions = ['ignore', 'ignore', 'pipe'];

describe.skipIf(nginx === undefined)('nginx', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tintype-nginx-'));
  let child: ChildProcess | null = null;
  afterAll(async () => {
    if (child) {
      const ended = new Promise((resolve) => child!.once('exit', resolve));
      child.kill();
      await ended;
    }
    rmSync(dir, { recursive: true });
  });

  it('takes the configuration', () => {
    const { status, stderr } = spawnSync(nginx!, ['-t', '-p', dir, '-c', config], { stdio: STDIO });
    expect(String(stderr)).toContain('syntax is ok');
    expect(status).toBe(0);
  });

  it('hands streams on piece by piece, and hides /metrics', async () => {
    let release = (): void => {};
    const server = createServer((request, response) => {
      if (request.url !== '/v1/completions') return response.end('{}');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: one\n\n');
      release = () => response.end('data: two\n\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const portOf = (each: typeof server): number => (each.address() as { port: number }).port;
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const port = portOf(free);
    free.close();
    const text = readFileSync(config, 'utf8')
      .replace('http://tintype:8484', `http://127.0.0.1:${portOf(server)}`)
      .replace('listen 8080', `listen 127.0.0.1:${port}`)
      .replace('/tmp/nginx.pid', join(dir, 'nginx.pid'));
    writeFileSync(join(dir, 'nginx.conf'), text);
    child = spawn(nginx!, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-g', 'daemon off;'], { stdio: STDIO });
    const url = `http://127.0.0.1:${port}`;
    await expect
      .poll(async () => (await fetch(`${url}/health`).catch(() => null))?.status, { timeout: 10_000 })
      .toBe(200);

    const response = await fetch(`${url}/v1/completions`, { method: 'POST', body: '{}' });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe('data: one\n\n');
    release();
    expect((await reader.read()).value).toBe('data: two\n\n');
    expect((await fetch(`${url}/metrics`)).status).toBe(404);
    const big = await fetch(`${url}/v1/files`, {
      method: 'POST',
      body: new Uint8Array(66 * 1024 * 1024),
    }).catch(() => null);
    expect(big === null || big.status === 413).toBe(true);
    server.closeAllConnections();
    server.close();
  });
});
