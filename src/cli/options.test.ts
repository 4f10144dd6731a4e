import { describe, expect, it } from 'vitest';
import { toBytes } from './options.ts';

describe('sizes', () => {
  it.each([
    ['4GB', 4e9],
    ['1.5 MiB', 1.5 * 2 ** 20],
    ['512kb', 512_000],
    ['1000', 1000],
  ])('%s', (text, bytes) => expect(toBytes('--memory', text)).toBe(bytes));

  it.each(['', '0', '-1GB', '4 TB', 'many'])('refuse %j', (text) => {
    expect(() => toBytes('--memory', text)).toThrow('--memory');
  });
});
