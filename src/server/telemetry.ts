/**
 * OpenTelemetry spans, one a request, as OTLP in JSON over HTTP (opentelemetry.io/docs/specs/otlp), without a library:
 * a span is a small object. Names follow the semantic conventions of HTTP and of generative AI. Never any text of
 * prompts or answers, nor a path that a client made up.
 */
import { randomBytes } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { Env, RequestRecord } from './deps.ts';
import { routeOf } from './route-of.ts';

export interface TelemetryOptions {
  /** Address for traces. */
  url: string;
  headers?: Record<string, string>;
  serviceName?: string;
  delayMs?: number;
  nowMs?: () => number;
  onError?: (error: unknown) => void;
}

export interface Telemetry {
  guard: MiddlewareHandler<Env>;
  onFinished(record: RequestRecord): void;
  flush(): Promise<void>;
}

/** What is not sent yet; older spans are dropped when a collector is away. */
const MOST_SPANS = 2_000;
const SEND_MS = 5_000;
const KIND_SERVER = 2;
const STATUS_ERROR = 2;

interface Begun {
  startMs: number;
  traceId: string;
  parentSpanId: string | undefined;
  route: string;
  keyId: string | null;
}

/** As the environment says it (OTEL_EXPORTER_OTLP_ENDPOINT and its kin); null where it says nothing. */
export function telemetryOptions(env: NodeJS.ProcessEnv): TelemetryOptions | null {
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base && `${base.replace(/\/+$/, '')}/v1/traces`);
  if (!url || env.OTEL_SDK_DISABLED === 'true') return null;
  const headers = Object.fromEntries(
    (env.OTEL_EXPORTER_OTLP_HEADERS ?? '')
      .split(',')
      .filter((pair) => pair.includes('='))
      .map((pair) => [
        pair.slice(0, pair.indexOf('=')).trim(),
        decodeURIComponent(pair.slice(pair.indexOf('=') + 1).trim()),
      ]),
  );
  return { url, headers, serviceName: env.OTEL_SERVICE_NAME ?? 'tintype' };
}

export function createTelemetry({
  url,
  headers = {},
  serviceName = 'tintype',
  delayMs = 2_000,
  nowMs = Date.now,
  onError = () => {},
}: TelemetryOptions): Telemetry {
  const begun = new Map<string, Begun>();
  let spans: object[] = [];
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> = Promise.resolve();

  async function send(): Promise<void> {
    const batch = spans;
    spans = [];
    if (batch.length === 0) return;
    const body = JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: attributesOf({ 'service.name': serviceName }) },
          scopeSpans: [{ scope: { name: 'tintype' }, spans: batch }],
        },
      ],
    });
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal: AbortSignal.timeout(SEND_MS),
      });
      await response.arrayBuffer();
      if (!response.ok) onError(new Error(`the collector answered ${response.status}`));
    } catch (error) {
      // Kept for the next time, within bounds.
      spans = [...batch, ...spans].slice(-MOST_SPANS);
      onError(error);
    }
  }

  return {
    async guard(c, next) {
      const parent = parentOf(c.req.header('traceparent'));
      if (parent?.isSampled === false) return next();
      const begin: Begun = {
        startMs: nowMs(),
        traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
        parentSpanId: parent?.spanId,
        route: 'none',
        keyId: null,
      };
      begun.set(c.var.requestId, begin);
      await next();
      begin.route = routeOf(c);
      begin.keyId = c.var.key?.id ?? null;
    },
    onFinished({ requestId, method, status, model, promptTokens, cachedTokens, completionTokens, nfe }) {
      const begin = begun.get(requestId);
      if (begin === undefined) return;
      begun.delete(requestId);
      spans.push({
        traceId: begin.traceId,
        spanId: randomBytes(8).toString('hex'),
        ...(begin.parentSpanId ? { parentSpanId: begin.parentSpanId } : {}),
        name: `${method} ${begin.route}`,
        kind: KIND_SERVER,
        startTimeUnixNano: nanos(begin.startMs),
        endTimeUnixNano: nanos(nowMs()),
        attributes: attributesOf({
          'http.request.method': method,
          'http.route': begin.route,
          'http.response.status_code': status,
          'gen_ai.request.model': model,
          'gen_ai.usage.input_tokens': promptTokens,
          'gen_ai.usage.cached_tokens': cachedTokens,
          'gen_ai.usage.output_tokens': completionTokens,
          'tintype.forwards': nfe,
          'tintype.request_id': requestId,
          'tintype.key_id': begin.keyId ?? undefined,
        }),
        status: status >= 500 ? { code: STATUS_ERROR } : {},
      });
      if (spans.length > MOST_SPANS) spans.shift();
      timer ??= setTimeout(() => {
        timer = null;
        sending = sending.then(send);
      }, delayMs).unref();
    },
    async flush() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      sending = sending.then(send);
      await sending;
    },
  };
}

const nanos = (ms: number): string => `${Math.round(ms * 1000)}000`;

const attributesOf = (values: Record<string, string | number | undefined>): object[] =>
  Object.entries(values).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }],
  );

/** W3C trace context. */
function parentOf(header: string | undefined) {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(header ?? '') ?? [];
  if (traceId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
