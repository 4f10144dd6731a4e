/** What a load needs and what there is, from numbers and made-up control groups. */
import { describe, expect, it } from 'vitest';
import { availableBytes, memoryNeed, wantMemory } from './memory.ts';
import { emptyQuantized, type Weight } from './quantize.ts';

const reader =
  (files: Record<string, string>) =>
  (path: string): string | null =>
    files[path] ?? null;

describe('available memory', () => {
  it('is what is free where nothing limits it', () => {
    expect(availableBytes(5e9, reader({}))).toBe(5e9);
    expect(
      availableBytes(5e9, reader({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' })),
    ).toBe(5e9);
  });

  it('is what the control group leaves, pages of files not counted', () => {
    const files = {
      '/proc/self/cgroup': '0::/box\n',
      '/sys/fs/cgroup/box/memory.max': '4000000000\n',
      '/sys/fs/cgroup/box/memory.current': '3000000000\n',
      '/sys/fs/cgroup/box/memory.stat': 'anon 1\ninactive_file 500000000\n',
    };
    expect(availableBytes(5e9, reader(files))).toBe(1.5e9);
    expect(availableBytes(1e9, reader(files))).toBe(1e9);
  });

  it('is seen from inside a container, and in the first version of control groups', () => {
    const inside = {
      '/proc/self/cgroup': '0::/not/here\n',
      '/sys/fs/cgroup/memory.max': '2000000000',
      '/sys/fs/cgroup/memory.current': '500000000',
    };
    expect(availableBytes(5e9, reader(inside))).toBe(1.5e9);
    const first = {
      '/proc/self/cgroup': '4:memory:/box\n1:cpu:/box\n',
      '/sys/fs/cgroup/memory/box/memory.limit_in_bytes': '2000000000',
      '/sys/fs/cgroup/memory/box/memory.usage_in_bytes': '1900000000',
      '/sys/fs/cgroup/memory/box/memory.stat': 'total_inactive_file 100000000\n',
    };
    expect(availableBytes(5e9, reader(first))).toBe(0.2e9);
  });
});

describe('the need', () => {
  const floats = (rows: number, columns: number) => ({
    shape: [rows, columns],
    get data(): Float32Array {
      throw new Error('nothing is read');
    },
  });

  it('grows with the weights, an embedding that is only looked up aside', () => {
    const weights = new Map<string, Weight>([
      ['model.embed_tokens.weight', floats(1e6, 1e3)],
      ['lm_head.weight', emptyQuantized([1000, 64], { bits: 8, block: 64 })],
    ]);
    const { residentBytes, convertBytes } = memoryNeed(weights);
    expect(residentBytes).toBeLessThan(0.3e9);
    expect(convertBytes).toBeGreaterThan(8e9);
    expect(memoryNeed(new Map([['a', floats(1e6, 1e3)]])).residentBytes).toBeGreaterThan(4e9);
  });

  it('is said when it cannot be met', () => {
    expect(() => wantMemory('the model does not fit', 8e9, 'use int4', 4e9)).toThrow(
      expect.objectContaining({
        code: 'not_enough_memory',
        message:
          'the model does not fit\n  got:    4.0 GB available\n  wanted: about 8.0 GB\n  try:    use int4',
      }),
    );
    expect(() => wantMemory('', 4e9, '', 4e9)).not.toThrow();
  });
});
