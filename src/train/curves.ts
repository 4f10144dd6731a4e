/** Run logs as curves: read, cleaned of what a resumed run repeated, smoothed, thinned. Maths only. */
import { TintypeError } from '../errors.ts';

export const X_AXES = ['tokens', 'steps', 'minutes', 'flops'] as const;
export type XAxis = (typeof X_AXES)[number];

export const X_LABELS: Record<XAxis, string> = {
  tokens: 'training tokens',
  steps: 'steps',
  minutes: 'training time (minutes)',
  flops: 'training compute (FLOPs)',
};

/** What can be drawn over them, by its name in the log. */
export const Y_LABELS: Record<string, { title: string; unit: string }> = {
  lossNats: { title: 'Training loss', unit: 'nats per token' },
  diffusionNats: { title: 'Diffusion loss', unit: 'nats per token' },
  autoregressiveNats: { title: 'Autoregressive loss', unit: 'nats per token' },
  bitsPerByte: { title: 'Bits per byte', unit: 'held out' },
  gradNorm: { title: 'Gradient norm', unit: 'norm before clipping' },
  learningRate: { title: 'Learning rate', unit: 'share of the peak' },
  tokensPerSecond: { title: 'Training speed', unit: 'tokens per second' },
};

/** The numbers of one line of a run log, under their names there. */
export type LogRow = Readonly<Record<string, number>>;

export interface RunLog {
  name: string;
  /** Training steps, by rising step. */
  steps: LogRow[];
  /** Evaluations on held-out data; what they do not say of tokens, flops and time stands in the step before. */
  evals: LogRow[];
}

/**
 * Reads a `log.jsonl`. Lines that are not JSON are passed over: a killed run leaves half of one. A run that was
 * killed and resumed has gone back to its last checkpoint, so the steps it did twice are kept once.
 */
export function parseRunLog(text: string, fallbackName: string): RunLog {
  const run: RunLog = { name: fallbackName, steps: [], evals: [] };
  for (const line of text.split('\n')) {
    const event = parseLine(line);
    if (!event) continue;
    const row = Object.fromEntries(
      Object.entries(event).filter((field): field is [string, number] => typeof field[1] === 'number'),
    );
    if (event.type === 'start') {
      if (typeof event.name === 'string') run.name = event.name;
      if (row.resumedAtStep !== undefined) goBackTo(run, row.resumedAtStep);
    } else if (event.type === 'step') {
      goBackTo(run, row.step - 1);
      run.steps.push(row);
    } else if (event.type === 'eval') {
      const { tokens, flops, elapsedMs } = run.steps.at(-1) ?? {};
      run.evals.push({ tokens, flops, elapsedMs, ...row });
    }
  }
  return run;
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' ? (event as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function goBackTo(run: RunLog, step: number): void {
  while (run.steps.length > 0 && run.steps.at(-1)!.step > step) run.steps.pop();
  while (run.evals.length > 0 && run.evals.at(-1)!.step > step) run.evals.pop();
}

export interface Point {
  x: number;
  y: number;
}

export interface Curve {
  name: string;
  /** As logged, thinned to what a picture can show. */
  raw: Point[];
  /** Smoothed. */
  line: Point[];
  /** Held-out evaluations. */
  dots: Point[];
}

const X_OF: Record<XAxis, (row: LogRow) => number> = {
  tokens: (row) => row.tokens,
  steps: (row) => row.step,
  minutes: (row) => row.elapsedMs / 60_000,
  flops: (row) => row.flops,
};

/** More points than this in one line only make the file larger. */
const MAX_POINTS = 600;

/**
 * One curve a run. `smooth` is the number of log lines that are averaged around each; null chooses by the length.
 * Errors: `bad_option` when no run has `y`, naming what they do have.
 */
export function curvesOf(runs: readonly RunLog[], x: XAxis, y: string, smooth: number | null): Curve[] {
  const pointsOf = (rows: readonly LogRow[]): Point[] =>
    rows
      .map((row) => ({ x: X_OF[x](row), y: row[y] }))
      .filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  const curves = runs.map(({ name, steps, evals }): Curve => {
    const points = pointsOf(steps);
    const window = smooth ?? Math.ceil(points.length / 40);
    return { name, raw: thin(points), line: thin(movingMean(points, window)), dots: pointsOf(evals) };
  });
  const drawn = curves.filter(({ raw, dots }) => raw.length + dots.length > 0);
  if (drawn.length > 0) return drawn;
  const known = new Set(
    runs.flatMap(({ steps, evals }) => [...steps, ...evals].flatMap((row) => Object.keys(row))),
  );
  throw new TintypeError('bad_option', {
    what: known.size > 0 ? 'no run has logged this' : 'no run has logged a step yet',
    got: `--y ${y} over --x ${x}`,
    wanted: known.size > 0 ? [...known].join(', ') : undefined,
  });
}

/**
 * Mean over `window` neighbours, centred, so that a falling curve is not shifted. Near the start, where it falls
 * steeply, both sides shrink alike; at the end, where it is flat, only the side that is missing does, so that the
 * last value is as steady as the others.
 */
export function movingMean(points: readonly Point[], window: number): Point[] {
  if (window === 1) return [...points];
  const sums = [0];
  for (const { y } of points) sums.push(sums.at(-1)! + y);
  const reach = Math.floor(window / 2);
  return points.map(({ x }, i) => {
    const from = i - Math.min(reach, i);
    const to = Math.min(i + Math.min(reach, i), points.length - 1);
    return { x, y: (sums[to + 1] - sums[from]) / (to + 1 - from) };
  });
}

/** Every nth point, the last one always. */
function thin(points: readonly Point[]): Point[] {
  const every = Math.ceil(points.length / MAX_POINTS);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

/** `0`, `20M`, `1.5e+15`. */
export const compact = (n: number): string =>
  n < 1e15 ? new Intl.NumberFormat('en', { notation: 'compact' }).format(n) : n.toExponential();

/**
 * The first fiftieth of a run falls from the height of a guess and would flatten all the rest, so the axis begins
 * after it and the curves enter from above.
 */
export function rangeOf(curves: readonly Curve[], end: number): [number, number] {
  const values = curves.flatMap(({ line, dots }) => [...line.filter(({ x }) => x >= end / 50), ...dots]);
  const low = Math.min(...values.map(({ y }) => y));
  const high = Math.max(...values.map(({ y }) => y));
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - room, high + room];
}
