import { connect } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import type { CompletionRequest } from '../decode/engine-types.ts';
import { TintypeError } from '../errors.ts';
import { createApp } from './app.ts';
import { listen } from './listen.ts';

const host = '127.0.0.1';
const logger = pino({ enabled: false });
const body = JSON.stringify({ prompt: 'a' });
const json = (response: Response): Promise<any> => response.json();
const never = () => expect.unreachable('no request was overdue');

describe('listen', () => {
  it('serves on a free port and says which', async () => {
    const server = await listen(createApp({ engine: createFakeEngine(), logger }).fetch, { host, port: 0 });
    const response = await fetch(`${server.url}/v1/fim/completions`, { method: 'POST', body });
    expect((await json(response)).choices[0].text).toBe('a + b;');
    await server.close(1000, never);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });

  it('says what to do when the port is taken', async () => {
    const { fetch } = createApp({ engine: createFakeEngine(), logger });
    const first = await listen(fetch, { host, port: 0 });
    const port = Number(new URL(first.url).port);
    const second = listen(fetch, { host, port });
    await expect(second).rejects.toThrow(TintypeError);
    await expect(second).rejects.toThrow(`port ${port} on ${host} is in use`);
    await first.close(1000, never);
  });

  it('finishes running requests before it closes', async () => {
    const gate = withResolvers();
    const engine = createFakeEngine(async () => {
      await gate.promise;
      return { text: 'late' };
    });
    const server = await listen(createApp({ engine, logger }).fetch, { host, port: 0 });
    const answer = fetch(`${server.url}/v1/completions`, { method: 'POST', body });
    await expect.poll(() => engine.asked.length).toBe(1);
    const closed = server.close(60_000, never);
    gate.resolve();
    expect((await json(await answer)).choices[0].text).toBe('late');
    await closed;
  });

  it.each([
    ['headers_too_large', 431, `GET /health HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
    ['headers_too_large', 431, `GET /health HTTP/1.1\r\nhost: a\r\n${'x-flood: 1\r\n'.repeat(4000)}\r\n`],
    ['headers_too_large', 431, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`],
    ['request_timeout', 408, 'GET /health HTTP/1.1\r\nhost: a\r\nx-slow: l'],
    ['invalid_http', 400, 'hello\r\n\r\n'],
    ['invalid_http', 400, 'POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n'],
    ['invalid_http', 400, 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n'],
  ])('refuses what is no request: %s, %i', async (code, status, bytes) => {
    const { fetch: answer } = createApp({ engine: createFakeEngine(), logger });
    const server = await listen(answer, { host, port: 0, headMs: 200 });
    const text = await said(Number(new URL(server.url).port), bytes);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n'))).error).toMatchObject({
      type: 'invalid_request_error',
      code,
    });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await server.close(1000, never);
  });

  it.each(['content-length: 50', 'transfer-encoding: chunked'])(
    'lets go of a client that says its body byte by byte, and of no other (%s)',
    async (length) => {
      const app = createApp({ engine: createFakeEngine(), logger, bodyMs: 200 });
      const server = await listen(app.fetch, { host, port: 0 });
      const head = `POST /v1/completions HTTP/1.1\r\nhost: a\r\n${length}\r\n\r\n`;
      const text = await said(Number(new URL(server.url).port), `${head}5\r\n{"pro`);
      expect(text).toMatch(/^HTTP\/1\.1 408 /);
      expect(text.toLowerCase()).toContain('connection: close');
      expect(text).toContain('"code":"request_timeout"');
      const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', body });
      expect(response.status).toBe(200);
      await server.close(1000, never);
    },
  );

  it('writes no refusal into an answer that has begun', async () => {
    const engine = createFakeEngine(() => new Promise(() => {}));
    const app = createApp({ engine, logger, keepAliveMs: 20 });
    const server = await listen(app.fetch, { host, port: 0 });
    const asked = `POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 28\r\n\r\n{"prompt":"a","stream":true}`;
    const text = await said(Number(new URL(server.url).port), asked, ': keep-alive', 'hello\r\n\r\n');
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await server.close(0, () => {});
  });

  it('is no error of the server when a client leaves in the middle of its body', async () => {
    const lines: string[] = [];
    let begun = withResolvers();
    const app = createApp({
      engine: createFakeEngine(),
      logger: pino({}, { write: (line) => void lines.push(line) }),
      guards: [
        async (_, next) => {
          begun.resolve();
          await next();
        },
      ],
    });
    const server = await listen(app.fetch, { host, port: 0 });
    for (const length of ['content-length: 50', 'transfer-encoding: chunked']) {
      const socket = connect(Number(new URL(server.url).port), host);
      socket.write(`POST /v1/completions HTTP/1.1\r\nhost: a\r\n${length}\r\n\r\n5\r\n{"pro`);
      await begun.promise;
      begun = withResolvers();
      socket.destroy();
      await expect.poll(() => lines.length).toBe(1);
      expect(JSON.parse(lines.pop()!)).toMatchObject({ level: 30, status: 499 });
    }
    await server.close(1000, never);
  });

  it('tells the decoder when the client hangs up', async () => {
    const aborted = withResolvers();
    const engine = createFakeEngine(
      ({ signal }: CompletionRequest) =>
        new Promise((_resolve, reject) => {
          signal!.addEventListener('abort', () => {
            reject(new TintypeError('aborted', { what: 'stopped' }));
            aborted.resolve();
          });
        }),
    );
    const server = await listen(createApp({ engine, logger }).fetch, { host, port: 0 });
    const client = new AbortController();
    const answer = fetch(`${server.url}/v1/completions`, { method: 'POST', body, signal: client.signal });
    await expect.poll(() => engine.asked.length).toBe(1);
    client.abort();
    await expect(answer).rejects.toThrow();
    await aborted.promise;
    await server.close(1000, never);
  });
});

/** All that comes back for these bytes; once a word of it has come, more bytes are sent. */
function said(port: number, bytes: string, word?: string, more = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, host, () => socket.write(bytes));
    socket.on('data', (chunk) => {
      const had = word !== undefined && text.includes(word);
      text += String(chunk);
      if (word !== undefined && !had && text.includes(word)) socket.write(more);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

/** A promise and the function that settles it (`Promise.withResolvers` is Node 22's). */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
