/** How much memory a load may take, and whether it is there: said before an hour of swapping or the kernel's killer says it. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { TintypeError } from '../errors.ts';
import { elementCount } from './config.ts';
import { bytesOf, isQuantized, type Weights } from './quantize.ts';

/** The program, its runtime and the working memory of a forward. */
const PROGRAM_BYTES = 250e6;
/** What the runtime's packed form takes over the weights themselves, by bits: 4-bit kernels add a sum to each block. */
const PACKED = { 32: 1.05, 8: 1.08, 4: 1.25 } as const;

const EMBEDDING = 'model.embed_tokens.weight';

export interface MemoryNeed {
  /** While it decodes, without caches. */
  residentBytes: number;
  /** At the worst moment of converting. */
  convertBytes: number;
}

/**
 * For a model whose weights are converted into a file and mapped from it.
 * @param multiplied whether the embedding is multiplied and not only looked up (self-conditioning)
 */
export function memoryNeed(weights: Weights, multiplied = false): MemoryNeed {
  let resident = 0;
  let largest = 0;
  for (const [name, weight] of weights) {
    const bits = isQuantized(weight) ? weight.bits : 32;
    // Looked up in place: of the embedding only the rows in use are in memory, unless it is the head too.
    if (name !== EMBEDDING || multiplied || !weights.has('lm_head.weight'))
      resident += PACKED[bits] * bytesOf(weight);
    const readBytes = isQuantized(weight) ? 4 * elementCount(weight.shape) : 0;
    largest = Math.max(largest, readBytes + bytesOf(weight));
  }
  return { residentBytes: PROGRAM_BYTES + resident, convertBytes: PROGRAM_BYTES + 2 * largest };
}

/** Contents of a file, or null. */
type Read = (path: string) => string | null;

const readIfAny: Read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** Memory that can still be had: what the machine has, or the control group (a container) if that is less. */
export function availableBytes(free = freemem(), read: Read = readIfAny): number {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return [`/sys/fs/cgroup${path}`, '/sys/fs/cgroup'];
    return controllers?.split(',').includes('memory')
      ? [`/sys/fs/cgroup/memory${path}`, '/sys/fs/cgroup/memory']
      : [];
  });
  const room = groups.map((folder) => {
    const number = (...names: string[]): number => {
      const text = names.map((name) => read(`${folder}/${name}`)).find((found) => found !== null);
      return text == null || text.trim() === 'max' ? NaN : Number(text);
    };
    const limit = number('memory.max', 'memory.limit_in_bytes');
    const used = number('memory.current', 'memory.usage_in_bytes');
    // Pages of files count as used but are given back.
    const files = Number(
      /^(?:total_)?inactive_file (\d+)$/m.exec(read(`${folder}/memory.stat`) ?? '')?.[1] ?? 0,
    );
    return Number.isNaN(limit - used) ? Infinity : limit - used + files;
  });
  return Math.max(0, Math.min(free, ...room));
}

/** Errors: `not_enough_memory`. */
export function wantMemory(
  what: string,
  wantedBytes: number,
  next: string,
  available = availableBytes(),
): void {
  if (wantedBytes <= available) return;
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new TintypeError('not_enough_memory', {
    what,
    got: `${gigabytes(available)} available`,
    wanted: `about ${gigabytes(wantedBytes)}`,
    next,
  });
}
