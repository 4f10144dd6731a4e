/** deploy/: each proxy as it is configured, in front of servers; skipped with a reason where there is none. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { register as registerServe } from '../src/cli/serve.ts';
import { PROXIES, startProxy, type RunningProxy } from './proxies.ts';

/** Answers with its own name, counts what it is asked, and streams in two pieces. */
interface Replica {
  server: Server;
  address: string;
  asked: string[];
  release: () => void;
}

async function startReplica(): Promise<Replica> {
  const server = createServer((request, response) => {
    if (request.url !== '/health') replica.asked.push(request.url!);
    if (request.url !== '/v1/completions') return response.end(replica.address);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: one\n\n');
    replica.release = () => response.end('data: two\n\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const replica: Replica = { server, address: `127.0.0.1:${port}`, asked: [], release: () => {} };
  return replica;
}

function close({ server }: Replica): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

describe.each(PROXIES)('$name', (proxy) => {
  const { name, missing } = proxy;
  if (missing !== null) console.warn(`skipped: ${missing}`);
  describe.skipIf(missing !== null)('as configured', () => {
    const dir = mkdtempSync(join(tmpdir(), 'tintype-proxy-'));
    let replicas: Replica[] = [];
    let running: RunningProxy;
    beforeAll(async () => {
      replicas = await Promise.all([startReplica(), startReplica()]);
      const servers = replicas.map(({ address }) => address);
      running = await startProxy(proxy, dir, servers);
    });
    afterAll(async () => {
      await running.stop();
      await Promise.all(replicas.map(close));
      rmSync(dir, { recursive: true });
    });

    it('is taken', () => expect(proxy.check(dir)).toBeNull());

    it('hands streams on piece by piece', async () => {
      const response = await fetch(`${running.url}/v1/completions`, { method: 'POST', body: '{}' });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader.read()).value).toBe('data: one\n\n');
      for (const { release } of replicas) release();
      expect((await reader.read()).value).toBe('data: two\n\n');
      expect((await reader.read()).done).toBe(true);
    });

    // All that the servers would answer with their numbers.
    it.each(
      ['', '?x', '#x']
        .map((end) => `/metrics${end}`)
        .concat(['/%6detrics', '/v1/../metrics', '/x/%2e%2e/metrics', '/./metrics']),
    )('hides the numbers at %s', async (path) => {
      // fetch would tidy the path up itself.
      const { statusCode } = await new Promise<IncomingMessage>((resolve, reject) =>
        request({ port: running.port, path }, resolve).once('error', reject).end(),
      );
      expect([400, 404]).toContain(statusCode);
      expect(replicas.flatMap(({ asked }) => asked).filter((each) => each.includes('etrics'))).toEqual([]);
    });

    it('leaves a slash in the name of a model as it is', async () => {
      await fetch(`${running.url}/v1/models/org%2Fmodel`);
      expect(replicas.flatMap(({ asked }) => asked)).toContain('/v1/models/org%2Fmodel');
    });

    it('takes files up to what the server takes', async () => {
      const body = new Uint8Array(64 * 1024 * 1024);
      expect((await fetch(`${running.url}/v1/files`, { method: 'POST', body })).status).toBe(200);
    });

    it.runIf(name === 'nginx')('refuses larger ones itself', async () => {
      const body = new Uint8Array(66 * 1024 * 1024);
      const refused = await fetch(`${running.url}/v1/files`, { method: 'POST', body }).catch(() => null);
      expect(refused === null || refused.status === 413).toBe(true);
    });

    it.runIf(name === 'Envoy')(
      'sends a key to one replica from wherever it asks, and others elsewhere',
      async () => {
        const answeredBy = (headers: Record<string, string>, localAddress: string): Promise<string> =>
          new Promise((resolve, reject) =>
            request({ port: running.port, path: '/x', headers, localAddress }, (response) => {
              let text = '';
              response.on('data', (piece) => (text += String(piece))).on('end', () => resolve(text));
            })
              .once('error', reject)
              .end(),
          );
        const seen = new Set<string>();
        for (let key = 0; key < 24; key++) {
          const headers: Record<string, string> =
            key % 2 ? { authorization: `Bearer ${key}` } : { 'x-api-key': String(key) };
          const [here, there] = await Promise.all(
            ['127.0.0.1', '127.0.0.2'].map((address) => answeredBy(headers, address)),
          );
          expect(here).toBe(there);
          seen.add(here);
        }
        expect(seen.size).toBe(2);
      },
    );

    it('asks another replica where one is gone', async () => {
      await close(replicas.pop()!);
      for (let i = 0; i < 12; i++) {
        const response = await fetch(`${running.url}/x`, {
          method: 'POST',
          headers: { 'x-api-key': String(i) },
          body: '{}',
        });
        expect(await response.text()).toBe(replicas[0].address);
      }
    });
  });
});

describe('the image', () => {
  const read = (file: string): string => readFileSync(join(import.meta.dirname, '..', file), 'utf8');

  it('holds the packages of Redis that are tested', () => {
    const { devDependencies } = JSON.parse(read('package.json'));
    for (const name of ['bullmq', 'ioredis'])
      expect(read('deploy/Dockerfile')).toContain(` ${name}@${devDependencies[name]} `);
  });

  it('is asked at the port at which it listens', () => {
    const program = new Command();
    registerServe(program);
    const port = program.commands[0].options.find(({ long }) => long === '--port')!.defaultValue;
    expect(read('deploy/Dockerfile')).toContain(`EXPOSE ${port}\n`);
    expect(read('deploy/compose.yaml')).toContain(`'http://127.0.0.1:${port}/health'`);
    expect(read('deploy/nginx.conf')).toContain(`http://tintype:${port};`);
    expect(read('deploy/envoy.yaml')).toContain(`{ address: tintype, port_value: ${port} }`);
  });
});
