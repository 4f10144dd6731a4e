/** Numbers for Prometheus: prefix `tintype_`, names as vLLM has them where it has them. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CompletionEngine, CompletionReply } from '../decode/engine-types.ts';
import type { RequestRecord } from './deps.ts';

export interface Metrics {
  registry: Registry;
  /** An HTTP request is over. */
  request(record: RequestRecord, route: string): void;
  /** A text is written. @param firstMs until its first settled text; null when there was none */
  reply(model: string, reply: CompletionReply, firstMs: number | null): void;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createMetrics(engine: CompletionEngine): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): unknown =>
    new Gauge({
      name: `tintype_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('num_requests_running', 'Requests that decode.', () => engine.statistics().running);
  gauge('num_requests_waiting', 'Requests that wait for their turn.', () => engine.statistics().waiting);
  gauge('kv_cache_usage_perc', 'Share of the memory for keys and values of earlier prompts, 0 to 1.', () => {
    const { cacheBytes, cacheMaxBytes } = engine.statistics();
    return cacheMaxBytes > 0 ? cacheBytes / cacheMaxBytes : 0;
  });

  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({ name: `tintype_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    buckets: number[],
  ): Histogram<L> => new Histogram({ name: `tintype_${name}`, help, labelNames, buckets, registers });

  const requests = counter('http_requests_total', 'HTTP requests.', ['method', 'route', 'status']);
  const duration = histogram(
    'http_request_duration_seconds',
    'Whole requests, streams to their end.',
    ['route'],
    SECONDS,
  );
  const prompt = counter('prompt_tokens_total', 'Prompt tokens, cached ones included.', ['model']);
  const cached = counter('prompt_tokens_cached_total', 'Prompt tokens that came from the cache.', ['model']);
  const generated = counter('generation_tokens_total', 'Tokens written, up to the end of the text.', [
    'model',
  ]);
  const steps = counter('denoising_steps_total', 'Forwards of the denoiser.', ['model']);
  const first = histogram(
    'time_to_first_token_seconds',
    'Until the first settled text, the wait for a turn included.',
    ['model'],
    SECONDS,
  );
  const perForward = histogram(
    'tokens_per_forward',
    'Tokens written a forward, by request.',
    ['model'],
    [0.5, 1, 1.5, 2, 3, 4, 6, 8, 16],
  );
  const queued = histogram('request_queue_time_seconds', 'Wait for a turn.', ['model'], SECONDS);

  return {
    registry,
    request({ method, status, elapsedMs }, route) {
      requests.inc({ method, route, status });
      duration.observe({ route }, elapsedMs / 1000);
    },
    reply(model, reply, firstMs) {
      prompt.inc({ model }, reply.promptTokens);
      cached.inc({ model }, reply.cachedTokens);
      generated.inc({ model }, reply.completionTokens);
      steps.inc({ model }, reply.nfe);
      queued.observe({ model }, reply.queuedMs / 1000);
      if (firstMs !== null) first.observe({ model }, firstMs / 1000);
      if (reply.nfe > 0) perForward.observe({ model }, reply.completionTokens / reply.nfe);
    },
  };
}
