import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { serverRig, sseEvents } from '../../tests/server-rig.ts';
import { createTelemetry, telemetryOptions } from './telemetry.ts';

let collector: Server | null = null;
afterEach(() => collector?.closeAllConnections());

async function collect(status = 200) {
  const received: { headers: NodeJS.Dict<string | string[]>; body: any }[] = [];
  collector = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => (text += String(part)));
    request.on('end', () => {
      received.push({ headers: request.headers, body: JSON.parse(text) });
      response.writeHead(status).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector!.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(collector.address() as { port: number }).port}`, received };
}

const valuesOf = (span: any): Record<string, string> =>
  Object.fromEntries(
    span.attributes.map(({ key, value }: any) => [key, value.stringValue ?? Number(value.intValue)]),
  );

describe('spans', () => {
  it('tell counts of each request, whole or streamed, and no text', async () => {
    const { url, received } = await collect();
    const options = telemetryOptions({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-token=a%20b',
    })!;
    const telemetry = createTelemetry(options);
    const { post, app } = serverRig(undefined, {
      guards: [telemetry.guard],
      onFinished: (record) => telemetry.onFinished(record),
    });
    const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    await post('/v1/completions', { prompt: 'my secret' }, { headers: { traceparent } });
    await sseEvents(await post('/v1/completions', { prompt: 'my secret', stream: true }));
    await app.request('/my/secret/path');
    await post(
      '/v1/completions',
      { prompt: 'a' },
      { headers: { traceparent: traceparent.replace(/01$/, '00') } },
    );
    await telemetry.flush();
    expect(received[0].headers['x-token']).toBe('a b');
    const { spans } = received[0].body.resourceSpans[0].scopeSpans[0];
    expect(spans).toHaveLength(3);
    expect(spans[0]).toMatchObject({
      traceId: 'ab'.repeat(16),
      parentSpanId: 'cd'.repeat(8),
      name: 'POST /v1/completions',
      kind: 2,
    });
    for (const span of spans.slice(0, 2)) {
      expect(valuesOf(span)).toMatchObject({
        'http.response.status_code': 200,
        'gen_ai.request.model': 'tintype-code',
        'gen_ai.usage.input_tokens': 12,
        'gen_ai.usage.output_tokens': 4,
      });
      expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true);
    }
    expect(spans[2].name).toBe('GET none');
    expect(JSON.stringify(received)).not.toMatch(/secret|a \+ b/);
  });

  it('wait for a collector that is away, and are not asked for without an address', async () => {
    expect(telemetryOptions({})).toBeNull();
    const errors: unknown[] = [];
    const telemetry = createTelemetry({ url: 'http://127.0.0.1:1', onError: (error) => errors.push(error) });
    const { post } = serverRig(undefined, {
      guards: [telemetry.guard],
      onFinished: (record) => telemetry.onFinished(record),
    });
    expect((await post('/v1/completions', { prompt: 'a' })).status).toBe(200);
    await telemetry.flush();
    expect(errors).toHaveLength(1);
  });
});
