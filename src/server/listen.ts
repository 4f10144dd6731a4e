/** The socket under the app: opening it with clear errors, and closing it without dropping anybody. */
import { STATUS_CODES, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { TintypeError } from '../errors.ts';
import type { Env } from './deps.ts';
import { HttpError } from './errors.ts';

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

/** For the head of a request, of a client that says it byte by byte to hold the connection. */
const HEAD_MS = 10_000;
/** For the whole of it: 64 MiB over a slow line. Bodies of JSON have less (`body.ts`). */
const REQUEST_MS = 300_000;

export interface ListenOptions {
  host: string;
  port: number;
  headMs?: number;
}

/** Opens the address, or rejects with what to do when it cannot. */
export function listen(
  fetch: Hono<Env>['fetch'],
  { host, port, headMs = HEAD_MS }: ListenOptions,
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const serverOptions = {
      headersTimeout: headMs,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: Math.min(headMs, 1000),
    };
    const server = serve({ fetch, hostname: host, port, serverOptions }, (info) => {
      // An idle connection that is closed just as its client asks again costs that client an error; proxies keep theirs for
      // a minute.
      (server as Server).keepAliveTimeout = KEEP_ALIVE_MS;
      const name = host.includes(':') ? `[${host}]` : host;
      resolve({
        url: `http://${name}:${info.port}`,
        close: (graceMs, onOverdue) => close(server as Server, graceMs, onOverdue),
      });
    });
    server.on('clientError', refuse);
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

const LATE = new HttpError(408, 'the request did not come in time', { code: 'request_timeout' });
const LARGE = new HttpError(431, 'the head of the request is larger than 16 KiB', {
  code: 'headers_too_large',
});
const BROKEN = new HttpError(400, 'this is not a request of HTTP/1.1', { code: 'invalid_http' });

/** What no route ever sees is answered as routes answer. */
function refuse({ code }: NodeJS.ErrnoException, socket: Duplex): void {
  const { _httpMessage: answer } = socket as Duplex & { _httpMessage?: ServerResponse };
  // Into an answer that has begun nothing can be written.
  if (!socket.writable || answer?.headersSent) return void socket.destroy();
  const late = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const { status, body } = late ? LATE : code === 'HPE_HEADER_OVERFLOW' ? LARGE : BROKEN;
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
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
