/**
 * Seeded randomness. Every random choice in tintype takes an `Rng` as an argument, so that a run is a
 * function of its seed; the state is four 32-bit words that a checkpoint can hold.
 */

export interface Rng {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform integer in [0, n). */
  int(n: number): number;
  /** Standard normal. */
  normal(): number;
  /** The four words that `restoreRng` takes. */
  state(): [number, number, number, number];
}

/** sfc32 (PractRand, Chris Doty-Humphrey): passes PractRand beyond 1 TB, period about 2^128. */
export function restoreRng(state: readonly [number, number, number, number]): Rng {
  let [a, b, c, d] = state.map((word) => word >>> 0) as [number, number, number, number];
  const word = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  const next = (): number => word() / 4294967296;
  return {
    next,
    int: (n) => Math.floor(next() * n),
    // Box–Muller without the second value, so that the state stays four words.
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}

/** A generator from a number, or from a number and labels (`createRng(7, 'epoch', 3)`): streams are independent. */
export function createRng(seed: number, ...labels: (string | number)[]): Rng {
  // FNV-1a over the labels gives the third word; 15 rounds mix the state (the author's seeding advice).
  let hash = 2166136261;
  for (const char of labels.join('\u0000')) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619);
  const rng = restoreRng([seed >>> 0, Math.floor(seed / 4294967296) >>> 0, hash >>> 0, 1]);
  for (let i = 0; i < 15; i++) rng.next();
  return rng;
}

/** Puts the items into a random order, in place (Fisher–Yates). @returns the items */
export function shuffle<A extends { [index: number]: unknown; readonly length: number }>(
  items: A,
  rng: Rng,
): A {
  for (let i = items.length - 1; i > 0; i--) {
    const j = rng.int(i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/** `count` of the items, every subset equally likely (the head of a Fisher–Yates shuffle). */
export function choose<T>(items: readonly T[], count: number, rng: Rng): T[] {
  const pool = [...items];
  for (let i = 0; i < count; i++) {
    const j = i + rng.int(pool.length - i);
    [pool[i], pool[j]] = [pool[j], pool[i]];
  }
  return pool.slice(0, count);
}
