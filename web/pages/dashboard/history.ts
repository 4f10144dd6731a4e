/** What the server said of itself, again and again, and what happened in between. */
import type { Histogram, Metric } from './prometheus.ts';
import { histogramOf, parseMetrics, quantileBetween, sumOf } from './prometheus.ts';

export interface Sample {
  /** Of the page's clock. */
  atMs: number;
  /** Requests. */
  running: number;
  waiting: number;
  /** Of the memory for keys and values of earlier prompts, 0 to 1. */
  cacheShare: number;
  /** Since the server started. */
  requests: number;
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  /** Seconds. */
  latency: Histogram;
  firstToken: Histogram;
  models: ModelTotals[];
}

export interface ModelTotals {
  model: string;
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  forwards: number;
}

/** What happened between a sample and the one before it; null where nothing can be said. */
export interface Moment {
  at: Date;
  running: number;
  waiting: number;
  cacheShare: number;
  tokensPerSecond: number | null;
  requestsPerSecond: number | null;
  /** Milliseconds, over the last half minute. */
  latency: { p50: number; p95: number } | null;
  firstToken: { p50: number; p95: number } | null;
  /** Of the prompt tokens of the last half minute, 0 to 1. */
  fromCache: number | null;
}

/** Routes that ask a model; the dashboard's own questions are not among them. */
const WORK = /(completions?|infill|trace|generate|chat)$/;
const isWork = ({ route = '' }: Metric['labels']): boolean => WORK.test(route);

export function readSample(text: string, atMs: number): Sample {
  const metrics = parseMetrics(text);
  const of = (name: string): number => sumOf(metrics, `tintype_${name}`);
  const models = [
    ...new Set(
      (metrics.get('tintype_denoising_steps_total') ?? []).flatMap(({ labels }) => labels.model ?? []),
    ),
  ].sort();
  return {
    atMs,
    running: of('num_requests_running'),
    waiting: of('num_requests_waiting'),
    cacheShare: of('kv_cache_usage_perc'),
    requests: sumOf(metrics, 'tintype_http_requests_total', isWork),
    promptTokens: of('prompt_tokens_total'),
    cachedTokens: of('prompt_tokens_cached_total'),
    generatedTokens: of('generation_tokens_total'),
    latency: histogramOf(metrics, 'tintype_http_request_duration_seconds', isWork),
    firstToken: histogramOf(metrics, 'tintype_time_to_first_token_seconds'),
    models: models.map((model) => {
      const own = (name: string): number =>
        sumOf(metrics, `tintype_${name}`, (labels) => labels.model === model);
      return {
        model,
        promptTokens: own('prompt_tokens_total'),
        cachedTokens: own('prompt_tokens_cached_total'),
        generatedTokens: own('generation_tokens_total'),
        forwards: own('denoising_steps_total'),
      };
    }),
  };
}

/** Ten minutes at one every two seconds. */
export const MOST_SAMPLES = 300;
const WINDOW_MS = 30_000;
/** After a longer silence (the view was hidden) a mean over it would look like a measurement. */
const SILENCE_MS = 15_000;

/** Adds one; a server that was started anew begins a new history. */
export function withSample(history: readonly Sample[], sample: Sample): Sample[] {
  const last = history.at(-1);
  const isNew =
    last !== undefined && (sample.requests < last.requests || sample.generatedTokens < last.generatedTokens);
  return [...(isNew ? [] : history), sample].slice(-MOST_SAMPLES);
}

export function momentsOf(history: readonly Sample[]): Moment[] {
  let start = 0;
  return history.map((sample, index) => {
    const before = history[index - 1];
    while (history[start].atMs < sample.atMs - WINDOW_MS && start < index - 1) start++;
    const { atMs, running, waiting, cacheShare } = sample;
    const base = { at: new Date(atMs), running, waiting, cacheShare };
    if (before === undefined || atMs - before.atMs > SILENCE_MS) {
      if (before !== undefined) start = index;
      return {
        ...base,
        tokensPerSecond: null,
        requestsPerSecond: null,
        latency: null,
        firstToken: null,
        fromCache: null,
      };
    }
    const seconds = (atMs - before.atMs) / 1000;
    const first = history[start];
    const prompts = sample.promptTokens - first.promptTokens;
    return {
      ...base,
      tokensPerSecond: (sample.generatedTokens - before.generatedTokens) / seconds,
      requestsPerSecond: (sample.requests - before.requests) / seconds,
      latency: quantiles(first.latency, sample.latency),
      firstToken: quantiles(first.firstToken, sample.firstToken),
      fromCache: prompts > 0 ? (sample.cachedTokens - first.cachedTokens) / prompts : null,
    };
  });
}

function quantiles(before: Histogram, after: Histogram): { p50: number; p95: number } | null {
  const [p50, p95] = [0.5, 0.95].map((share) => quantileBetween(before, after, share));
  return p50 === null || p95 === null ? null : { p50: p50 * 1000, p95: p95 * 1000 };
}
