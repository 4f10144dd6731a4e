/**
 * Progress of long work on stderr, so that stdout stays clean for results: one live line on a terminal, a plain
 * line every ten seconds in a log.
 */
import pc from 'picocolors';

const REDRAW_MS = 100;
const LOG_MS = 10_000;
const BAR_CELLS = 24;

export interface Progress {
  /** `done` items in all so far; `note` is a few words at the end of the line. */
  update(done: number, note?: string): void;
  /** Draws the last state and ends the line. */
  finish(note?: string): void;
}

export interface ProgressOptions {
  label: string;
  /** Items in all. */
  total: number;
  /** What is counted, in the plural: `tokens`. */
  unit: string;
  /** Where lines go; tests pass their own. */
  stream?: { isTTY?: boolean; columns?: number; write(text: string): unknown };
  nowMs?: () => number;
}

/** `12 s`, `4 min 05 s`, `2 h 07 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** `950`, `12.3k`, `4.56M`: three digits that mean something. */
export function formatCount(count: number): string {
  if (count < 1000) return count < 10 && count % 1 !== 0 ? count.toFixed(1) : String(Math.round(count));
  const [scale, suffix] = count < 1e6 ? [1e3, 'k'] : count < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  return `${(count / scale).toPrecision(3)}${suffix}`;
}

/** One line of progress, without its end. */
export function formatProgress(
  state: { label: string; unit: string; done: number; total: number; elapsedMs: number; note: string },
  bar: boolean,
): string {
  const { label, unit, done, total, elapsedMs, note } = state;
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const left = rate > 0 ? formatDuration((total - done) / rate) : '?';
  const filled = Math.round(share * BAR_CELLS);
  return [
    label,
    ...(bar ? [`${'█'.repeat(filled)}${pc.dim('░'.repeat(BAR_CELLS - filled))}`] : []),
    `${Math.floor(share * 100)}%`,
    `${formatCount(done)}/${formatCount(total)} ${unit}`,
    `${formatCount(rate)}/s`,
    share < 1 ? `${left} left` : formatDuration(elapsedMs / 1000),
    note,
  ]
    .filter((part) => part !== '')
    .join('  ');
}

export function createProgress(options: ProgressOptions): Progress {
  const { label, total, unit, stream = process.stderr, nowMs = () => performance.now() } = options;
  const live = stream.isTTY === true;
  const startedMs = nowMs();
  let drawnMs = live ? -Infinity : startedMs;
  let state = { done: 0, note: '' };

  const draw = (): void => {
    const line = formatProgress({ label, unit, total, ...state, elapsedMs: nowMs() - startedMs }, live);
    drawnMs = nowMs();
    // Erase to the end of the line; a line longer than the terminal would wrap and leave its first half behind.
    if (live) stream.write(`\r${clip(line, (stream.columns ?? 80) - 1)}\u001b[K`);
    else stream.write(`${line}\n`);
  };

  return {
    update(done, note = '') {
      state = { done, note };
      if (nowMs() - drawnMs >= (live ? REDRAW_MS : LOG_MS)) draw();
    },
    finish(note = state.note) {
      state = { ...state, note };
      draw();
      if (live) stream.write('\n');
    },
  };
}

/** The first `width` visible characters; colour sequences take no room. */
export function clip(line: string, width: number): string {
  // eslint-disable-next-line no-control-regex -- the escape character is what colour sequences begin with
  const parts = line.split(/(\u001b\[[0-9;]*m)/);
  let room = width;
  return parts
    .map((part, i) => {
      if (i % 2 === 1) return part;
      const kept = part.slice(0, room);
      room -= kept.length;
      return kept;
    })
    .join('');
}
