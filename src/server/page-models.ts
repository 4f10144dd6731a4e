/**
 * The bundled models for the page that runs them in its own tab: a list with hashes, and a fixed set of files. What is
 * asked for by its hash (`?sha256=…`) never changes, so browsers keep it.
 */
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { MiddlewareHandler } from 'hono';
import { pageFolder } from '../model/page-folder.ts';
import type { Env } from './deps.ts';

/** Under `/page/models/`; what is not there goes on to the next handler. */
export function createPageModels(dirs: readonly string[]): MiddlewareHandler<Env> {
  const folders = new Map(dirs.map((dir) => [basename(resolve(dir)), dir]));
  return async (c, next) => {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return next();
    c.header('cross-origin-resource-policy', 'same-origin');
    if (c.req.path === '/page/models/index.json') {
      c.header('cache-control', 'no-cache');
      return c.json(await Promise.all(dirs.map(pageFolder)));
    }
    const [, id = '', name = ''] = /^\/page\/models\/([\w.-]+)\/([\w.-]+)$/.exec(c.req.path) ?? [];
    const dir = folders.get(id);
    const file = dir && (await pageFolder(dir)).files.find((each) => each.name === name);
    if (!dir || !file) return next();
    const etag = `"${file.sha256}"`;
    const isAskedByHash = c.req.query('sha256') === file.sha256;
    c.header('etag', etag);
    c.header('cache-control', isAskedByHash ? 'public, max-age=31536000, immutable' : 'no-cache');
    if (c.req.header('if-none-match') === etag) return c.body(null, 304);
    c.header('content-type', name.endsWith('.json') ? 'application/json' : 'application/octet-stream');
    return c.body(new Uint8Array(await readFile(join(dir, name))));
  };
}
