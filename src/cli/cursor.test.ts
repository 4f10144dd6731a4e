import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCursor, splitAtCursor } from './cursor.ts';

describe('parseCursor', () => {
  it('reads places as editors print them', () => {
    expect(parseCursor('src/a.ts:12:5')).toEqual({ file: 'src/a.ts', line: 12, column: 5 });
    expect(parseCursor('C:\\a b.ts:1:1')).toEqual({ file: 'C:\\a b.ts', line: 1, column: 1 });
  });

  it.each(['src/a.ts', 'src/a.ts:3', 'src/a.ts:3:x', ':1:1', ''])('refuses %j', (text) => {
    expect(() => parseCursor(text)).toThrow('FILE:LINE:COLUMN');
  });
});

describe('splitAtCursor', () => {
  const at = (line: number, column: number) => ({ file: 'a.ts', line, column });

  it('finds every place of every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'ß', '\n', ' ') }), fc.nat(), (text, n) => {
        const offset = n % (text.length + 1);
        const before = text.slice(0, offset).split('\n');
        const split = splitAtCursor(text, at(before.length, before.at(-1)!.length + 1));
        expect(split).toEqual({ prefix: text.slice(0, offset), suffix: text.slice(offset) });
      }),
    );
  });

  it('does not count the carriage return of a line', () => {
    expect(splitAtCursor('ab\r\ncd', at(1, 3))).toEqual({ prefix: 'ab', suffix: '\r\ncd' });
    expect(() => splitAtCursor('ab\r\ncd', at(1, 4))).toThrow('a column from 1 to 3');
  });

  it('says what places there are', () => {
    expect(() => splitAtCursor('ab\ncd\n', at(4, 1))).toThrow('a line from 1 to 3');
    expect(() => splitAtCursor('ab\ncd\n', at(0, 1))).toThrow('a line from 1 to 3');
    expect(() => splitAtCursor('ab\ncd\n', at(2, 4))).toThrow('a column from 1 to 3');
    expect(() => splitAtCursor('ab\ncd\n', at(3, 2))).toThrow('column 1, since the line is empty');
    expect(() => splitAtCursor('', at(2, 1))).toThrow('line 1, the only one');
  });
});
