/** The socket under the app: opening it with clear errors, and closing it without dropping anybody. */
import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { TintypeError } from '../errors.ts';
import type { Env } from './deps.ts';

export interface Listening {
  /** `http://127.0.0.1:8484`, with the real port when 0 was asked for. */
  url: string;
  /**
   * Takes no new connections, waits for running requests; `onOverdue` is called after `graceMs` and must make them
   * end. Resolves when the last one has.
   */
  close(graceMs: number, onOverdue: () => void): Promise<void>;
}

const KEEP_ALIVE_MS = 75_000;
/** For requests that are cut off to say so. */
const LAST_WORDS_MS = 1000;

/** Opens the address, or rejects with what to do when it cannot. */
export function listen(
  fetch: Hono<Env>['fetch'],
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname: host, port }, (info) => {
      // An idle connection that is closed just as its client asks again costs that client an error; proxies keep theirs for
      // a minute.
      (server as Server).keepAliveTimeout = KEEP_ALIVE_MS;
      const name = host.includes(':') ? `[${host}]` : host;
      resolve({
        url: `http://${name}:${info.port}`,
        close: (graceMs, onOverdue) => close(server as Server, graceMs, onOverdue),
      });
    });
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
  });
}

function close(server: Server, graceMs: number, onOverdue: () => void): Promise<void> {
  return new Promise((resolve) => {
    let last: NodeJS.Timeout | undefined;
    const overdue = setTimeout(() => {
      onOverdue();
      // A connection that its client left in the middle of a stream may count as busy until its keep-alive is over.
      last = setTimeout(() => server.closeAllConnections(), LAST_WORDS_MS);
    }, graceMs);
    // A kept-alive connection that becomes idle after `close` would hold the server for seconds.
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    server.close(() => {
      clearTimeout(overdue);
      clearTimeout(last);
      clearInterval(sweep);
      resolve();
    });
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): TintypeError {
  const next = 'choose another with --port or TINTYPE_PORT; 0 takes any free one';
  switch (error.code) {
    case 'EADDRINUSE':
      return new TintypeError('io', { what: `port ${port} on ${host} is in use`, next, cause: error });
    case 'EACCES':
      return new TintypeError('io', {
        what: `port ${port} on ${host} is not allowed for this user`,
        next,
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new TintypeError('bad_option', {
        what: `${host} is not an address of this machine`,
        next: 'use --host 127.0.0.1, or --host 0.0.0.0 for every address',
        cause: error,
      });
    default:
      return new TintypeError('io', {
        what: `cannot listen on ${host}:${port}: ${error.message}`,
        cause: error,
      });
  }
}
