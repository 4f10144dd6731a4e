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

/** A promise and the function that settles it (`Promise.withResolvers` is Node 22's). */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
