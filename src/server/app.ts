/**
 * The HTTP surface, as a Hono app over an injected engine: no sockets, no files, so tests call it directly. What all
 * routes share is here; the routes are data (`routes/`).
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import type { Logger } from 'pino';
import type { CompletionEngine } from '../decode/engine-types.ts';
import { arriving, BODY_MS, MOST_BODY_BYTES, readBody } from './body.ts';
import type { Ctx, Deps, Env, RequestRecord, Route } from './deps.ts';
import { HttpError, toHttpError } from './errors.ts';
import { createMetrics } from './metrics.ts';
import { createPage } from './page.ts';
import { createPageModels } from './page-models.ts';
import { routeOf } from './route-of.ts';
import { ROUTES } from './routes/index.ts';

export interface AppOptions {
  engine: CompletionEngine;
  logger: Logger;
  /** Aborted when the server has waited long enough for running requests. */
  shutdown?: AbortSignal;
  /** Unix time, seconds; `created` of models and replies. */
  nowSeconds?: () => number;
  /** Silence on a stream after which a comment keeps the connection open. */
  keepAliveMs?: number;
  /** Between the request's id and its route: accounts, limits. They throw `HttpError` or go on. */
  guards?: readonly MiddlewareHandler<Env>[];
  /** Each request once it is over, streams at their end: a ledger. */
  onFinished?: (record: RequestRecord) => void;
  /** More routes. */
  routes?: readonly Route[];
  /** Folder with the files of the page, served under `/`. */
  page?: string | undefined;
  /** Folders of models that the page may load into its tab. */
  pageModels?: readonly string[] | undefined;
  /** Paths whose bodies may have another size. */
  bodyBytes?: Readonly<Record<string, number>>;
  /** In which a body of JSON has to come. */
  bodyMs?: number;
  /** Money for one token of a model. */
  pricing?: Deps['pricing'];
}

const FREE: Deps['pricing'] = () => ({ prompt: '0', completion: '0', input_cache_reads: '0' });

const KEEP_ALIVE_MS = 15_000;

export function createApp(options: AppOptions): Hono<Env> {
  const {
    engine,
    logger,
    shutdown,
    guards = [],
    routes = [],
    bodyBytes = {},
    onFinished = () => {},
  } = options;
  const {
    nowSeconds = () => Math.floor(Date.now() / 1000),
    keepAliveMs = KEEP_ALIVE_MS,
    pricing = FREE,
    bodyMs = BODY_MS,
  } = options;
  const metrics = createMetrics(engine);
  const all = [...ROUTES, ...routes];
  const startedAt = nowSeconds();
  const deps: Deps = { engine, logger, metrics, nowSeconds, startedAt, keepAliveMs, routes: all, pricing };
  const app = new Hono<Env>();
  /** Requests that are not over. Signals made of `shutdown` and others would stay with it as long as the server. */
  const running = new Set<AbortController>();
  shutdown?.addEventListener('abort', () => running.forEach((each) => each.abort()), { once: true });

  app.use(cors({ origin: localOrigin, exposeHeaders: EXPOSED, maxAge: 600 }));

  app.use(async (c, next) => {
    const startedMs = performance.now();
    const abort = new AbortController();
    c.set('requestId', crypto.randomUUID());
    c.set('log', {});
    c.set('abort', abort);
    c.set('finished', null);
    c.set('delivered', { promptTokens: 0, cachedTokens: 0, completionTokens: 0 });
    c.set('onDelivered', () => {});
    c.set('onAsked', () => {});
    c.set('key', null);
    c.set('headers', {});
    c.set('signal', abort.signal);
    const leave = (): void => abort.abort();
    const client = c.req.raw.signal;
    if (client.aborted || shutdown?.aborted) leave();
    client.addEventListener('abort', leave, { once: true });
    running.add(abort);
    await next();
    const elapsedMs = (): number => performance.now() - startedMs;
    c.header('x-request-id', c.var.requestId);
    for (const [name, value] of Object.entries(c.var.headers)) c.header(name, value);
    c.header('server-timing', `total;dur=${elapsedMs().toFixed(1)}`, { append: true });
    const { method, path } = c.req;
    const route = routeOf(c);
    const end = (): void => {
      running.delete(abort);
      // Node keeps a signal as long as somebody listens.
      client.removeEventListener('abort', leave);
      const record: RequestRecord = {
        requestId: c.var.requestId,
        method,
        path,
        status: c.res.status,
        elapsedMs: Math.round(elapsedMs()),
        ...c.var.log,
      };
      metrics.request(record, route);
      logger.info(record, 'request');
      onFinished(record);
    };
    if (c.var.finished === null) end();
    else void c.var.finished.then(end);
  });

  const limits = new Map(
    Object.entries({ ...bodyBytes, '*': MOST_BODY_BYTES }).map(([path, bytes]) => [path, limitOf(bytes)]),
  );
  // Before bodies are read: who may not ask makes no work.
  for (const guard of guards) app.use(guard);
  app.use((c, next) => {
    const own = limits.get(c.req.path);
    if (own) return own(c, next);
    // Of a body without a length everything is read here.
    return arriving(c, bodyMs, async (arrived) =>
      limits.get('*')!(c, () => {
        arrived();
        return next();
      }),
    );
  });

  for (const { method, path, aliases = [], body, answer } of all) {
    const handler = async (c: Ctx): Promise<Response> =>
      answer(c, body ? await readBody(c, body, bodyMs) : undefined, deps);
    for (const each of [path, ...aliases]) app.on(method, each, handler);
  }

  if (options.pageModels) app.use('/page/models/*', createPageModels(options.pageModels));
  if (options.page !== undefined) app.use(createPage(options.page));

  // A path with another method; last, since what stands in front may know it.
  for (const [path, methods] of methodsOf(all)) {
    const allow = methods.join(', ');
    app.all(path, (c) => {
      c.var.headers['allow'] = allow;
      throw new HttpError(405, `this route is asked with ${allow}`, { code: 'method_not_allowed' });
    });
  }

  app.notFound(() => {
    throw new HttpError(404, 'no such route; GET /docs lists them all', { code: 'not_found' });
  });

  app.onError((error, c) => {
    const { status, message, body, retryAfter } = toHttpError(error, c.req.raw.signal.aborted);
    if (status === 500) logger.error({ requestId: c.var.requestId, err: error }, 'failed');
    const said = c.req.path.startsWith('/api/') ? { error: message } : body;
    // A Response, since 499 is no status that Hono's types know.
    const headers: Record<string, string> = retryAfter === null ? {} : { 'retry-after': String(retryAfter) };
    return Response.json(said, { status, headers });
  });

  return app;
}

/** What each path is asked with, aliases too. */
function methodsOf(routes: readonly Route[]): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { method, path, aliases = [] } of routes) {
    const names = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    for (const each of [path, ...aliases]) methods.set(each, [...(methods.get(each) ?? []), ...names]);
  }
  return methods;
}

const limitOf = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: () => {
      throw new HttpError(413, `the body is larger than ${maxSize} bytes`, { code: 'body_too_large' });
    },
  });

const EXPOSED = [
  'x-request-id',
  'server-timing',
  'retry-after',
  ...['requests', 'tokens'].flatMap((kind) =>
    ['limit', 'remaining', 'reset'].map((part) => `x-ratelimit-${part}-${kind}`),
  ),
];

/** Pages of this machine and editors' web views may ask; the headers that they want are allowed by name. */
function localOrigin(origin: string): string | null {
  return /^(https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?|vscode-webview:\/\/.*)$/.test(origin)
    ? origin
    : null;
}
