/** The text that Prometheus reads (prometheus.io/docs/instrumenting/exposition_formats), as far as this server writes it. */
export interface Metric {
  labels: Readonly<Record<string, string>>;
  value: number;
}

export type Metrics = ReadonlyMap<string, readonly Metric[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? +(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const NUMBERS: Readonly<Record<string, number>> = { '+Inf': Infinity, '-Inf': -Infinity, NaN };

/** By name; comments and lines of another shape are passed over. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Metric[]>();
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    const known = metrics.get(name) ?? [];
    known.push({
      labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, text]) => [key, unescaped(text)])),
      value: NUMBERS[value] ?? Number(value),
    });
    metrics.set(name, known);
  }
  return metrics;
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));

type Filter = (labels: Metric['labels']) => boolean;

export const sumOf = (metrics: Metrics, name: string, filter: Filter = () => true): number =>
  (metrics.get(name) ?? []).reduce((sum, { labels, value }) => (filter(labels) ? sum + value : sum), 0);

export interface Histogram {
  /** Upper bounds, rising; the last is infinite. */
  bounds: number[];
  /** Observations up to each bound. */
  upTo: number[];
}

/** All series of a histogram together. */
export function histogramOf(metrics: Metrics, name: string, filter: Filter = () => true): Histogram {
  const counts = new Map<number, number>();
  for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
    if (!filter(labels)) continue;
    const bound = NUMBERS[labels.le] ?? Number(labels.le);
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  const sorted = [...counts].sort(([a], [b]) => a - b);
  return { bounds: sorted.map(([bound]) => bound), upTo: sorted.map(([, count]) => count) };
}

/**
 * The value that a share of the observations between two states of a histogram do not exceed, as Prometheus'
 * `histogram_quantile` estimates it: even inside a bucket. Null without observations; the last finite bound where it is
 * above all of them.
 */
export function quantileBetween(before: Histogram, after: Histogram, share: number): number | null {
  const gained = after.upTo.map((count, i) => count - (before.upTo[i] ?? 0));
  const total = gained.at(-1) ?? 0;
  if (total <= 0) return null;
  const wanted = share * total;
  const at = gained.findIndex((count) => count >= wanted);
  const high = after.bounds[at];
  const low = at === 0 ? 0 : after.bounds[at - 1];
  if (high === Infinity) return low;
  const below = at === 0 ? 0 : gained[at - 1];
  return low + ((high - low) * (wanted - below)) / (gained[at] - below);
}
