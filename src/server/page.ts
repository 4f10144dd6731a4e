/**
 * The page (web/), as files that the build has made. Assets carry a hash in their name and are kept for ever by
 * browsers; the page itself is asked for every time. Nothing on it may ask another host for anything.
 */
import { serveStatic } from '@hono/node-server/serve-static';
import type { MiddlewareHandler } from 'hono';
import type { Env } from './deps.ts';

/** WebAssembly is the model that runs in the tab; inline styles are those that an editor sets on its own lines. */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  // Threads of WebAssembly share memory, which browsers allow only to pages that are isolated so.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Files of a folder under `/`; what is not there goes on to the next handler. */
export function createPage(folder: string): MiddlewareHandler<Env> {
  const files = serveStatic<Env>({
    root: folder,
    precompressed: true,
    onFound: (_, c) => {
      const isHashed = c.req.path.startsWith('/assets/');
      c.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    },
  });
  return (c, next) => (c.req.method === 'GET' || c.req.method === 'HEAD' ? files(c, next) : next());
}
