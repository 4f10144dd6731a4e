/** The server's app over a fake engine, with its log as text. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { createApp } from '../src/server/app.ts';
import type { AppOptions } from '../src/server/app.ts';
import { createFakeEngine } from './fake-engine.ts';
import type { FakeEngine } from './fake-engine.ts';

export function serverRig(engine: FakeEngine = createFakeEngine(), options: Partial<AppOptions> = {}) {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const app = createApp({ engine, logger: pino(sink), nowSeconds: () => 1_800_000_000, ...options });
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    app.request(path, {
      method: 'POST',
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...init,
    });
  return { app, post, engine, log: () => lines.join('') };
}

/** The body of an answer; tests check its shape themselves. */
export const json = (response: Response): Promise<any> => response.json();

/** The events of a stream in OpenAI's form, the end mark as a string. */
export async function sseEvents(response: Response): Promise<any[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((part) => part.startsWith('data: '))
    .map((part) => (part === 'data: [DONE]' ? '[DONE]' : JSON.parse(part.slice(6))));
}

/** Lines of JSON. */
export const jsonLines = async (response: Response): Promise<any[]> =>
  (await response.text())
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
