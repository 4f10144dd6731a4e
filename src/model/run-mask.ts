/** Who sees whom in one run over its cache, as numbers added to attention scores. */
import type { AttentionPattern } from './denoiser.ts';
import { HIDDEN } from './visibility.ts';

interface Sight {
  /** The first so many places of the cache. */
  cached: number;
  /** And the rows [from, to) of the run. */
  from: number;
  to: number;
  /** And the first so many rows of the run. */
  clean: number;
}

/** Patterns in which what a row sees is a few stretches. */
type Regular = Exclude<AttentionPattern, { kind: 'explicit' }>;

/** What row q sees. */
function sight(pattern: Regular, positions: Int32Array, q: number, length: number): Sight {
  const T = positions.length;
  switch (pattern.kind) {
    case 'full':
      return { cached: length, from: 0, to: T, clean: 0 };
    case 'causal':
      return { cached: length, from: 0, to: q + 1, clean: 0 };
    case 'blockCausal':
      return { cached: length, from: 0, to: blockEnd(pattern, positions, q), clean: 0 };
    case 'anchored': {
      if (q < pattern.clean) return { cached: length, from: 0, to: q + 1, clean: 0 };
      const [from, to] = anchoredBlock(pattern, q, T);
      return {
        cached: Math.min(length, positions[from]),
        from,
        to,
        // A block sees those of the run's clean rows that stand before it.
        clean: Math.max(0, Math.min(pattern.clean, positions[from] - positions[0])),
      };
    }
  }
}

/** The rows [from, to) of the block that holds row q. */
function anchoredBlock(
  { clean, blocks }: Extract<AttentionPattern, { kind: 'anchored' }>,
  q: number,
  T: number,
): [from: number, to: number] {
  let from = clean;
  for (const rows of blocks ?? []) {
    if (q < from + rows) return [from, from + rows];
    from += rows;
  }
  return [from, T];
}

/** One past the last row of the block that holds row q. */
export function blockEnd(
  { blockLength, origin }: { blockLength: number; origin: number },
  positions: Int32Array,
  q: number,
): number {
  const group = (row: number): number => Math.floor((positions[row] - origin) / blockLength);
  let to = q + 1;
  while (to < positions.length && group(to) === group(q)) to++;
  return to;
}

/** Whether every row of a run over `length` cached places sees all of them and every row, if need be through a window. */
export function seesEverything(
  pattern: AttentionPattern,
  positions: Int32Array,
  length: number,
  window: number | null = null,
): boolean {
  const T = positions.length;
  if (window !== null && length + T > window) return false;
  if (pattern.kind === 'explicit') return pattern.visible.every((seen) => seen !== 0);
  for (const q of [0, T - 1]) {
    const { cached, from, to, clean } = sight(pattern, positions, q, length);
    if (cached < length || to < T || (from > 0 && clean < from)) return false;
  }
  return true;
}

/**
 * The mask of `rows` (ascending) of a run of T tokens over `length` cached places, [G · rows, length + T], each row G
 * times. With a window a row sees nothing that stands so many positions or more before it; a block sees itself, and of
 * the rest what its first row sees.
 */
export function runMask(
  pattern: AttentionPattern,
  positions: Int32Array,
  rows: Int32Array,
  { G, length, window = null }: { G: number; length: number; window?: number | null },
): Float32Array {
  const width = length + positions.length;
  const mask = new Float32Array(G * rows.length * width);
  rows.forEach((q, i) => {
    const at = G * i * width;
    if (pattern.kind === 'explicit') {
      for (let key = 0; key < width; key++) if (!pattern.visible[q * width + key]) mask[at + key] = HIDDEN;
    } else {
      const { cached, from, to, clean } = sight(pattern, positions, q, length);
      const hide = (start: number, end: number): void => {
        if (start < end) mask.fill(HIDDEN, at + start, at + end);
      };
      hide(cached, length);
      hide(length + clean, length + from);
      hide(length + Math.max(to, clean), width);
      if (window !== null) {
        const isBlock = pattern.kind === 'anchored' && q >= pattern.clean;
        const first = positions[isBlock ? from : q] - window + 1;
        hide(0, Math.min(first, length));
        hide(length, length + Math.min(first - positions[0], to));
      }
    }
    for (let g = 1; g < G; g++) mask.copyWithin(at + g * width, at, at + width);
  });
  return mask;
}
