/** What the editor asks with: the text around a place. */
import { Text } from '@codemirror/state';
import { describe, expect, it } from 'vitest';
import { around } from '../../web/pages/write/around.ts';

const lines = Array.from({ length: 400 }, (_, i) => `const value${i} = ${i};`);
const doc = Text.of(lines);

describe('the text around a place', () => {
  it('is all of a short file', () => {
    const short = Text.of(['a', 'b', 'c']);
    expect(around(short, 2, 3, [], 100)).toEqual({ prompt: 'a\n', suffix: '\nc' });
  });

  it('fits the room, is whole lines, and touches the place', () => {
    for (const at of [0, 50, 3000, 5001, doc.length]) {
      const { prompt, suffix } = around(doc, at, at, [], 400);
      expect(prompt.length).toBeLessThanOrEqual(750);
      expect(suffix.length).toBeLessThanOrEqual(250);
      expect(doc.sliceString(at - prompt.length, at)).toBe(prompt);
      expect(doc.sliceString(at, at + suffix.length)).toBe(suffix);
      if (prompt.length < at) expect(doc.sliceString(0, at - prompt.length)).toMatch(/\n$/);
      if (at > 1000) expect(prompt.length).toBeGreaterThan(400);
    }
  });

  it('begins and ends at the same places while somebody types, but for a few leaps', () => {
    const at = doc.line(200).to;
    const starts = new Set<string>();
    const ends = new Set<string>();
    for (let typed = 0; typed < 180; typed++) {
      const longer = doc.replace(at, at, Text.of(['x'.repeat(typed)]));
      const { prompt, suffix } = around(longer, at + typed, at + typed, [], 400);
      starts.add(prompt.split('\n', 1)[0]);
      ends.add(suffix);
    }
    expect(starts.size).toBeLessThanOrEqual(2);
    expect(ends.size).toBe(1);
  });

  it('leaves out what stands in holes, also in one that is cut', () => {
    const hole = (name: string) => {
      const from = doc.toString().indexOf(name);
      return { from, to: from + name.length };
    };
    const holes = ['value180', 'value205'].map(hole);
    const at = doc.line(200).to;
    const { prompt, suffix } = around(doc, at, at, holes, 1000);
    expect(prompt).toContain('const  = 180;');
    expect(suffix).toContain('const  = 205;');
    const wide = [{ from: 0, to: at - 5 }];
    expect(around(doc, at, at, wide, 400).prompt).toBe(doc.sliceString(at - 5, at));
  });

  it('takes a part of one endless line', () => {
    const minified = Text.of(['x'.repeat(100_000)]);
    const { prompt, suffix } = around(minified, 50_000, 50_000, [], 400);
    expect([prompt.length > 400, prompt.length <= 750, suffix.length]).toEqual([true, true, 250]);
  });
});
